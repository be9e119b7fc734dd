"""What people see of a run: the banner, the table that fills, tables that fit, and the sentences at the end."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from headstart.advisor import banner
from headstart.advisor.account import sentence
from headstart.advisor.ladder import Bench, score, tier0
from headstart.advisor.ledger import Ledger
from headstart.advisor.survey import Question
from headstart.cli import output
from headstart.cli import progress as progress_
from headstart.core.plan import Plan, Solve
from headstart.core.problem import Kind, Task
from headstart.core.progress import Silent, Standing
from headstart.core.protocols import Role, View
from headstart.data.dataset import Dataset, Item
from headstart.data.store import Store
from headstart.evaluation.folds import OutOfFold, fold_maps
from headstart.evaluation.verdict import Comparison
from headstart.metrics.intervals import Interval
from headstart.metrics.scores import metric
from headstart.modalities.image.modality import IMAGE
from headstart.training.plan_learner import PlanLearner

N = 60
TARGETS = np.arange(N) % 2
FACTS = {"data": "60 photos in 2 classes", "sources": "wheel:\x1b[2Jlite0 (Apache-2.0)"}


class Features:
    """The label with noise under "good", noise alone under "bad"."""

    def __init__(self) -> None:
        noise = np.random.default_rng(0).normal(size=(2, N, 4))
        self.of_source = {"good": TARGETS[:, None] + noise[0], "bad": noise[1]}

    def stages(self, source: str) -> tuple[str, ...]:
        return ("last",)

    def of(self, source: str, stage: str, view: View) -> np.ndarray:
        return self.of_source[source][[int(key) for key in view.keys]].astype(np.float32)


class Told(Silent):
    """Keeps how arms stand."""

    def __init__(self) -> None:
        self.standings: list[Standing] = []

    def scored(self, standing: Standing) -> None:
        self.standings.append(standing)


def dataset(targets: np.ndarray = TARGETS, kind: Kind = "classification", classes: tuple[str, ...] = ("a", "b")):
    items = tuple(Item(f"{i}.png", Path(f"{i}.png"), str(i)) for i in range(len(targets)))
    return Dataset("d", items, targets, np.arange(len(targets)), Task("class", kind, classes), IMAGE)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    data = dataset()
    return Bench(data, None, fold_maps(TARGETS, data.groups, 0), Features(), Ledger(tmp_path), Told(), 0, "log_loss")


def learner(name: str, role: Role, source: str) -> PlanLearner:
    return PlanLearner(name, role, Plan(name, phases=(Solve("ridge"),)), {source: None}, Store())


ARMS = (learner("linear", "transfer", "good"), learner("raw", "control", "bad"))


def standing(arm: str = "linear", on: str = "5 of 5 folds", done: bool = True, value: float = 0.9) -> Standing:
    return Standing(arm, arm, "wheel:lite0", "transfer", "accuracy", value, on, 1.25, done)


# The table that fills.


def test_every_arm_is_told_of_after_every_fold_with_the_score_that_it_has_there(bench: Bench) -> None:
    oof = OutOfFold(bench.maps[:1], 2)
    tier0(bench, ARMS, oof)
    told = bench.progress.standings
    assert [one.arm for one in told] == ["linear", "raw"] * 5
    assert [one.on for one in told[::2]] == [f"{k} of 5 folds" for k in range(1, 6)]
    assert [one.done for one in told[::2]] == [False] * 4 + [True]
    for one in told[-2:]:
        assert one.score == pytest.approx(float(metric("log_loss")(oof.of(one.arm)[0], TARGETS)), abs=1e-6)
    some = bench.maps[0] < 2  # after two folds, of those examples only
    expected = float(metric("log_loss")(oof.of("linear")[0][some], TARGETS[some]))
    assert told[2].score == pytest.approx(expected, abs=1e-6)
    assert (told[0].source, told[0].role, told[1].role, told[0].metric) == ("good", "transfer", "control", "log_loss")


def test_scores_on_several_fold_maps_are_averaged_as_the_record_does(bench: Bench) -> None:
    oof = OutOfFold(bench.maps, 2)
    tier0(bench, ARMS, oof)
    last = bench.progress.standings[-2]
    assert (last.on, last.done) == ("20 of 20 folds", True)
    each = [float(metric("log_loss")(table, TARGETS)) for table in oof.of("linear")]
    assert last.score == pytest.approx(np.mean(each), abs=1e-6)


def test_an_arm_that_gets_few_folds_says_of_how_many(bench: Bench) -> None:
    score(bench, replace(ARMS[0], epochs=1), 2, OutOfFold(bench.maps[:1], 2))
    assert [(one.on, one.done) for one in bench.progress.standings] == [("1 of 5 folds", False), ("2 of 5 folds", True)]


def test_without_a_metric_the_usual_one_of_the_task_is_told(bench: Bench) -> None:
    tier0(replace(bench, metric=None), ARMS[:1], OutOfFold(bench.maps[:1], 2))
    assert bench.progress.standings[-1].metric == "accuracy"


# On a terminal, and elsewhere.


def live(width: int = 80, height: int = 40, **look: object) -> tuple[progress_.Live, io.StringIO]:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=width, height=height, **look)
    return progress_.Live(console), stream


def frame(shown: progress_.Live, console: Console) -> list[str]:
    assert shown._screen is not None
    with console.capture() as seen:
        console.print(shown._screen.get_renderable())
    return [line.rstrip() for line in seen.get().splitlines() if line.strip()]


def test_the_table_has_a_row_an_arm_in_the_order_in_which_they_came() -> None:
    shown, _ = live()
    with shown.held():
        for one in (standing("raw", "1 of 5 folds", done=False), standing(), standing("raw", value=0.85)):
            shown.scored(one)
        with shown.step("lp-ft", total=4) as step:
            step.advance()
            lines = frame(shown, Console(width=80))
    rows = [line.split() for line in lines if "folds" in line]
    assert [row[0] for row in rows] == ["raw", "linear"]
    assert "0.850" in rows[0]
    assert rows[0][rows[0].index("5") :] == ["5", "of", "5", "folds", "1.2"]
    assert lines[-1].startswith("lp-ft")
    assert all(len(line) <= 80 for line in lines)
    assert rows[1][1] == "wheel:lite0"  # eighty columns have no room for roles


def test_a_low_terminal_shows_the_last_arms_and_the_steps() -> None:
    shown, _ = live(height=12)
    with shown.held(), shown.step("lp-ft"):
        for number in range(30):
            shown.scored(standing(f"arm{number}"))
        lines = frame(shown, Console(width=80))
    assert [line.split()[0] for line in lines[2:-1]] == [f"arm{number}" for number in range(25, 30)]


def test_the_table_goes_when_all_went_well_and_stays_when_not() -> None:
    for stays in (False, True):
        shown, stream = live()
        try:
            with shown.held():
                shown.scored(standing())
                if stays:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        after = stream.getvalue().rpartition("\x1b[2K")[2]  # what was written since something was erased
        assert ("5 of 5 folds" in after) is stays


def test_a_finished_step_leaves_a_line_and_a_failed_or_brief_one_none(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, stream = live(no_color=True)
    with shown.step("brief"):
        pass
    monkeypatch.setattr(progress_, "BRIEF", 0.0)
    with shown.step("features", total=2) as step:
        step.advance(2)
    with pytest.raises(ZeroDivisionError), shown.step("doomed"):
        raise ZeroDivisionError
    assert "\N{CHECK MARK} features" in (said := stream.getvalue().replace("\x1b[0m", ""))
    assert "\N{CHECK MARK} doomed" not in said
    assert "\N{CHECK MARK} brief" not in said


@pytest.mark.parametrize("width", [50, 80, 120])
def test_the_banner_fits_and_steers_nothing(width: int) -> None:
    shown, stream = live(width)
    shown.begins(FACTS)
    said = stream.getvalue()
    assert "60 photos in 2 classes" in said
    assert "\x1b[2J" not in said
    plain = Console(file=io.StringIO(), width=width)
    assert plain.width == width
    assert max(map(len, progress_.Text.from_ansi(said).plain.splitlines())) <= width


def test_no_color_means_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    for unset in (False, True):
        if unset:
            monkeypatch.delenv("NO_COLOR", raising=False)
        else:
            monkeypatch.setenv("NO_COLOR", "1")
        shown, stream = live(color_system="standard")
        shown.begins(FACTS)
        with shown.held():
            shown.scored(standing())
        assert ("\x1b[36m" in stream.getvalue()) is unset


def test_elsewhere_there_is_one_plain_line_an_arm() -> None:
    stream = io.StringIO()
    lines = progress_.Lines(stream)
    lines.begins(FACTS)
    told = [standing(on="1 of 5 folds", done=False), standing(), standing("raw"), standing(on="20 of 20 folds")]
    for one in told:
        lines.scored(one)
    said = stream.getvalue().splitlines()
    assert said[0] == "data: 60 photos in 2 classes"
    assert said[2:] == [
        f"transfer {arm} from wheel:lite0: accuracy 0.900 on 5 of 5 folds, 1.2 s" for arm in ("linear", "raw")
    ]
    assert stream.getvalue().isascii()
    assert "\x1b" not in stream.getvalue()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    made = Console(file=io.StringIO(), force_terminal=True, no_color=True, width=60, highlight=False)
    monkeypatch.setattr(output, "console", lambda: made)
    return made


def test_a_table_fits_a_terminal_by_cutting_what_may_be_cut(terminal: Console) -> None:
    rows = [("linear", "wheel:efficientnet-lite0", "0.860 [0.830, 0.890]", "scored below earlier, though not by much")]
    columns = ("name", "source", "score", "why")
    terminal.print(output.table(columns, rows, right=("score",), cut=("source", "why"), styles={0: "bold"}))
    said = progress_.Text.from_ansi(terminal.file.getvalue()).plain.splitlines()
    assert max(map(len, said)) <= 60
    (row,) = (line for line in said if "linear" in line)
    assert "0.860 [0.830, 0.890]" in row
    assert "wheel:e\N{HORIZONTAL ELLIPSIS}-lite0 " in row  # a name is cut in its middle
    assert row.rstrip().endswith("\N{HORIZONTAL ELLIPSIS}")  # prose at its end


def test_a_table_elsewhere_is_whole_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    why = "even an optimistic 0.999 is within the margin of the best so far, 0.997"
    output.console().print(output.table(("name", "why"), [("lp-ft", why)], cut=("why",)))
    out = capsys.readouterr().out
    assert [line.rstrip() for line in out.splitlines()] == ["name   why", f"lp-ft  {why}"]
    assert out.isascii()


# The banner's lines.


def test_the_data_is_described_by_its_kind_of_task() -> None:
    assert banner.described(dataset()) == "60 photos in 2 classes (30 each)"
    assert banner.described(dataset(np.arange(7) % 2)) == "7 photos in 2 classes (4 a, 3 b)"
    many = tuple("abcdefg")
    assert banner.described(dataset(np.arange(15) % 7, classes=many)) == "15 photos in 7 classes (2 of b to 3 of a)"
    labels = np.array([[1, 0], [1, 1], [0, 0]])
    assert banner.described(dataset(labels, "multi-label")) == "3 photos in 2 labels (2 a, 1 b)"
    numbers = np.array([1.5, 20.25])
    assert banner.described(dataset(numbers, "regression", ())) == "2 photos, each with a number (class, 1.5 to 20.25)"


def test_how_it_is_tested_is_said_before() -> None:
    few, many = dataset(), dataset(np.arange(1200) % 2)
    parts = replace(few, parts=("train",) * 50 + ("test",) * 10)
    asked = SimpleNamespace(minutes=2.5, metric="macro_f1", seed=7)
    said = [banner.facts(Question(one, asked, (), (), Path())) for one in (few, many, parts)]
    assert said[0]["tested"].startswith("out of fold: 5 folds, 4 times over")
    assert said[1]["tested"] == "25% held out and opened once; choices by 5 folds of the rest"
    assert said[2]["tested"].startswith("the 10 test photos that were given, opened once")
    assert said[0]["time"] == "2.5 min; macro f1 decides; seed 7"
    asked.minutes = banner.NO_BUDGET
    assert banner.facts(Question(few, asked, (), (), Path()), "so")["tested"] == "so"
    assert banner.facts(Question(few, asked, (), (), Path()))["time"].startswith("as long as it takes;")
    assert "core" in said[0]["machine"]
    cards = [SimpleNamespace(name=name, licence=SimpleNamespace(name=by)) for name, by in
             (("a:x", "MIT"), ("b:y", None), ("a:z", "MIT"))]  # fmt: skip
    assert banner.sources(cards) == "a:x, a:z (MIT); b:y (licence not stated)"


# The sentences.

SCORES: dict[Kind, tuple[str, dict[str, float], float | None]] = {
    "classification": ("accuracy", {"accuracy": 1 - 41 / 656}, None),
    "multi-label": ("mean_average_precision", {"exact_match": 0.5}, None),
    "regression": ("r2", {"mae": 3.21}, 7.104),
}
GAINS = {"helped": (0.061, 0.0401, 0.0834), "hurt": (-0.061, -0.0834, -0.0401), "undecided": (0.0001, -0.0202, 0.0204)}
WRONG = {
    "classification": "41 of 656 test photos wrong.",
    "multi-label": "328 of 656 test photos with a label missing or too many.",
    "regression": "656 test photos are off by 3.21 on average (90 % at most 7.1).",
}


def said_of(claim: str, kind: Kind, few: dict[str, tuple[float, int]] | None = None, on: str = "test") -> str:
    name, scores, off = SCORES[kind]
    gain = Interval(*GAINS[claim])
    judged = Comparison("linear", "scratch", gain, gain, 0.9, 0.1, np.arange(60), claim, 170)
    arms = {"linear": (Interval(0.8, 0.7, 0.9), 60)}
    arms |= {arm: (Interval(value, 0, 1), n) for arm, (value, n) in (few or {}).items()}
    figures = SimpleNamespace(scores=scores, n=656, on=on, off=off, arms=arms, comparison=judged)
    study = SimpleNamespace(
        figures=figures, evidence=SimpleNamespace(kind=kind, roles=dict.fromkeys(arms, "transfer")),
        work=SimpleNamespace(asked=SimpleNamespace(metric=name)), done={"scratch": [SimpleNamespace(history=())]},
    )  # fmt: skip
    return sentence(study, judged, "image")


@pytest.mark.parametrize("kind", list(SCORES))
@pytest.mark.parametrize("claim", list(GAINS))
def test_one_sentence_says_what_transfer_did_and_how_often_it_is_wrong(claim: str, kind: Kind) -> None:
    unit = {
        "classification": ("+6.1 points [4.0, 8.3]", "-6.1 points [-8.3, -4.0]", "0.0 points [-2.0, +2.0]"),
        "multi-label": (
            "+6.1 points of mean average precision [4.0, 8.3]",
            "-6.1 points of mean average precision [-8.3, -4.0]",
            "0.0 points of mean average precision [-2.0, +2.0]",
        ),
        "regression": ("+0.061 of r2 [0.040, 0.083]", "-0.061 of r2 [-0.083, -0.040]", "0.000 of r2 [-0.020, +0.020]"),
    }[kind][list(GAINS).index(claim)]
    opening = {
        "helped": f"Transfer helped: {unit} over training from scratch",
        "hurt": f"Transfer hurt: linear {unit} over training from scratch",
        "undecided": f"Undecided whether transfer helps: linear {unit} over training from scratch",
    }[claim]
    assert said_of(claim, kind) == f"{opening}; {WRONG[kind]}"


def test_mistakes_out_of_fold_are_called_so() -> None:
    assert said_of("helped", "classification", on="out-of-fold").endswith("; 41 of 656 photos wrong, out of fold.")


def test_a_better_arm_on_few_examples_is_named_beside_the_one_that_hurt() -> None:
    few = {"finetune": (0.85, 12), "lp-ft": (0.95, 24), "earlier": (0.7, 12)}
    said = said_of("hurt", "classification", few)
    assert "linear -6.1 points" in said
    assert "(lp-ft scored better, on only 24 examples: too few to stand for transfer)" in said
    assert "lp-ft" not in said_of("helped", "classification", few)
    assert "scored better" not in said_of("hurt", "classification", {"all-stages": (0.95, 60)})
