"""A run as the report reads it: its record, its training curves, and the predictions of the model it delivered."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headstart.core.errors import UserError
from headstart.core.exhibits import Exhibits
from headstart.core.predictions import Floats, Ints, Targets
from headstart.core.problem import Kind, Task
from headstart.core.record import On, Record
from headstart.data.targets import encode, spoken
from headstart.evaluation.evidence import stored_task
from headstart.evaluation.suspects import suspects, tells
from headstart.metrics.kinds import KINDS
from headstart.report.pairs import alike

EXHIBITS = "exhibits.json"
MISTAKES, SUSPECTS = 12, 12  # that the page shows
TELLING = 0.9  # of the probability
ON: tuple[On, ...] = ("out-of-fold", "test")


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


@dataclass(frozen=True)
class Suspicion:
    """An example whose label may be wrong.

    Args:
        name: the example.
        given: its label.
        likely: what it rather is.
        probability: of what it rather is, by a model that had not learned from it.
    """

    name: str
    given: str
    likely: str
    probability: float


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


def _damaged(path: Path) -> UserError:
    return UserError("a finished run whose files can be read", f"{path}, which is damaged", "Fit again.")


def history(run: Path) -> list[dict[str, Any]]:
    """The epochs that were trained, in order; empty when only closed forms ran."""
    path = run / "history.jsonl"
    if not path.is_file():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError):
        raise _damaged(path) from None


def exhibits(run: Path) -> Exhibits:
    """What may be shown of the examples; nothing where it was to be kept private, or the file is damaged."""
    try:
        return Exhibits.from_json((run / EXHIBITS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Exhibits(shown={})


def outputs(run: Path, about: Record) -> Outputs | None:
    """Predictions of the delivered model, on the test when it was predicted, else out-of-fold; None if none kept."""
    rows = predicted(run, about)
    if rows is None:
        return None
    on: On = "test" if "test" in rows["on"].unique().to_pylist() else "out-of-fold"
    return _outputs(rows, about, on)


def predicted(run: Path, about: Record) -> pa.Table | None:
    """The kept predictions of the delivered model, of all parts."""
    path = run / "predictions.parquet"
    if not path.is_file():
        return None
    try:
        return pq.read_table(path, filters=pc.field("arm") == about.decision.delivered)
    except (OSError, ValueError):
        raise _damaged(path) from None


def _outputs(rows: pa.Table, about: Record, on: On) -> Outputs | None:
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
    names, mean, truth = _each(found)
    if found.kind != "classification":
        return _farthest(found, names, mean, truth, n)
    said = (mean * found.class_weights).argmax(axis=1)
    wrong = np.flatnonzero(said != truth)
    order = wrong[np.argsort(-mean[wrong, said[wrong]], kind="stable")][:n]
    label: Sequence[str] = found.classes
    return tuple(Mistake(names[i], label[truth[i]], label[said[i]], float(mean[i, said[i]])) for i in order)


def _each(found: Outputs) -> tuple[list[str], Floats, Targets]:
    """Every example once: its name, what is stated of it on average, its target."""
    names, first, inverse = np.unique(np.asarray(found.names), return_index=True, return_inverse=True)
    scaled = found.scaled()
    mean = np.zeros((len(names), scaled.shape[1]))
    np.add.at(mean, inverse, scaled * found.weights()[:, None])
    return names.tolist(), mean, found.truth[first]


def _farthest(found: Outputs, names: list[str], mean: Floats, truth: Targets, n: int) -> tuple[Mistake, ...]:
    right = KINDS[found.kind].right(mean, truth)
    order = np.argsort(right, kind="stable")[:n]
    task = Task("", found.kind, found.classes)
    said = mean >= 0.5 if task.kind == "multi-label" else mean[:, 0]
    return tuple(Mistake(names[i], spoken(truth[i], task), spoken(said[i], task), None) for i in order if right[i] < 1)


def telling(run: Path, n: int) -> tuple[str, ...]:
    """Names of n examples to explain: right answers, class by class, and the worst mistakes, at most half, in turn.

    Right answers are those that are stated with about `TELLING`: where a model is all but certain, no part that is left
    out shows. Of numbers they are the nearest.

    Raises:
        UserError: there is no finished run in that folder.
    """
    found = outputs(run, record(run))
    if found is None:
        return ()
    wrong = [one.name for one in worst(found, n // 2)]
    names, mean, truth = _each(found)
    right = np.asarray(KINDS[found.kind].right(mean, truth), dtype=float)
    order = np.lexsort((np.abs(mean.max(axis=1) - TELLING), -right))
    kinds = KINDS[found.kind].strata(truth).tolist()
    turn: Counter[int] = Counter()
    ranked: list[tuple[int, int]] = []
    for place, i in enumerate(order.tolist()):
        ranked.append((turn[kinds[i]] * len(names) + place, i))  # one of each class before the second of any
        turn[kinds[i]] += 1
    fine = [names[i] for _, i in sorted(ranked) if names[i] not in wrong]
    pairs = zip_longest(wrong, fine[: n - len(wrong)])
    return tuple(name for pair in pairs for name in pair if name is not None)


def suspicious(run: Path, about: Record, n: int) -> tuple[Suspicion, ...]:
    """Labels that out-of-sample predictions speak against, the most suspicious first; of classes only."""
    rows = predicted(run, about)
    parts = [] if rows is None else [_outputs(rows, about, on) for on in ON]
    found = [one for one in parts if one is not None and one.kind == "classification"]
    if not found:
        return ()
    each = [_each(one) for one in found]
    names, classes = [name for part in each for name in part[0]], found[0].classes
    stated, given = np.vstack([part[1] for part in each]), np.concatenate([part[2] for part in each])
    if not tells(stated, given):
        return ()
    return tuple(
        Suspicion(names[one.index], classes[one.given], classes[one.likely], float(stated[one.index, one.likely]))
        for one in suspects(stated, given, n)
    )


def exhibited(run: Path) -> tuple[str, ...]:
    """Names of the examples that the page shows, apart from those that are explained.

    Raises:
        UserError: there is no finished run in that folder.
    """
    about = record(run)
    wrong = (one.name for one in worst(outputs(run, about), MISTAKES))
    odd = (one.name for one in suspicious(run, about, SUSPECTS))
    twins = (one.name for group in alike(about, predicted(run, about)) for one in group.members)
    return tuple(dict.fromkeys((*wrong, *odd, *twins)))
