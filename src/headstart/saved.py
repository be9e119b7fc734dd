"""A delivered model opened from its run: it answers on new examples, a batch at a time, and leaves nothing of them."""

import json
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file

from headstart.core.errors import UserError
from headstart.core.predictions import Floats, Ints
from headstart.core.problem import Kind, Task
from headstart.core.progress import Progress
from headstart.core.protocols import State
from headstart.core.record import SkippedFile
from headstart.data.dataset import Dataset, Item, UnreadableError
from headstart.data.handed import Given, examples, handed
from headstart.data.store import Store
from headstart.evaluation.class_weights import Reading
from headstart.evaluation.familiarity import Familiar, Neighbour
from headstart.features.backends import Mode
from headstart.features.once import Held, Looked, look, taps
from headstart.metrics.kinds import KINDS
from headstart.modalities.catalog import opened, reader
from headstart.modalities.image.encode import png
from headstart.runs import read_record
from headstart.sources.card import Card
from headstart.sources.formats.checks import said, sha256
from headstart.sources.load import again, load, rebuild
from headstart.training.plan_learner import FittedAny, FittedNet, FittedSolve

SAID = 0.5  # probability from which a label is named
CHUNK = 512  # examples that are open at once


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
        unlike: whether it is like nothing that was trained on; None where the run keeps no training examples.
        nearest: the training examples that the model takes for most alike, the nearest first.
    """

    file: str
    label: str
    probability: float | None
    probabilities: dict[str, float]
    labels: tuple[str, ...] | None = None
    value: float | None = None
    off: float | None = None
    unlike: bool | None = None
    nearest: tuple[Neighbour, ...] = ()


Answer = Prediction | SkippedFile


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
        store: the cache, for what a backend has converted.
        familiar: examples that it was trained on, if the run keeps any.
    """

    fitted: FittedAny
    kind: str
    column: str | None
    task: Task
    reading: Reading
    off: float | None
    sources: tuple[Any, ...]
    modes: Mapping[str, Mode]
    store: Store = field(repr=False)
    familiar: Familiar | None = field(default=None, repr=False)

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
            modes = [Mode.model_validate(one) for one in _modes(state)]
            solved = None if state.meta["kind"] == "net" else FittedSolve.restore(state)
            familiar = Familiar.read(run)
        except UserError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError, ValidationError) as error:
            do = "Fit again, or copy the run again."
            raise UserError("the model of a finished run", f"{run} ({said(error)})", do) from None
        if solved is None:
            assert cards[0] is not None, "a net has one"
            net = FittedNet.restore(state, rebuild(cards[0]), store)
            return Saved(net, kind, column, task, reading, off, (), {}, store, familiar)
        own = _own(kind, column, task)
        names = solved.solved.sources
        sources = tuple(_tapped(name, card, own) for name, card in zip(names, cards, strict=True))
        by_name = dict(zip(names, modes, strict=True))
        return Saved(solved, kind, column, task, reading, off, sources, by_name, store, familiar)

    def predict(self, given: Given, progress: Progress) -> list[Prediction]:
        """One prediction an example, in order.

        Raises:
            UserError: nothing was given, or the first example that cannot be read.
        """
        found: list[Prediction] = []
        for one in self.answers(given, progress):
            if isinstance(one, SkippedFile):
                do = "Leave it out, or repair it."
                raise UserError("an example that can be read", f"{one.name}: {one.why}", do)
            found.append(one)
        if not found:
            raise UserError("at least one example to predict", "none", "Name the files.")
        return found

    def answers(self, given: Given, progress: Progress) -> Iterator[Answer]:
        """One answer an example, in order, as they come; of what cannot be read the reason why.

        Args:
            given: files, or folders of files; a table stands for its rows. Of texts a string is a text, of tables a row
                in JSON. Or an object with examples in it, as `fit` takes it, or an array of examples.
            progress: told how far it is.

        Raises:
            UserError: it is nothing that can be handed in.
        """
        with tempfile.TemporaryDirectory(prefix="headstart-") as scratch:
            there = examples(given, Path(scratch), png, files=not reader(self.kind).literal)
            if not isinstance(there, Path):
                yield from self._one_by_one(there, Path(scratch), progress)
                return
            for at, one in enumerate(self._one_by_one([there], Path(scratch), progress), 1):
                yield _called(one, f"example {at}", there)

    def _one_by_one(self, several: Sequence[str | Path | None], scratch: Path, progress: Progress) -> Iterator[Answer]:
        """Answers on paths and strings; of what is None, or cannot be opened, why there is none."""
        count = 0
        literal = reader(self.kind).literal

        def counted() -> Iterator[str | Path | SkippedFile]:
            nonlocal count
            for one in several:
                count += 1
                if one is None:
                    yield SkippedFile(name=f"example {count}", why="nothing")
                elif literal and isinstance(one, str):
                    yield one
                else:
                    yield _lies(Path(one), scratch)

        with progress.step("predicting", len(several)) as step:
            there = opened(reader(self.kind), counted(), self.column)
            done = 0
            while chunk := list(islice(there, CHUNK)):
                yield from self.answered(chunk)
                step.advance(count - done)
                done = count
            step.advance(count - done)

    def answered(self, there: Sequence[Item | SkippedFile]) -> list[Answer]:
        """One answer for each of some opened examples, in order."""
        found: dict[int, Answer] = {at: one for at, one in enumerate(there) if isinstance(one, SkippedFile)}
        placed = [replace(one, key=str(at)) for at, one in enumerate(there) if isinstance(one, Item)]
        for batch, rows, features in self._passed(placed):
            near = self.familiar.near(features) if self.familiar else [(None, ())] * len(rows)
            for item, row, (unlike, nearest) in zip(batch.items, rows, near, strict=True):
                found[int(item.key)] = replace(
                    SAYS[self.task.kind](self, item.name, row), unlike=unlike, nearest=nearest
                )
            found |= {int(item.key): SkippedFile(name=item.name, why=why) for item, why in batch.damaged}
        return [found[at] for at in range(len(there))]

    def stated(self, items: Sequence[Item]) -> Floats:
        """(n, K) calibrated probabilities, or numbers.

        Raises:
            HeadstartError: an example is damaged.
        """
        placed = [replace(one, key=str(at)) for at, one in enumerate(items)]
        found: dict[int, Floats] = {}
        for batch, rows, _ in self._passed(placed):
            if batch.damaged:
                item, why = batch.damaged[0]
                raise UnreadableError(item.name, why)
            found |= {int(item.key): row for item, row in zip(batch.items, rows, strict=True)}
        return np.stack([found[at] for at in range(len(items))])

    def named(self, stated: Floats) -> Ints:
        """(n,) codes of the classes that are named, of the surest labels, 0 of numbers."""
        return (stated * self.reading.weights).argmax(axis=1)

    def _passed(self, items: Sequence[Item]) -> Iterator[tuple[Looked, Floats, Floats]]:
        """Examples in batches, (k, K) what is stated of each, and (k, D) the features that this rests on."""
        if not items:
            return
        data = reader(self.kind).asked(items, self.task, self.column)
        inputs = [self.fitted.origin.input] if isinstance(self.fitted, FittedNet) else [s.input for s in self.sources]
        with warnings.catch_warnings():  # around the threads that decode: of odd metadata, which nobody can mend
            warnings.simplefilter("ignore")
            for batch in look(items, data.modality, inputs, self.store):
                none = np.zeros((0, 1), dtype=np.float32)
                rows, features = self._through(batch, data) if batch.items else (none, none)
                yield batch, self.reading.stated(rows) if batch.items else rows, features

    @cached_property
    def _through(self) -> Callable[[Looked, Dataset], tuple[Floats, Floats]]:
        """A batch -> (k, K) what the model puts out, and (k, D) the features that it rests on; made once."""
        if isinstance(self.fitted, FittedNet):
            return partial(_of_net, self.fitted)
        return partial(_of_head, self.fitted, taps(self.sources, self.modes, self.store))


def _lies(path: Path, scratch: Path) -> Path | SkippedFile:
    """The file, or the table that what `datasets` has saved there is written to."""
    try:
        return handed(path, None, scratch, png)[0]
    except UserError as error:
        return SkippedFile(name=str(path), why=f"expected {error.expected}, got {error.came}. {error.do}")


def _called(answer: Answer, name: str, table: Path) -> Answer:
    """The same under another name: nobody knows the table that an object was written to."""
    if isinstance(answer, SkippedFile):
        return SkippedFile(name=name, why=answer.why.replace(str(table), "it").replace(table.name, "it"))
    return replace(answer, file=name)


def _of_net(fitted: FittedNet, batch: Looked, data: Dataset) -> tuple[Floats, Floats]:
    with torch.inference_mode():
        features = fitted.net.features(batch.given[fitted.origin.input])
        logits = fitted.net.head(features).double().numpy()
    return KINDS[data.task.kind].stated(logits), features.float().numpy()


def _of_head(
    fitted: FittedSolve, held: Callable[[Looked], Held], batch: Looked, data: Dataset
) -> tuple[Floats, Floats]:
    features = held(batch)
    source, stage = fitted.solved.taps[-1]
    return fitted.predict(data, features).probabilities, features.of(source, stage, data)


def _class(saved: Saved, name: str, row: Floats) -> Prediction:
    code = int(saved.named(row[None])[0])
    return Prediction(name, saved.task.classes[code], float(row[code]), _each(saved, row))


def _labels(saved: Saved, name: str, row: Floats) -> Prediction:
    each = _each(saved, row)
    said = tuple(label for label, p in each.items() if p >= SAID)
    return Prediction(name, ", ".join(said), min((each[one] for one in said), default=None), each, said)


def _number(saved: Saved, name: str, row: Floats) -> Prediction:
    return Prediction(name, f"{row[0]:.4g}", None, {}, value=float(row[0]), off=saved.off)


def _each(saved: Saved, row: Floats) -> dict[str, float]:
    return {label: float(p) for label, p in zip(saved.task.classes, row, strict=True)}


SAYS: Mapping[Kind, Callable[[Saved, str, Floats], Prediction]] = MappingProxyType(
    {"classification": _class, "multi-label": _labels, "regression": _number}
)


def _stored(run: Path) -> tuple[State, list[Card | None]]:
    """What the delivered model was at rest, and the card of each of its sources, as far as they have one."""
    meta = json.loads((run / "model.json").read_text(encoding="utf-8"))
    there = json.loads((run / "card.json").read_text(encoding="utf-8"))
    listed: list[Any] = there if isinstance(there, list) else [there]
    cards = [None if card is None else Card.model_validate(card) for card in listed]
    if None in cards and meta["kind"] == "net":
        raise ValueError("card.json without a card")
    found = sha256(run / "model.safetensors")
    if found != meta["sha256"]:
        raise ValueError(f"model.safetensors with another sha256 than {meta['sha256']}")
    return State(load_file(run / "model.safetensors"), meta), cards


def _modes(state: State) -> list[dict[str, Any]]:
    """How the features of each source were computed; runs from before all of it was kept say in which precision.

    Whether in torch they do not say: low precision there is slower than float32 on many processors.
    """
    if (modes := state.meta.get("modes")) is not None:
        return modes
    return [{"exact": x, "backend": "eager" if x is None else "openvino"} for x in state.meta["exact"]]


def _weights(state: State, task: Task) -> Floats:
    """(K,) class weights; runs from before there were any have none."""
    found = np.array(state.meta.get("class_weights", [1.0] * task.outputs), dtype=float)
    if found.shape != (task.outputs,) or not ((found > 0) & (found < np.inf)).all():
        raise ValueError("model.json without a positive class weight for each class")
    return found


def _own(kind: str, column: str | None, task: Task) -> dict[str, Any]:
    """What a kind of data brings of its own to read features from, by name; of tables these know the columns."""
    modality = reader(kind).asked((), task, column).modality
    return {one.name: one for one in (modality.baseline, *modality.controls.values())}


def _tapped(name: str, card: Card | None, own: Mapping[str, Any]) -> Any:
    """What the frozen head reads: the raw input, a source that is still what it was, or a control's untrained net."""
    return own.get(name) or (load(name) if card is None else again(card))
