"""The learning curve on made features: who is measured, on what, how often, and what is said where it cannot be."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

from headstart.advisor.ladder import Bench, tier0
from headstart.advisor.learning_curve import PRICED, Curves, learning_curves
from headstart.advisor.ledger import Ledger
from headstart.core.plan import Plan, Solve
from headstart.core.predictions import Ints
from headstart.core.problem import Task
from headstart.core.progress import Silent
from headstart.core.protocols import View as Rows
from headstart.evaluation import evidence as kept
from headstart.evaluation.evidence import Evidence, Examples
from headstart.evaluation.folds import OutOfFold, Unit, fold_maps
from headstart.evaluation.shares import EVERY, SHARES, Learned, halved, within_share
from headstart.evaluation.verdict import Comparison, compare
from headstart.linear.heads import Ridge
from headstart.linear.reweigh import reweighed
from headstart.metrics.scores import metric
from headstart.strategies.catalog import plan
from headstart.training.plan_learner import PlanLearner

ACCURACY = metric("accuracy")
STAGES = ("early", "last")


@dataclass(frozen=True)
class View:
    """Rows, shaped like a data set."""

    keys: tuple[str, ...]
    targets: Ints
    groups: Ints
    task: Task

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def strata(self) -> Ints:
        return self.targets

    def take(self, index: Ints) -> "View":
        return View(tuple(self.keys[i] for i in index), self.targets[index], self.groups[index], self.task)


class Arrays:
    """Features of two sources and the raw input, of n examples of some classes."""

    def __init__(self, targets: Ints) -> None:
        rng, n, eye = np.random.default_rng(0), len(targets), np.eye(int(targets.max()) + 1)
        strength = {("one", "early"): 0.8, ("one", "last"): 1.6, ("two", "early"): 0.4, ("two", "last"): 1.5}
        self.tables = {
            tap: rng.normal(size=(n, 24)) + np.pad(by * eye[targets], ((0, 0), (0, 24 - len(eye))))
            for tap, by in {**strength, ("raw", "pixels"): 0.8}.items()
        }
        self.read: list[int] = []

    def stages(self, source: str) -> tuple[str, ...]:
        return tuple(stage for name, stage in self.tables if name == source)

    def of(self, source: str, stage: str, view: Rows) -> np.ndarray:
        self.read.append(len(view))
        return self.tables[source, stage][[int(key) for key in view.keys]]


def arm(name: str, role: str, what: Plan, *sources: str) -> PlanLearner:
    return PlanLearner(name, role, what, dict.fromkeys(sources), None)


LINEAR = arm("linear", "transfer", plan("linear"), "one")
EXPERTS = arm("experts", "transfer", plan("experts"), "one", "two")
PROTOTYPE = arm("prototype", "transfer", plan("prototype"), "one")
RAW = arm("raw", "control", Plan("raw", phases=(Solve("ridge"),)), "raw")
KERNEL = arm("raw", "control", plan("raw"), "raw")


@dataclass(frozen=True)
class Case:
    """Tier 0 of some arms."""

    bench: Bench
    closed: Sequence[PlanLearner]
    done: dict
    oof: OutOfFold

    def judged(self) -> Comparison:
        roles = {one.name: one.role for one in self.closed}
        found = compare(roles, self.oof, self.bench.data.targets, self.bench.data.groups, ACCURACY, 0)
        assert found is not None
        return found

    def measure(self, judged: object = None, delivered: str = "") -> Curves:
        return learning_curves(
            self.bench, self.closed, self.done, self.oof, ACCURACY, judged or self.judged(), delivered
        )


def case(folder: Path, counts: Sequence[int], *closed: PlanLearner) -> Case:
    targets = np.repeat(np.arange(len(counts)), counts)
    n = len(targets)
    names = tuple(f"class {code}" for code in range(len(counts)))
    data = View(tuple(map(str, range(n))), targets, np.arange(n) // 2, Task("class", "classification", names))
    bench = Bench(data, None, fold_maps(targets, data.groups, 0), Arrays(targets), Ledger(folder), Silent(), 0)
    oof = OutOfFold(bench.maps, len(counts))
    return Case(bench, closed, tier0(bench, closed, oof), oof)


def test_both_sides_learn_from_every_share_and_halves_are_priced(tmp_path: Path) -> None:
    found = case(tmp_path, [60, 60, 40], LINEAR, RAW).measure(delivered="linear")
    assert found.why_none == ""
    assert found.seconds > 0
    classes = {Learned(halved=f"class {code}") for code in range(3)}
    assert set(found.partly) == {*map(Learned, SHARES), EVERY} | classes
    for learned, oof in found.partly.items():
        assert set(oof.arms()) == ({"linear"} if learned.halved else {"linear", "raw"})
        assert oof.maps.shape == (1, 160)
        assert all(oof.scored(name).all() for name in oof.arms())


def test_an_arm_on_a_share_is_that_arm_with_those_labels(tmp_path: Path) -> None:
    made = case(tmp_path, [60, 60, 40], LINEAR, RAW)
    found, bench = made.measure(delivered="raw").partly, made.bench
    unit = Unit("", 0, 2)
    train, held = bench.fold(unit)
    at = np.flatnonzero(bench.maps[0] == 2)
    less = train.take(within_share(train.targets, train.groups, 0.25, bench.seed_of(unit)))
    head = Ridge.fit([bench.features.of("one", "last", less)], less.targets, 3, None)
    expected = head.predict([bench.features.of("one", "last", held)])
    np.testing.assert_allclose(found[Learned(0.25)].of("linear")[0, at], expected, atol=1e-6)
    blocks, new = ([bench.features.of("raw", "pixels", part)] for part in (train, held))
    half = halved(train.targets, train.groups, np.array([1]), bench.seed_of(unit))
    (expected,) = reweighed(Ridge.fit(blocks, train.targets, 3, None), blocks, train.targets, new, [half])
    np.testing.assert_allclose(found[Learned(halved="class 1")].of("raw")[0, at], expected, atol=1e-6)


def test_what_was_finished_is_not_computed_again(tmp_path: Path) -> None:
    made = case(tmp_path, [60, 60], EXPERTS, RAW)
    first = made.measure()
    before, computed = len(made.bench.features.read), made.bench.ledger.computed
    again = made.measure()
    assert made.bench.ledger.computed == computed
    assert len(made.bench.features.read) == before
    assert again.seconds == pytest.approx(first.seconds)
    for learned, oof in first.partly.items():
        for name in oof.arms():
            np.testing.assert_array_equal(again.partly[learned].of(name), oof.of(name))


def test_several_sources_are_priced_together(tmp_path: Path) -> None:
    made = case(tmp_path, [60, 60], EXPERTS, KERNEL)
    found, bench, chosen = made.measure(delivered="raw"), made.bench, made.done["experts"][0]
    assert chosen.source == "one & two"
    assert found.partly[EVERY].arms() == ("experts",)
    train, held = bench.fold(Unit("experts", 0, 0))
    taps = list(zip(("one", "two"), chosen.stages, strict=True))
    blocks, new = ([bench.features.of(*tap, part) for tap in taps] for part in (train, held))
    half = halved(train.targets, train.groups, np.arange(2), bench.seed_of(Unit("experts", 0, 0)))
    (expected,) = reweighed(Ridge.fit(blocks, train.targets, 2, None), blocks, train.targets, new, [half])
    np.testing.assert_allclose(found.partly[EVERY].of("experts")[0, bench.maps[0] == 0], expected, atol=1e-6)


def test_where_the_verdict_compares_no_closed_forms_the_best_ones_are_measured(tmp_path: Path) -> None:
    made = case(tmp_path, [60, 60], LINEAR, EXPERTS, RAW)
    trained = SimpleNamespace(transfer="lp-ft", control="scratch")
    scores = {one.name: ACCURACY(made.oof.of(one.name)[0], made.bench.data.targets) for one in made.closed}
    assert scores["experts"] > scores["linear"]
    assert made.measure(trained).partly[Learned(0.5)].arms() == ("experts", "raw")
    named = SimpleNamespace(transfer="linear", control="scratch")
    assert made.measure(named).partly[Learned(0.5)].arms() == ("linear", "raw")


def test_no_price_where_no_ridge_stands(tmp_path: Path) -> None:
    found = case(tmp_path, [60, 60], PROTOTYPE, KERNEL).measure()
    assert {key.halved for key in found.partly} == {""}


def test_the_hardest_classes_are_priced(tmp_path: Path) -> None:
    made = case(tmp_path, [24] * 12, LINEAR, RAW)
    right = made.oof.of("linear")[0].argmax(axis=1) == made.bench.data.targets
    recall = [right[made.bench.data.targets == code].mean() for code in range(12)]
    found = [key for key in made.measure(delivered="linear").partly if key.halved]
    hard = [Learned(halved=f"class {code}") for code in np.argsort(recall, kind="stable")[:PRICED]]
    assert found == [EVERY, *hard]


def test_half_is_left_to_runs_that_repeat_their_folds(tmp_path: Path) -> None:
    """On one map it would cost a quarter of tier 0; unless nothing smaller can be had."""
    found = case(tmp_path / "many", [500, 500], LINEAR, RAW).measure()
    assert {key.share for key in found.partly if not key.halved} == set(SHARES[:-1])
    rare = case(tmp_path / "rare", [994, 6], LINEAR, RAW).measure()
    assert {key.share for key in rare.partly if not key.halved} == {0.5}


def test_shares_that_leave_a_class_too_little_are_not_measured(tmp_path: Path) -> None:
    some = case(tmp_path / "some", [60, 10], LINEAR, RAW).measure()
    assert {key.share for key in some.partly if not key.halved} == {0.25, 0.5}
    none = case(tmp_path / "none", [60, 3], LINEAR, RAW).measure()
    assert none.partly == {}
    assert none.why_none == "half of the labels would leave a class with 1, and 2 are the least that tells anything"


def test_without_a_closed_form_that_transfers_there_is_no_curve(tmp_path: Path) -> None:
    made = case(tmp_path, [60, 60], RAW)
    found = made.measure(SimpleNamespace(transfer="lp-ft", control="raw"))
    assert (found.partly, found.why_none) == ({}, "no closed form transfers")


def test_predictions_keep_what_was_learned_from_less_and_files_of_before_are_read(tmp_path: Path) -> None:
    made = case(tmp_path, [60, 60], LINEAR, RAW)
    roles = {"linear": "transfer", "raw": "control"}
    data = made.bench.data
    who = Examples(data.keys, data.keys, data.targets, data.groups)
    written = Evidence(data.task.classes, roles, who, made.oof, None, {}, made.measure().partly)
    path = tmp_path / kept.NAME
    kept.write(path, written)
    found = kept.read(path)
    assert list(found.partly) == list(written.partly)
    for learned, oof in written.partly.items():
        for name in oof.arms():
            np.testing.assert_array_equal(found.partly[learned].of(name), oof.of(name))
    rows = pq.read_table(path)
    before = rows.filter([on == kept.OOF for on in rows["on"].to_pylist()]).drop_columns(["share", "halved"])
    pq.write_table(before, path)
    older = kept.read(path)
    assert older.partly == {}
    np.testing.assert_array_equal(older.oof.of("linear"), made.oof.of("linear"))
