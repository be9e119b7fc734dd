"""Trackers: they are told everything as it comes, change nothing, and may fail."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart as hs
from headstart import tracking
from headstart.advisor import work as work_file
from headstart.cli.progress import Lines
from headstart.core.errors import UserError
from headstart.core.progress import Silent, Standing
from headstart.core.record import AskedRecord, Record

SAID = AskedRecord(target="ripe", sources=("a:x", "b:y"), minutes=2.5, seed=7, trust=True)
EPOCH = {"epoch": 1, "lr": 0.1, "train_loss": 0.5, "validation_loss": None, "seconds": 2.0}
STANDING = Standing("lp-ft", "lp-ft", "a:x", "transfer", "accuracy", 0.75, "1 of 5 folds", 3.5, False)
HISTORY = [
    {"arm": "lp-ft", "unit": "fold 1", "epoch": 1, "train_loss": 9.0, "seconds": 1.0},
    {"arm": "lp-ft", "unit": "final", "epoch": 1, "train_loss": 0.25, "seconds": 1.0},
]


def record() -> Record:
    spec = importlib.util.spec_from_file_location("made_run", Path(__file__).parents[1] / "made_run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.record()


class Told(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


class Fake:
    """accelerate's `Accelerator`, as far as trackers go."""

    def __init__(self, fails: str = "") -> None:
        self.fails, self.seen, self.rows = fails, {}, list[tuple[int, dict[str, Any]]]()

    def __call__(self, **given: Any) -> "Fake":
        assert given["cpu"] is True
        self.seen |= given
        return self

    def init_trackers(self, project: str, config: dict[str, Any], own: dict[str, Any]) -> None:
        sys.stdout.write("a tracker that talks\n")
        self.seen |= {"project": project, "config": config, "own": own}
        self._may_fail("init")

    def log(self, values: dict[str, Any], step: int) -> None:
        self._may_fail("log")
        self.rows.append((step, values))

    def end_training(self) -> None:
        self.seen["ended"] = True
        self._may_fail("end")

    def _may_fail(self, where: str) -> None:
        if self.fails == where:
            raise RuntimeError("the server said no\nand more")


def use(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> Fake:
    module = type(sys)("accelerate")
    module.Accelerator = fake  # type: ignore[attr-defined]
    monkeypatch.setattr(tracking, "require", lambda package, extra: module)
    return fake


def run_through(name: str, out: Path, progress: Any) -> None:
    with tracking.tracked(name, out, SAID, progress) as (shown, tell):
        shown.begins({"data": "few"})
        with shown.step("lp-ft, choices", 10) as step:
            step.advance(5)
            step.note("epoch 1/2")
            step.epoch(EPOCH)
            step.epoch({**EPOCH, "epoch": 2, "train_loss": 0.4})
        shown.scored(STANDING)
        tell(record(), HISTORY)


def test_everything_is_told_in_one_count_of_steps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = use(Fake(), monkeypatch)
    run_through("wandb", tmp_path / "run", Lines(sys.stderr))
    assert fake.seen["project"] == "headstart"
    assert fake.seen["config"] == {
        "target": "ripe", "sources": "a:x, b:y", "minutes": 2.5, "seed": 7, "trust": True, "deliver": "auto",
    }  # fmt: skip
    assert fake.seen["own"]["wandb"] == {"name": "run"}
    assert [step for step, _ in fake.rows] == list(range(1, len(fake.rows) + 1))
    assert fake.rows[:4] == [
        (1, {"lp-ft choices/epoch": 1, "lp-ft choices/lr": 0.1, "lp-ft choices/train_loss": 0.5}),
        (2, {"lp-ft choices/epoch": 2, "lp-ft choices/lr": 0.1, "lp-ft choices/train_loss": 0.4}),
        (3, {"accuracy/lp-ft": 0.75, "seconds/lp-ft": 3.5}),
        (4, {"lp-ft final/epoch": 1, "lp-ft final/train_loss": 0.25}),  # what no step has shown
    ]
    last = dict(fake.rows[4][1] | fake.rows[5][1])
    assert (last["final/accuracy"], last["final/gain"], last["final/seconds"]) == (0.86, 0.23, 345)
    assert fake.seen["ended"]
    out, err = capsys.readouterr()
    assert out == ""  # --json has standard output for itself
    assert "a tracker that talks" in err
    assert "data: few" in err
    assert "lp-ft, choices" in err


def test_offline_keeps_weights_and_biases_on_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = use(Fake(), monkeypatch)
    with tracking.tracked("wandb", tmp_path / "run", AskedRecord(offline=True), Silent()):
        pass
    assert fake.seen["own"]["wandb"]["mode"] == "offline"


@pytest.mark.parametrize(
    ("name", "variable", "address", "refused"),
    [
        ("mlflow", "MLFLOW_TRACKING_URI", "https://me:secret@example.org", True),
        ("mlflow", "MLFLOW_TRACKING_URI", "postgresql+psycopg://host/runs", True),
        ("mlflow", "MLFLOW_TRACKING_URI", "databricks", True),
        ("trackio", "TRACKIO_SPACE_ID", "me/space", True),
        ("mlflow", "MLFLOW_TRACKING_URI", "sqlite:///runs.db", False),
        ("mlflow", "MLFLOW_TRACKING_URI", "file:///runs", False),
        ("mlflow", "MLFLOW_TRACKING_URI", "./runs", False),
        ("tensorboard", "MLFLOW_TRACKING_URI", "https://example.org", False),
    ],
)
def test_offline_tells_no_other_machine(
    name: str, variable: str, address: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "installed", lambda _: True)
    monkeypatch.setenv(variable, address)
    tracking.check(name, offline=False)  # with a network it is as the user wants
    if not refused:
        tracking.check(name, offline=True)
        return
    expected = rf"on this machine for --offline --track {name}, got another address in {variable}\nUnset {variable}"
    with pytest.raises(UserError, match=expected) as error:
        tracking.check(name, offline=True)
    assert address not in str(error.value)


@pytest.mark.parametrize("where", ["init", "log", "end"])
def test_a_tracker_that_fails_costs_one_line(where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake, told = use(Fake(where), monkeypatch), Told()
    run_through("wandb", tmp_path / "run", told)
    why = "wandb does not take what it is told (RuntimeError: the server said no); going on without it"
    assert told.lines == [why]
    assert bool(fake.rows) is (where == "end")


def test_a_run_that_fails_lets_the_tracker_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = use(Fake(), monkeypatch)
    with pytest.raises(KeyboardInterrupt), tracking.tracked("wandb", tmp_path / "run", SAID, Silent()):
        raise KeyboardInterrupt
    assert fake.seen["ended"]


def test_without_a_tracker_nothing_stands_between() -> None:
    progress = Silent()
    with tracking.tracked(None, Path("run"), SAID, progress) as (shown, tell):
        assert shown is progress
        tell(record(), HISTORY)
    tracking.check(None, offline=True)


def test_what_is_missing_is_named_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"the name of a tracker(?s:.*)wandb"):
        hs.fit("nowhere", track="wanbd")
    monkeypatch.setattr(tracking, "installed", lambda package: False)
    with pytest.raises(UserError, match=r"the package mlflow for --track mlflow(?s:.*)pip install mlflow"):
        hs.fit("nowhere", track="mlflow")

    def gone(package: str, extra: str) -> None:
        raise UserError(f"the package {package}", "none", f"pip install 'headstart[{extra}]'")

    monkeypatch.setattr(tracking, "require", gone)
    with pytest.raises(UserError, match=r"accelerate(?s:.*)headstart\[track\]"):
        hs.fit("nowhere", track="mlflow")


def curves(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def test_tensorboard_has_it_on_disk(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    told = Told()
    run_through("tensorboard", tmp_path / "runs" / "mine", told)
    assert told.lines == []
    found = curves(tmp_path / "runs" / "tensorboard" / "mine")
    losses = found.Scalars("lp-ft choices/train_loss")
    assert [round(point.value, 3) for point in losses] == [0.5, 0.4]
    assert found.Scalars("final/gain")[0].value == pytest.approx(0.23)
    assert "verdict/text_summary" in found.Tags()["tensors"]


@pytest.mark.slow
def test_a_run_is_the_same_with_and_without(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 90, (48, 16, 16, 3), dtype=np.uint8)
    labels = np.array(["dark", "light"] * 24)
    pixels[labels == "light", :8] += 110
    strategies = ["linear", "finetune"]
    asked: dict[str, Any] = {"sources": ["random:resnet10t"], "minutes": 0.2, "thumbnails": False, "deliver": "control"}
    few = hs.fit((pixels, labels), out=tmp_path / "few", strategies=["linear"], **asked)
    work = work_file.read(few.run / work_file.NAME)
    climbs = tuple(work_file.Climb(arm=arm, source="random:resnet10t", epochs=2, seconds=1.0) for arm in ("finetune",))
    step = {arm: {"random:resnet10t": 0.001} for arm in ("finetune", "scratch")}
    work_file.write(tmp_path, work.model_copy(update={"climbs": climbs, "m": 1, "finalists": 1, "step": step}))
    asked |= {"strategies": strategies, "replay": tmp_path / work_file.NAME}
    one = hs.fit((pixels, labels), out=tmp_path / "one", track="tensorboard", **asked)
    two = hs.fit((pixels, labels), out=tmp_path / "two", **asked)
    assert one.record.scores == two.record.scores
    assert one.predictions() == two.predictions()
    found = curves(tmp_path / "tensorboard" / "one")
    tags = set(found.Tags()["scalars"])
    assert {"accuracy/linear", "accuracy/finetune", "final/accuracy"} <= tags
    assert {"finetune choices/train_loss", "finetune choices/validation_loss", "finetune/train_loss"} <= tags
    assert len(found.Scalars("finetune choices/epoch")) >= 2
    assert found.Scalars("final/accuracy")[0].value == pytest.approx(one.record.scores["accuracy"])
