"""A run on disk: begun aside, renamed when whole, opened to predict. Paths inside are relative; nothing is pickled."""

import contextlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from headstart.advisor import work as work_file
from headstart.advisor.ladder import final
from headstart.advisor.study import Study
from headstart.advisor.work import Asked, Work
from headstart.core.errors import UserError
from headstart.core.predictions import Floats, Ints
from headstart.core.problem import Task
from headstart.core.progress import Progress
from headstart.core.protocols import State
from headstart.core.record import Record
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.evaluation import evidence as kept
from headstart.evaluation.class_weights import Reading
from headstart.features.backends import FLOAT32, Mode
from headstart.features.extract import extract
from headstart.features.table import FeatureTable
from headstart.modalities.catalog import reader
from headstart.sources.card import Card
from headstart.sources.formats.checks import said, sha256
from headstart.sources.load import again, load, rebuild
from headstart.training.checkpoint import strip
from headstart.training.plan_learner import FittedAny, FittedNet, FittedSolve

RECORD = "record.json"
SAID = 0.5  # probability from which a label is named


def free(out: Path) -> Path:
    """A folder that a run may become.

    Raises:
        UserError: something else is there, or above it.
    """
    above = next((one for one in out.parents if one.exists()), out.parent)
    if not above.is_dir():
        raise UserError(
            "a new or empty folder for the run", f"{out}, but {above} is a file", "Name another with --out."
        )
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError("a new or empty folder for the run", str(out), "Name another with --out, or remove this one.")
    return out


def answered(finished: Path, asked: Asked, progress: Progress, *, self_test: bool) -> Record | None:
    """The record of a finished run that has answered this very question, and tested itself where that is asked."""
    if not (finished / RECORD).exists() or not (finished / work_file.NAME).exists():
        return None
    known = read_record(finished) if work_file.read(finished / work_file.NAME).asked == asked else None
    if known is None or (self_test and not known.self_test):
        return None
    progress.say(f"{finished} has answered this already; remove it to run again")
    return known


def unfinished(finished: Path) -> Path:
    """Where a run's work is kept until it is whole: beside it, hidden."""
    return finished.with_name(f".{finished.name}.unfinished")


def begin(finished: Path, asked: Asked, replay: Work | None) -> Work | None:
    """Make the folder of unfinished work and return the work that was decided there so far.

    Unfinished work of the same question is resumed; of another question it is dropped.

    Raises:
        UserError: the work to replay was decided for other data, plans or weights.
    """
    if replay is not None and replay.asked.fingerprint != asked.fingerprint:
        raise UserError("a work.json of the same data", "one of other data", "Replay it on the data that it came from.")
    if replay is not None and replay.asked.plans != asked.plans:
        raise UserError(
            "a work.json of this version", "one whose strategies had other plans", "Fit again, or use that version."
        )
    if replay is not None and (changed := _changed(replay.asked, asked)):
        came = f"another net under {', '.join(changed)}"
        raise UserError("a work.json of the same weights", came, "Fit again, or bring back the weights.")
    folder = unfinished(finished)
    there = folder / work_file.NAME
    again = None if replay is None else replay.model_copy(update={"asked": asked})  # what is asked now decides
    if there.exists():
        found = work_file.read(there)
        if found == again or (again is None and found.asked == asked):
            return found
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return again


def _changed(before: Asked, now: Asked) -> list[str]:
    """Names that stand for other weights than before, as far as that was kept."""
    was = dict(zip(before.sources, before.identities, strict=False))
    return [
        name for name, identity in zip(now.sources, now.identities, strict=True) if was.get(name, identity) != identity
    ]


def abandon(folder: Path) -> None:
    """Take back what `begin` made for a question that turned out to have no answer."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()  # only if nothing else is in it


def write(
    folder: Path,
    record: Record,
    study: Study,
    history: Sequence[Mapping[str, object]],
    cards: Mapping[str, Card],
) -> Path:
    """Write a run aside; `publish` lets it appear."""
    aside = folder / "run"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    (aside / RECORD).write_text(record.to_json(), encoding="utf-8")
    work_file.write(aside, study.work)
    kept.write(aside / kept.NAME, study.evidence)
    lines = "".join(json.dumps(row) + "\n" for row in history)
    (aside / "history.jsonl").write_text(lines, encoding="utf-8")
    _write_model(aside, study, record, cards)
    _write_checkpoints(folder, aside, study.decision.delivered)
    return aside


def publish(folder: Path, finished: Path) -> None:
    """Let the run that was written aside appear at once, and drop the unfinished work."""
    if finished.exists():
        shutil.rmtree(finished)
    finished.parent.mkdir(parents=True, exist_ok=True)
    (folder / "run").replace(finished)
    shutil.rmtree(folder, ignore_errors=True)


def _write_checkpoints(folder: Path, aside: Path, arm: str) -> None:
    """The epochs of the delivered net's final training: a later run may start from any of them (`checkpoint:`)."""
    place = folder / "checkpoints" / final(arm)
    phases = sorted(place.glob("phase *"), key=lambda phase: int(phase.name.split()[1]))
    # Of several phases the last: what an epoch did not move is then as in the delivered net.
    epochs = sorted((phases[-1] if phases else place).glob("epoch-*.safetensors"))
    for path in epochs:
        (aside / "checkpoints").mkdir(exist_ok=True)
        strip(path, aside / "checkpoints" / path.name)


def _write_model(folder: Path, study: Study, record: Record, cards: Mapping[str, Card]) -> None:
    fitted = study.fitted[study.decision.delivered]
    state = fitted.state()
    names = (fitted.source,) if isinstance(fitted, FittedNet) else fitted.solved.sources
    found = [fitted.origin.card if isinstance(fitted, FittedNet) else cards.get(name) for name in names]
    save_file({k: np.asarray(v, order="C") for k, v in state.arrays.items()}, folder / "model.safetensors")
    task = {"name": record.tasks[0].name, "kind": record.tasks[0].kind, "classes": list(record.tasks[0].classes)}
    calibration = record.calibration
    digest = sha256(folder / "model.safetensors")
    exact = [study.work.modes.get(name, FLOAT32).exact for name in names]
    facts = {
        "schema": 1,
        "exact": exact,
        "modality": record.data.modality,
        "task": task,
        "temperature": calibration.temperature,
        "class_weights": study.figures.reading.weights.tolist(),
        "off": calibration.off,
        "sha256": digest,
        "text": study.work.asked.text,
    }
    work_file.replace_json(folder / "model.json", facts | dict(state.meta))
    kept_cards = [None if card is None else card.model_dump(mode="json") for card in found]
    work_file.replace_json(folder / "card.json", kept_cards[0] if len(kept_cards) == 1 else kept_cards)


def read_record(run: Path) -> Record:
    """The record of a finished run.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    try:
        return Record.from_json((run / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            "a finished run", f"{run} ({str(error).splitlines()[0]})", "Name a run folder that fit has written."
        ) from None


def copy(run: Path, to: Path) -> Path:
    """Copy a run to a new folder, which appears whole."""
    free(to)
    aside = to.with_name(f".{to.name}.{os.getpid()}")
    aside.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(run, aside)
    if to.exists():
        to.rmdir()
    aside.replace(to)
    return to


@dataclass(frozen=True)
class Prediction:
    """What the delivered model says of one example.

    Attributes:
        file: which, by its name.
        label: the class with the largest probability times its class weight; all labels from 0.5 on, with commas; the
            number, in four digits.
        probability: of that class, calibrated; of labels, of the least sure of those that are named; of numbers none.
        probabilities: of all classes or labels.
        labels: where there may be any number of them.
        value: where a number is predicted.
        off: 90 % of numbers are at most so far off.
    """

    file: str
    label: str
    probability: float | None
    probabilities: dict[str, float]
    labels: tuple[str, ...] | None = None
    value: float | None = None
    off: float | None = None


@dataclass(frozen=True)
class Saved:
    """A delivered model opened from its run.

    Attributes:
        fitted: the model.
        kind: of data.
        column: of tables that the examples stand in.
        task: its label space.
        reading: how what it puts out is read.
        off: 90 % of the numbers that it predicts are at most so far off.
        sources: the frozen sources of its features; none for a net.
        modes: how each one's are computed: in the precision that the head was fitted on.
        store: the cache.
    """

    fitted: FittedAny
    kind: str
    column: str | None
    task: Task
    reading: Reading
    off: float | None
    sources: tuple[Any, ...]
    modes: Mapping[str, Mode]
    store: Store

    @staticmethod
    def open(run: Path) -> "Saved":
        """Load a run's model; its frozen sources are loaded by name and must be what the run was made with.

        Raises:
            UserError: the run is not whole, its weights are not those that it states, or the source has changed.
        """
        read_record(run)
        store = Store()
        try:
            state, cards = _stored(run)
            kind, column, about = str(state.meta["modality"]), state.meta.get("text"), state.meta["task"]
            task = Task(about["name"], about["kind"], tuple(about["classes"]))
            reading = Reading(float(state.meta["temperature"]), 0.0, _weights(state, task), task.kind)
            off = state.meta.get("off")
            modes = [Mode(exact=exact) for exact in state.meta["exact"]]
            solved = None if state.meta["kind"] == "net" else FittedSolve.restore(state)
        except UserError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            do = "Fit again, or copy the run again."
            raise UserError("the model of a finished run", f"{run} ({said(error)})", do) from None
        if solved is None:
            assert cards[0] is not None, "a net has one"
            net = FittedNet.restore(state, rebuild(cards[0]), store)
            return Saved(net, kind, column, task, reading, off, (), {}, store)
        names = solved.solved.sources
        sources = tuple(_tapped(name, card, kind) for name, card in zip(names, cards, strict=True))
        return Saved(solved, kind, column, task, reading, off, sources, dict(zip(names, modes, strict=True)), store)

    def predict(self, given: Sequence[str | Path], progress: Progress) -> list[Prediction]:
        """One prediction an example, in order."""
        several = [given] if isinstance(given, str | Path) else given
        data = reader(self.kind).inputs(several, self.task, self.column)
        stated = self.stated(data, progress)
        say = {"classification": self._class, "multi-label": self._labels, "regression": self._number}[self.task.kind]
        return [say(item.name, row) for item, row in zip(data.items, stated, strict=True)]

    def stated(self, data: Dataset, progress: Progress) -> Floats:
        """(n, K) calibrated probabilities, or numbers, of prepared examples."""
        features = FeatureTable({}, self.store)
        if self.sources:
            raw = {one.name: one for one in (data.modality.baseline, *data.modality.controls.values())}
            read = [raw.get(one.name, one) for one in self.sources]  # of tables these know the columns
            features = extract(read, data, self.store, progress, self.modes)
        return self.reading.stated(self.fitted.predict(data, features).probabilities)

    def named(self, stated: Floats) -> Ints:
        """(n,) codes of the classes that are named, of the surest labels, 0 of numbers."""
        return (stated * self.reading.weights).argmax(axis=1)

    def _class(self, name: str, row: Floats) -> Prediction:
        code = int(self.named(row[None])[0])
        each = {label: float(p) for label, p in zip(self.task.classes, row, strict=True)}
        return Prediction(name, self.task.classes[code], float(row[code]), each)

    def _labels(self, name: str, row: Floats) -> Prediction:
        each = {label: float(p) for label, p in zip(self.task.classes, row, strict=True)}
        said = tuple(label for label, p in each.items() if p >= SAID)
        return Prediction(name, ", ".join(said), min((each[one] for one in said), default=None), each, said)

    def _number(self, name: str, row: Floats) -> Prediction:
        return Prediction(name, f"{row[0]:.4g}", None, {}, value=float(row[0]), off=self.off)


def _stored(run: Path) -> tuple[State, list[Card | None]]:
    """What the delivered model was at rest, and the card of each of its sources, as far as they have one."""
    meta = json.loads((run / "model.json").read_text(encoding="utf-8"))
    there = json.loads((run / "card.json").read_text(encoding="utf-8"))
    cards = [None if card is None else Card.model_validate(card) for card in _listed(there)]
    if None in cards and meta["kind"] == "net":
        raise ValueError("card.json without a card")
    found = sha256(run / "model.safetensors")
    if found != meta["sha256"]:
        raise ValueError(f"model.safetensors with another sha256 than {meta['sha256']}")
    return State(load_file(run / "model.safetensors"), meta), cards


def _weights(state: State, task: Task) -> Floats:
    """(K,) class weights; runs from before there were any have none."""
    found = np.array(state.meta.get("class_weights", [1.0] * task.outputs), dtype=float)
    if found.shape != (task.outputs,) or not ((found > 0) & (found < np.inf)).all():
        raise ValueError("model.json without a positive class weight for each class")
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _tapped(name: str, card: Card | None, kind: str) -> Any:
    """What the frozen head reads: the raw input, a source that is still what it was, or a control's untrained net."""
    modality = reader(kind).modality
    own = {one.name: one for one in (modality.baseline, *modality.controls.values())}
    return own.get(name) or (load(name) if card is None else again(card))
