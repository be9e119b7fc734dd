"""All predictions that a run's claims rest on: out-of-fold and test, every arm, per example. `predictions.parquet`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from headstart.core.predictions import Floats, Ints, Targets
from headstart.core.problem import Kind, Task
from headstart.core.protocols import Role
from headstart.data.dataset import Dataset
from headstart.data.targets import decode, encode
from headstart.evaluation.folds import OutOfFold
from headstart.evaluation.shares import ALL, Learned

OOF, TEST, PARTLY = "out-of-fold", "test", "out-of-fold, learned from less"
NAME = "predictions.parquet"
SCHEMA = pa.schema(
    [
        ("example", pa.string()),
        ("key", pa.string()),
        ("group", pa.int64()),
        ("truth", pa.string()),
        ("arm", pa.string()),
        ("role", pa.string()),
        ("on", pa.string()),
        ("repeat", pa.int32()),
        ("fold", pa.int32()),
        ("share", pa.float64()),
        ("halved", pa.string()),
        ("probabilities", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True)
class Examples:
    """Who was predicted: names, content keys, targets and groups, row by row."""

    names: tuple[str, ...]
    keys: tuple[str, ...]
    truth: Targets
    groups: Ints

    @staticmethod
    def of(data: Dataset) -> "Examples":
        """The examples of a data set."""
        return Examples(tuple(i.name for i in data.items), tuple(data.keys), data.targets, data.groups)


@dataclass(frozen=True)
class Evidence:
    """Predictions and truth.

    Attributes:
        classes: label names; none where numbers are predicted.
        roles: arm -> transfer or control.
        train: examples with out-of-fold predictions.
        oof: those predictions.
        test: examples of the test part, none if there is none.
        tested: arm -> (n_test, C) predictions of the refitted arm.
        partly: the out-of-fold predictions of arms that have learned from less, by what that was.
        kind: of task.
    """

    classes: tuple[str, ...]
    roles: Mapping[str, Role]
    train: Examples
    oof: OutOfFold
    test: Examples | None
    tested: Mapping[str, Floats]
    partly: Mapping[Learned, OutOfFold] = field(default_factory=dict[Learned, OutOfFold])
    kind: Kind = "classification"

    @property
    def task(self) -> Task:
        """What was predicted."""
        return Task("", self.kind, self.classes)


def as_kept(probabilities: Floats) -> Floats:
    """Probabilities as precisely as the file keeps them, so that what is recomputed from it is equal."""
    return probabilities.astype(np.float32).astype(np.float64)


def write(path: Path, evidence: Evidence) -> None:
    """One row an arm, repeat and example; classes and the kind of task in the schema's metadata."""
    tables = [_oof_rows(evidence, evidence.oof, arm, OOF) for arm in evidence.oof.arms()]
    for learned, oof in evidence.partly.items():
        tables += [_oof_rows(evidence, oof, arm, PARTLY, learned) for arm in oof.arms()]
    if evidence.test is not None:
        tables += [_test_rows(evidence, evidence.test, arm) for arm in evidence.tested]
    schema = SCHEMA.with_metadata({"classes": json.dumps(evidence.classes), "kind": evidence.kind})
    pq.write_table(pa.concat_tables(tables).cast(schema), path, compression="zstd")


def _oof_rows(evidence: Evidence, oof: OutOfFold, arm: str, on: str, learned: Learned = ALL) -> pa.Table:
    rounds, index = np.nonzero(oof.scored(arm))
    folds = oof.maps[rounds, index]
    return _rows(evidence, evidence.train, arm, on, index, rounds, folds, oof.of(arm)[rounds, index], learned)


def _test_rows(evidence: Evidence, examples: Examples, arm: str) -> pa.Table:
    index = np.arange(len(examples.names))
    zero = np.zeros_like(index)
    return _rows(evidence, examples, arm, TEST, index, zero, zero, evidence.tested[arm])


def _rows(
    evidence: Evidence,
    who: Examples,
    arm: str,
    on: str,
    index: Ints,
    rounds: Ints,
    folds: Ints,
    values: Floats,
    learned: Learned = ALL,
) -> pa.Table:
    count = len(index)
    columns: dict[str, Any] = {
        "example": [who.names[i] for i in index],
        "key": [who.keys[i] for i in index],
        "group": who.groups[index],
        "truth": decode(who.truth[index], evidence.task),
        "arm": [arm] * count,
        "role": [evidence.roles[arm]] * count,
        "on": [on] * count,
        "repeat": rounds,
        "fold": folds,
        "share": [learned.share] * count,
        "halved": [learned.halved] * count,
        "probabilities": list(values.astype(np.float32)),
    }
    return pa.table(columns, schema=SCHEMA)


def read(path: Path) -> Evidence:
    """The inverse of `write`."""
    table = pq.read_table(path)
    task = stored_task(table.schema.metadata)
    columns: dict[str, Any] = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    columns["truth"] = encode(columns["truth"].tolist(), task)
    columns["probabilities"] = np.stack(list(columns["probabilities"])).astype(np.float64)
    roles: dict[str, Role] = dict(zip(columns["arm"].tolist(), columns["role"].tolist(), strict=True))
    train = _part(columns, columns["on"] == OOF)
    examples, position = _examples(train)
    partly = _partly(_part(columns, columns["on"] == PARTLY), examples, task.outputs)
    test = _part(columns, columns["on"] == TEST)
    tested_by = {arm: _part(test, test["arm"] == arm) for arm in dict.fromkeys(test["arm"].tolist())}
    tested = {arm: part["probabilities"] for arm, part in tested_by.items()}
    test_examples = _examples(next(iter(tested_by.values())))[0] if tested_by else None
    oof = _out_of_fold(train, position, task.outputs)
    return Evidence(task.classes, roles, examples, oof, test_examples, tested, partly, task.kind)


def said(path: Path) -> pa.Table:
    """What every arm said of every example, out of fold and of the test part; with less to learn from is left out."""
    table = pq.read_table(path)
    return table.filter(pc.field("on") != PARTLY).select(
        [name for name in table.column_names if name not in ("share", "halved")]
    )


def stored_task(metadata: Mapping[bytes, bytes]) -> Task:
    """What was predicted, from the metadata of the file; those of earlier versions know one kind of task."""
    kind = cast(Kind, metadata.get(b"kind", b"classification").decode())
    return Task("", kind, tuple(json.loads(metadata[b"classes"])))


def _part(columns: Mapping[str, Any], rows: NDArray[np.bool_]) -> dict[str, Any]:
    return {name: values[rows] for name, values in columns.items()}


def _examples(columns: Mapping[str, Any]) -> tuple[Examples, NDArray[np.int64]]:
    """Distinct examples in the order in which they were written, and the row of each among them."""
    names, first, inverse = np.unique(columns["example"].astype(str), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    at = first[order]
    who = Examples(tuple(names[order].tolist()), tuple(columns["key"][at]), columns["truth"][at], columns["group"][at])
    return who, rank[inverse]


def _out_of_fold(columns: Mapping[str, Any], position: Ints, classes: int) -> OutOfFold:
    n, rounds = int(position.max()) + 1, int(columns["repeat"].max()) + 1
    maps = np.full((rounds, n), -1, dtype=np.int64)
    maps[columns["repeat"], position] = columns["fold"]
    oof = OutOfFold(maps, classes)
    for arm in dict.fromkeys(columns["arm"].tolist()):
        rows = columns["arm"] == arm
        oof.fill(arm, columns["repeat"][rows], position[rows], columns["probabilities"][rows])
    return oof


def _partly(columns: Mapping[str, Any], who: Examples, classes: int) -> dict[Learned, OutOfFold]:
    """What was learned from less; nothing in files of versions that did not ask."""
    if not len(columns["on"]):
        return {}
    at = {name: position for position, name in enumerate(who.names)}
    position = np.array([at[name] for name in columns["example"]])
    found: dict[Learned, OutOfFold] = {}
    for share, halved in dict.fromkeys(zip(columns["share"].tolist(), columns["halved"].tolist(), strict=True)):
        rows = (columns["share"] == share) & (columns["halved"] == halved)
        found[Learned(share, halved)] = _out_of_fold(_part(columns, rows), position[rows], classes)
    return found
