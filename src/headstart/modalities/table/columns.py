"""Which columns of a table say something, and of what kind each is."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from headstart.sources.card import Column

Kind = Literal["number", "category"]
Cell = float | str | None
NAMED = re.compile(r"(^|[_\s.-])(id|index|idx|key|uuid|row|no|nr)$|^unnamed|Id$|ID$", re.IGNORECASE)
MARKS = {"", "?", "na", "n/a", "nan", "null", "none", "-", "."}  # what people write where nothing is
FEW = 10  # rows, below which that all values differ says nothing
SURE = 0.995  # share of rows that a column alone may foretell without being asked about
SAME_ORDER = 0.9999  # rank correlation from which one column is made from another
MANY = 50  # classes, above which the target is rather a number
LARGEST = 1e18
SPACED = 5  # words on average, from which a column of different strings is of texts


@dataclass(frozen=True)
class Found:
    """What the columns of a table hold.

    Attributes:
        columns: that say something.
        cells: by column.
        warnings: about columns that are left out, or that say too much.
    """

    columns: tuple[Column, ...]
    cells: dict[str, list[Cell]]
    warnings: tuple[str, ...]


def find(table: pa.Table, leave: Sequence[str | None], labels: Sequence[str | None]) -> Found:
    """Numbers, categories, and what is neither.

    Args:
        table: as it was read.
        leave: columns that are no input: target, group, part.
        labels: (n,) of the target.
    """
    columns: list[Column] = []
    cells: dict[str, list[Cell]] = {}
    said: list[str] = []
    for field in table.schema:
        if field.name in leave:
            continue
        kind, values = read(table[field.name])
        if kind is None:
            said.append(f"column {field.name!r} left out: {field.type} is neither a number nor a category")
            continue
        if all(one is None for one in values):
            said.append(f"column {field.name!r} left out: it is empty")
            continue
        told = alone(values, labels)
        if numbered(field.name, values):
            sure = f", though it alone tells {told:.0%} of the rows' targets: they are sorted, or it gives them away"
            more = sure if told >= SURE else ""
            said.append(f"column {field.name!r} left out: every row has another value, as an id has{more}")
            continue
        if told >= SURE:
            said.append(
                f"column {field.name!r} alone tells {told:.0%} of the targets: is it known when you want to predict?"
            )
        columns.append(Column(name=field.name, kind=kind))
        cells[field.name] = values
    return Found(tuple(columns), cells, tuple(said))


def read(column: pa.ChunkedArray) -> tuple[Kind | None, list[Cell]]:
    """The kind of a column and its cells; None where it is neither numbers nor categories."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    found: list[Any] = column.to_pylist()
    if pa.types.is_boolean(kind):
        return "category", [None if one is None else str(one) for one in found]
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number", [number(one) for one in found]
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind) and not pa.types.is_time(kind):
        return "number", [None if one is None else day(one) for one in found]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = written(found)
        return _numbers_in(texts) or ("category", texts)
    if pa.types.is_null(kind):
        return "category", [None] * len(found)
    return None, []


def written(found: Sequence[str | None]) -> list[Cell]:
    """Strings as categories; None where a mark says that nothing is there."""
    return [None if one is None or one.strip().casefold() in MARKS else one.strip() for one in found]


def _numbers_in(texts: list[Cell]) -> tuple[Kind, list[Cell]] | None:
    """Strings that are all numbers but for marks of what is missing."""
    try:
        found: list[Cell] = [None if one is None else number(float(one)) for one in texts]
    except ValueError:
        return None
    return ("number", found) if any(one is not None for one in found) else None


def number(value: Any) -> float | None:
    """A finite number, or None; what is too large to be squared in float32 is taken for a mark of what is missing."""
    return None if value is None or not math.isfinite(value) or abs(value) > LARGEST else float(value)


def day(value: Any) -> float:
    """Days of a date since 1970."""
    stamp: Callable[[], float] | None = getattr(value, "timestamp", None)
    return stamp() / 86_400 if stamp else float(value.toordinal() - 719_163)


def numbered(name: str, values: Sequence[Cell]) -> bool:
    """A column in which every row has another value: strings, or whole numbers that only count."""
    there = [one for one in values if one is not None]
    if len(there) < max(FEW, 0.9 * len(values)) or len(set(there)) < len(there):
        return False
    if isinstance(there[0], str):
        return True
    counts = np.array(there, dtype=float)
    whole = bool((counts == np.rint(counts)).all())
    return whole and (np.ptp(counts) < 2 * len(counts) or NAMED.search(name) is not None)


def alone(values: Sequence[Cell], labels: Sequence[str | None]) -> float:
    """The share of rows whose target the column alone tells: by the other rows of equal value, or the nearest ones.

    0 where the largest class is nearly all, classes are very many, or too few rows have a value.
    """
    rows = [(value, label) for value, label in zip(values, labels, strict=True) if value is not None and label]
    classes = {label: at for at, label in enumerate(sorted({label for _, label in rows if label}))}
    if len(rows) < max(FEW, len(values) // 2) or len(classes) < 2:
        return 0.0
    if len(classes) > MANY:
        return _same_order(rows)
    codes = np.array([classes[label] for _, label in rows if label])
    if np.bincount(codes).max() >= SURE * len(codes):
        return 0.0
    if isinstance(rows[0][0], str):
        _, which = np.unique([str(value) for value, _ in rows], return_inverse=True)
    else:
        order = np.argsort(np.array([value for value, _ in rows], dtype=float), kind="stable")
        codes, which = codes[order], np.arange(len(rows)) // 3  # its two neighbours in a group of three
    counts = np.zeros((int(which.max()) + 1, len(classes)))
    np.add.at(counts, (which, codes), 1)
    others = counts[which]
    others[np.arange(len(codes)), codes] -= 1
    return float(((others.argmax(axis=1) == codes) & (others.max(axis=1) > 0)).mean())


def _same_order(rows: Sequence[tuple[Cell, str | None]]) -> float:
    """1 where numbers are in the order of a target of numbers, or in the opposite one: one is made from the other."""
    try:
        both = np.array([(float(value or 0.0), float(label or 0.0)) for value, label in rows])
    except ValueError:
        return 0.0
    ranks = both.argsort(axis=0).argsort(axis=0)
    between = np.asarray(np.corrcoef(ranks, rowvar=False))
    return float(abs(between[0, 1]) > SAME_ORDER)


def is_text(values: Sequence[Cell]) -> bool:
    """Sentences: strings of several words that hardly ever repeat."""
    there = [one for one in values if isinstance(one, str)]
    if not there or len(set(there)) < len(there) / 2:
        return False
    return sum(len(one.split()) for one in there) / len(there) >= SPACED
