"""A run as the report reads it: its record, its training curves, and the predictions of the model it delivered."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headstart.core.errors import UserError
from headstart.core.predictions import Floats, Ints, Targets
from headstart.core.problem import Kind, Task
from headstart.core.record import On, Record
from headstart.data.targets import encode, spoken
from headstart.evaluation.evidence import stored_task
from headstart.metrics.kinds import KINDS


@dataclass(frozen=True)
class Outputs:
    """What the delivered model said about examples it had not learned from.

    Args:
        on: "test" when it has test rows, else "out-of-fold".
        classes: the label names, in the order of the codes.
        names: (r,) example of each row; with repeated folds an example has several rows.
        truth: targets of the r rows.
        probabilities: (r, K), before the temperature.
        temperature: what the delivered model divides its logits by.
        class_weights: (C,) what it multiplies its probabilities by to choose a class.
        kind: of task.
    """

    on: On
    classes: tuple[str, ...]
    names: tuple[str, ...]
    truth: Targets
    probabilities: Floats
    temperature: float
    class_weights: Floats
    kind: Kind = "classification"

    def scaled(self) -> Floats:
        """(r, K) what the delivered model states."""
        return KINDS[self.kind].cooled(self.probabilities, self.temperature)

    def named(self) -> Ints:
        """(r,) codes of the classes that it names."""
        return (self.scaled() * self.class_weights).argmax(axis=1)

    def weights(self) -> Floats:
        """(r,) weights with which every example counts once, however often it was predicted."""
        _, inverse, counts = np.unique(np.asarray(self.names), return_inverse=True, return_counts=True)
        return 1.0 / counts[inverse]


@dataclass(frozen=True)
class Mistake:
    """An example that the delivered model got wrong.

    Args:
        name: the example.
        truth: its label, its labels, or its number.
        said: what the model gave it.
        probability: how sure the model was of that, calibrated; None of several labels, and of numbers.
    """

    name: str
    truth: str
    said: str
    probability: float | None


def record(run: Path) -> Record:
    """The record of a run.

    Raises:
        UserError: there is no finished run in that folder.
    """
    path = run / "record.json"
    if not path.is_file():
        raise UserError(
            "the folder of a finished run", f"{run}, which holds no record.json", "Run headstart fit first."
        )
    try:
        return Record.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        said = str(error).splitlines()[0]
        raise UserError(
            "the folder of a finished run", f"{run} ({said})", "Its record is damaged; fit again."
        ) from None


def history(run: Path) -> list[dict[str, Any]]:
    """The epochs that were trained, in order; empty when only closed forms ran."""
    path = run / "history.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def outputs(run: Path, about: Record) -> Outputs | None:
    """Predictions of the delivered model, on the test when it was predicted, else out-of-fold; None if none kept."""
    path = run / "predictions.parquet"
    if not path.is_file():
        return None
    rows = pq.read_table(path, filters=pc.field("arm") == about.decision.delivered)
    on: On = "test" if "test" in rows["on"].unique().to_pylist() else "out-of-fold"
    rows = rows.filter(pc.field("on") == on)
    if rows.num_rows == 0:
        return None
    task = _task(rows, about)
    flat = rows["probabilities"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return Outputs(
        on=on,
        classes=task.classes,
        names=tuple(rows["example"].to_pylist()),
        truth=encode(rows["truth"].to_pylist(), task),
        probabilities=flat.reshape(rows.num_rows, task.outputs).astype(float),
        temperature=about.calibration.temperature,
        class_weights=np.array(about.calibration.weights(task.classes)),
        kind=task.kind,
    )


def _task(rows: pa.Table, about: Record) -> Task:
    stored, said = rows.schema.metadata or {}, about.tasks[0]
    return stored_task(stored) if b"classes" in stored else Task(said.name, said.kind, said.classes)


def worst(found: Outputs | None, n: int) -> tuple[Mistake, ...]:
    """The n worst mistakes, the worst first: those that the model was surest of, or that are farthest off."""
    if found is None:
        return ()
    names, first, inverse = np.unique(np.asarray(found.names), return_index=True, return_inverse=True)
    scaled = found.scaled()
    mean = np.zeros((len(names), scaled.shape[1]))
    np.add.at(mean, inverse, scaled * found.weights()[:, None])
    if found.kind != "classification":
        return _farthest(found, names.tolist(), mean, found.truth[first], n)
    said, truth = (mean * found.class_weights).argmax(axis=1), found.truth[first]
    wrong = np.flatnonzero(said != truth)
    order = wrong[np.argsort(-mean[wrong, said[wrong]], kind="stable")][:n]
    label: Sequence[str] = found.classes
    return tuple(Mistake(str(names[i]), label[truth[i]], label[said[i]], float(mean[i, said[i]])) for i in order)


def _farthest(found: Outputs, names: list[str], mean: Floats, truth: Targets, n: int) -> tuple[Mistake, ...]:
    right = KINDS[found.kind].right(mean, truth)
    order = np.argsort(right, kind="stable")[:n]
    task = Task("", found.kind, found.classes)
    said = mean >= 0.5 if task.kind == "multi-label" else mean[:, 0]
    return tuple(Mistake(names[i], spoken(truth[i], task), spoken(said[i], task), None) for i in order if right[i] < 1)


def mistakes(run: Path, n: int = 12) -> tuple[str, ...]:
    """Names of the examples whose thumbnails the report shows: the mistakes the delivered model was surest of.

    Raises:
        UserError: there is no finished run in that folder.
    """
    return tuple(m.name for m in worst(outputs(run, record(run)), n))
