"""A table of cells: the figures, how long it will take, and what is refused."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart.advisor import work as work_file
from headstart.advisor.cells import Cell, Counting, cells
from headstart.advisor.compare import check_folder, columns
from headstart.advisor.forecast import Piece, forecast, pieces
from headstart.advisor.ledger import Done, Ledger
from headstart.advisor.work import Asked, Work
from headstart.core.comparison import NONE
from headstart.core.errors import UserError
from headstart.core.plan import Plan, Rule, Solve, Train
from headstart.core.problem import Task
from headstart.core.protocols import Role
from headstart.data.dataset import Dataset, Item
from headstart.data.store import Store
from headstart.evaluation.compare import Figures, figures
from headstart.evaluation.evidence import Evidence, Examples
from headstart.evaluation.folds import OutOfFold, Unit, fold_maps
from headstart.evaluation.verdict import compare as verdict
from headstart.features.backends import Mode
from headstart.metrics.scores import metric
from headstart.modalities.image.baselines import RAW
from headstart.modalities.image.modality import IMAGE
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.training.plan_learner import PlanLearner
from headstart.training.trials import epochs_run

N = 300
TRUTH, GROUPS = np.arange(N) % 2, np.arange(N)
ACCURACY, LOG_LOSS = metric("accuracy"), metric("log_loss")
ONE = Task("class", "classification", ("a",))
TRAIN = Train((Rule("*", 1.0),))


def said(right: float, seed: int) -> np.ndarray:
    """(n, 2) probabilities of a cell that is right that often."""
    hit = np.random.default_rng(seed).random(N) < right
    return np.where(np.eye(2)[np.where(hit, TRUTH, 1 - TRUTH)] == 1, 0.8, 0.2)


def judge(roles: dict[str, Role], arms: Sequence[np.ndarray], asked: str = "accuracy") -> tuple[Figures, Evidence]:
    oof = OutOfFold(fold_maps(TRUTH, GROUPS, 0, 1), 2)
    for name, probabilities in zip(roles, arms, strict=True):
        for fold in range(5):
            oof.put(Unit(name, 0, fold), probabilities[oof.maps[0] == fold])
    who = Examples(tuple(map(str, range(N))), tuple(map(str, range(N))), TRUTH, GROUPS)
    evidence = Evidence(("a", "b"), roles, who, oof, None, {})
    return figures(evidence, metric(asked), 0), evidence


def test_every_gain_is_over_the_strongest_control() -> None:
    roles: dict[str, Role] = {"a": "transfer", "b": "transfer", "weak": "control", "strong": "control"}
    found, _ = judge(roles, [said(0.95, 1), said(0.5, 2), said(0.4, 3), said(0.75, 4)])
    assert found.control == "strong"
    assert found.gains.keys() == {"a", "b"}
    for name, gain in found.gains.items():
        assert gain.value == pytest.approx(found.scores[name].value - found.scores["strong"].value)
    assert found.gains["a"].low > 0 > found.gains["b"].high


def test_more_cells_make_every_interval_wider_and_both_ends_pay() -> None:
    cells_: dict[str, Role] = {"a": "transfer", **{f"x{i}": "transfer" for i in range(8)}, "c": "control"}
    tables = [said(0.8, 1), *(said(0.8, 10 + i) for i in range(8)), said(0.75, 2)]
    many, evidence = judge(cells_, tables)
    alone, _ = judge({"a": "transfer", "c": "control"}, [tables[0], tables[-1]])
    assert many.gains["a"].low < alone.gains["a"].low
    assert many.gains["a"].high > alone.gains["a"].high
    best = verdict(evidence.roles, evidence.oof, TRUTH, GROUPS, ACCURACY, 0)
    assert best is not None
    assert many.gains[best.transfer].high > best.gain.high  # there only the best is judged, here any may be picked


def test_without_a_control_there_are_scores_and_no_gains() -> None:
    found, _ = judge({"a": "transfer"}, [said(0.9, 1)])
    assert (found.control, found.gains, found.n) == (None, {}, N)
    assert found.scores["a"].low < found.scores["a"].value < found.scores["a"].high


def test_the_strongest_control_by_log_loss_has_the_least() -> None:
    roles: dict[str, Role] = {"a": "transfer", "wrong": "control", "right": "control"}
    found, _ = judge(roles, [said(0.9, 1), said(0.4, 2), said(0.8, 3)], "log_loss")
    assert found.control == "right"
    assert found.gains["a"].value > 0


# --- the cells


@pytest.fixture(scope="module")
def tiny() -> dict[str, Source]:
    return {name: load(name) for name in ("random:test_resnet@64", "random:test_vit@64")}


def table(tiny: dict[str, Source], names: Sequence[str], **changes: object) -> tuple[Cell, ...]:
    asked = {
        "controls": False,
        "epochs": None,
        "modes": {},
        "folds": "f",
        "n": 100,
        "modality": IMAGE,
        "task": Task("class", "classification", ("a", "b")),
    }
    return cells(names, tiny, store=Store(), **(asked | changes))[0]  # type: ignore[arg-type]


def test_cells_are_every_strategy_on_every_source_and_the_controls(tiny: dict[str, Source]) -> None:
    found = table(tiny, ["linear", "experts", "lp-ft"], controls=True)
    one, other = tiny
    of_sources = [f"{strategy}@{name}" for name in (one, other) for strategy in ("linear", "lp-ft")]
    assert [cell.name for cell in found] == [
        *of_sources, f"experts@{one} & {other}",
        *(f"{name}@{NONE}" for name in ("majority", "raw", "random-features", "scratch")),
    ]  # fmt: skip
    assert {cell.role for cell in found if cell.source == NONE} == {"control"}


def test_a_strategy_that_does_not_apply_is_named_with_the_reason(tiny: dict[str, Source]) -> None:
    first = next(iter(tiny))
    facts = {"controls": False, "epochs": None, "modes": {}, "folds": "f", "n": 100}
    found, skipped = cells(
        ["linear", "experts", "zero-shot"],
        {first: tiny[first]},
        modality=IMAGE,
        task=Task("class", "classification", ("a",)),
        store=Store(),
        **facts,
    )  # type: ignore[arg-type]
    assert [cell.strategy for cell in found] == ["linear"]
    assert {one.strategy: one.why for one in skipped} == {
        "experts": "one source only",
        "zero-shot": "no source knows the target's classes by name",
    }


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"controls": True}, {"linear", "lp-ft"}),
        ({"epochs": 2}, {"linear"}),
        ({"folds": "other data"}, set()),
        ({"modes": {"random:test_resnet@64": Mode(backend="compile")}}, set()),
    ],
)
def test_work_is_found_again_exactly_where_it_would_be_the_same(
    tiny: dict[str, Source], changes: dict[str, object], same: set[str]
) -> None:
    first = {"random:test_resnet@64": tiny["random:test_resnet@64"]}
    before = {cell.strategy: cell.key for cell in table(first, ["linear", "lp-ft"])}
    now = {cell.strategy: cell.key for cell in table(first, ["linear", "lp-ft"], **changes)}
    assert {name for name, key in before.items() if now[name] == key} == same


# --- how long it will take


def cell(source: str, strategy: str, *phases: Solve | Train) -> Cell:
    learner = PlanLearner(strategy, "transfer", Plan(strategy, phases=phases), {}, Store(), epochs=4)
    return Cell(source, strategy, learner, f"{strategy}.{source}")


def examples(n: int) -> Dataset:
    task, codes = Task("class", "classification", ("a", "b")), np.arange(n) % 2
    items = tuple(Item(str(i), Path("none"), str(i)) for i in range(n))
    return Dataset("", items, codes, np.arange(n), task, IMAGE)


def work() -> Work:
    asked = Asked(
        fingerprint="", target=None, sources=(), strategies=(), stage=None, minutes=1, metric="accuracy",
        deliver="auto", seed=0, plans="",
    )  # fmt: skip
    return Work(asked=asked, sources=(), forward={}, step={}, solve=8.0)


def test_what_the_ledger_has_is_not_expected_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    one = cell("s:a", "linear", Solve("ridge"))
    one = replace(one, learner=replace(one.learner, sources={"s:a": RAW}))
    fresh = pieces([one], examples(1000), 2, work(), ledger)
    assert [piece.repeat for piece in fresh] == [0] * 5 + [1] * 5
    assert fresh[0].seconds == pytest.approx(8.0 * 0.8**3)
    ledger.put(fresh[3].name, Done(np.zeros((1, 2)), 1.0))
    assert pieces([one], examples(1000), 2, work(), ledger) == (*fresh[:3], *fresh[4:])


def test_training_is_paid_for_by_timed_steps_and_every_rate_that_is_tried(tmp_path: Path) -> None:
    source = load("random:test_resnet@64")
    found: dict[str, Sequence[Piece]] = {}
    for name, rate in (("fixed", 1e-3), ("open", None)):
        made = cell(source.name, name, replace(TRAIN, lr=rate))
        made = replace(made, learner=replace(made.learner, sources={source.name: source}))
        found[name] = pieces([made], examples(100), 1, work(), Ledger(tmp_path))
        choosing, *folds = found[name]
        assert choosing.name == made.choosing(0)
        longest = made.learner.longest
        tries = epochs_run(len(made.learner.choices), longest) / longest
        assert choosing.seconds == pytest.approx(tries * 0.8 * folds[0].seconds)
        assert folds[0].seconds > 0
    assert len(found["open"]) == len(found["fixed"]) == 6


def test_it_is_said_what_would_be_cheaper() -> None:
    linear, tuned = cell("s:a", "linear", Solve("ridge")), cell("s:b", "lp-ft", TRAIN)
    todo = [Piece(linear, r, "x", 10.0) for r in range(3)] + [Piece(tuned, r, "y", 1200.0) for r in range(3)]
    words = forecast(todo, features=30.0)
    assert words.startswith("2 cells to do, 6 pieces of work: about 61 min; cheaper: --seeds 1 (about 21 min)")
    assert "without lp-ft (about 60 s)" in words
    assert "without s:b (about 60 s)" in words
    assert words.endswith("closed forms only (about 60 s)")
    assert forecast(todo[:1], features=0.0) == "1 cells to do, 1 pieces of work: about 10 s"


def test_the_bar_moves_within_a_piece_and_is_right_at_its_end() -> None:
    moved: list[float] = []
    notes: list[str] = []

    class Bar:
        def advance(self, units: float = 1) -> None:
            moved.append(units)

        def note(self, text: str) -> None:
            notes.append(text)

        def epoch(self, measured: object) -> None: ...

    counting = Counting(Bar(), {"a": 10.0, "b": 4.0})
    counting.begin("lp-ft", "a", examples=100)
    counting.advance(50)
    counting.note("epoch 1/2")
    assert (sum(moved), counting.left) == (5.0, 4.0)
    counting.end()  # it stopped early
    assert sum(moved) == 10.0
    counting.begin("lp-ft", "known already", examples=100)
    counting.advance(100)
    counting.end()
    assert sum(moved) == 10.0
    assert notes == ["lp-ft", "lp-ft: epoch 1/2", "lp-ft"]


# --- what is refused


@pytest.mark.parametrize(
    ("sources", "seeds", "epochs", "message"),
    [
        ([NONE], 3, None, "expected a source beside none, got none"),
        (["non", "wheel:vgg16"], 3, None, "Did you mean none?"),
        (["wheel:vgg16"], 0, None, "expected seeds from 1 on, got 0"),
        (["wheel:vgg16"], 1, 0, "expected epochs from 1 on, got 0"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    sources: Sequence[str], seeds: int, epochs: int | None, message: str
) -> None:
    with pytest.raises(UserError) as told:
        columns(sources, seeds, epochs)
    assert message in str(told.value)


def test_controls_are_asked_for_by_name() -> None:
    assert columns(["wheel:vgg16", NONE], 1, None) == (("wheel:vgg16",), True)
    assert columns(["wheel:vgg16"], 1, None) == (("wheel:vgg16",), False)


def test_a_folder_with_anything_else_is_refused(tmp_path: Path) -> None:
    data = Dataset("d", (), np.arange(0), np.arange(0), Task("class", "classification", ("a",)), IMAGE)
    check_folder(tmp_path, data)
    check_folder(tmp_path / "new", data)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="expected a new folder, or one of a comparison"):
        check_folder(tmp_path, data)
    with pytest.raises(UserError, match="expected a new folder, or one of a comparison"):
        check_folder(tmp_path / "letter.txt", data)


def test_a_folder_is_of_the_data_that_its_work_was_for(tmp_path: Path) -> None:
    data = Dataset("d", (), np.arange(0), np.arange(0), Task("class", "classification", ("a",)), IMAGE)
    Ledger(tmp_path)
    check_folder(tmp_path, data)  # killed before it was written down what was to be done
    for fingerprint in (data.fingerprint, "other"):
        asked = work().asked.model_copy(update={"fingerprint": fingerprint})
        work_file.write(tmp_path, work().model_copy(update={"asked": asked}))
        if fingerprint == "other":
            with pytest.raises(UserError, match="expected a folder of a comparison on the same data"):
                check_folder(tmp_path, data)
        else:
            check_folder(tmp_path, data)
