"""The self-test: nothing to find, on purpose, through the shipped tier 0 and verdict."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from headstart.advisor import self_test as tested
from headstart.advisor.arms import Arms
from headstart.advisor.ladder import Bench, tier0
from headstart.advisor.ledger import Ledger
from headstart.advisor.self_test import OFTEN, against_itself, by_lot, counted, judged
from headstart.core.plan import Plan, Solve
from headstart.core.problem import Task
from headstart.core.progress import Silent
from headstart.core.protocols import Role, View
from headstart.core.record import Claim
from headstart.data.dataset import Dataset, Item
from headstart.data.store import Store
from headstart.evaluation.folds import OutOfFold, fold_maps
from headstart.evaluation.verdict import Comparison, compare
from headstart.metrics.scores import metric
from headstart.modalities.image.modality import IMAGE
from headstart.strategies.catalog import plan
from headstart.training.plan_learner import PlanLearner

N = 120
ACCURACY = metric("accuracy")


class Told:
    """Features in which the label stands, with noise, under "good"; noise alone under "bad"."""

    def __init__(self, targets: np.ndarray) -> None:
        rng = np.random.default_rng(0)
        self.of_source = {"good": targets[:, None] + rng.normal(size=(N, 4)), "bad": rng.normal(size=(N, 4))}

    def stages(self, source: str) -> tuple[str, ...]:
        return ("last",)

    def of(self, source: str, stage: str, view: View) -> np.ndarray:
        return self.of_source[source][[int(key) for key in view.keys]].astype(np.float32)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    targets = np.random.default_rng(1).permutation(np.arange(N) % 2)
    items = tuple(Item(f"{i}.png", Path(f"{i}.png"), str(i)) for i in range(N))
    data = Dataset("d", items, targets, np.arange(N), Task("class", "classification", ("a", "b")), IMAGE)
    maps = fold_maps(targets, data.groups, 0)
    return Bench(data, None, maps, Told(targets), Ledger(tmp_path), Silent(), 0)


def learner(name: str, role: Role, source: str) -> PlanLearner:
    return PlanLearner(name, role, Plan(name, phases=(Solve("ridge"),)), {source: None}, Store())


ARMS = (learner("linear", "transfer", "good"), learner("raw", "control", "bad"))


def claim_of(bench: Bench) -> Claim:
    oof = OutOfFold(bench.maps, 2)
    tier0(bench, ARMS, oof)
    found = compare({one.name: one.role for one in ARMS}, oof, bench.data.targets, bench.data.groups, ACCURACY, 0)
    assert found is not None
    return found.claim


def test_what_helps_helps_no_more_when_labels_are_dealt_by_lot(bench: Bench) -> None:
    assert claim_of(bench) == "helped"
    dealt = [by_lot(bench, ARMS, ACCURACY, draw) for draw in range(6)]
    assert dealt.count("helped") <= 1


def test_a_learner_against_itself_differs_and_yet_nothing_is_claimed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Comparison | None] = []

    def noting(*asked: object) -> Comparison | None:
        seen.append(compare(*asked))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(tested, "compare", noting)
    claims = [against_itself(bench, ARMS[0], ACCURACY, draw) for draw in range(12)]
    gains = [one.gain.value for one in seen if one is not None]
    assert claims.count("undecided") >= 8
    assert sum(gain != 0 for gain in gains) >= 6  # other folds, other models: not trivially the same
    assert len({round(gain, 9) for gain in gains}) >= 3  # and each draw has its own


def test_the_ladder_s_own_work_is_not_touched(bench: Bench) -> None:
    before = (claim_of(bench), bench.ledger.computed)
    by_lot(replace(bench, ledger=Ledger(bench.ledger.folder / "aside")), ARMS, ACCURACY, 0)
    against_itself(replace(bench, ledger=Ledger(bench.ledger.folder / "aside")), ARMS[0], ACCURACY, 0)
    assert (claim_of(bench), bench.ledger.computed) == before


@pytest.mark.parametrize(
    ("claims", "hits", "excessive"),
    [
        (["undecided"] * 20, 0, False),
        (["helped", "hurt"] + ["undecided"] * 18, 2, False),
        (["helped"] * 3 + ["hurt"] * 3 + ["undecided"] * 14, 6, True),
    ],
)
def test_claims_are_counted_and_too_many_are_named(claims: list[Claim], hits: int, excessive: bool) -> None:
    same = counted(claims, ("helped", "hurt"), may=0.1)
    assert (same.draws, same.claims, same.value) == (20, hits, hits / 20)
    assert same.low <= same.value <= same.high
    found = judged(same, counted(["hurt"] * 5, ("helped",), may=0.05), "linear")
    assert found.excessive is excessive
    assert f"a gain was claimed in {hits} of 20 draws" in found.sentence
    assert "10 % allowed) with linear against itself and in 0 of 5 draws" in found.sentence


def test_false_claims_on_labels_by_lot_are_named_too() -> None:
    none = counted(["undecided"] * 20, ("helped", "hurt"), may=0.1)
    assert judged(none, counted(["helped"] * 2 + ["undecided"] * 3, ("helped",), may=0.05), "linear").excessive
    assert "with care" in OFTEN


def test_a_run_without_a_frozen_strategy_is_tested_with_a_linear_head() -> None:
    controls = tuple(PlanLearner(name, "control", plan(name), {}, Store()) for name in ("majority", "raw"))
    unlearned = PlanLearner("zero-shot", "transfer", plan("zero-shot"), {}, Store())
    found = SimpleNamespace(arms=Arms((unlearned, *controls), (), ()), sources={}, store=Store())
    names = [one.name for one in tested.competitors(found)]  # type: ignore[arg-type]
    assert names == ["linear", "zero-shot", "majority", "raw"]
    with_one = SimpleNamespace(arms=Arms((ARMS[0], *controls), (), ()))
    assert tested.competitors(with_one) == with_one.arms.closed  # type: ignore[arg-type]
