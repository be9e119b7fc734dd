"""Tables of numbers and categories -> a data set, a row an example."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from headstart.core.errors import UserError, did_you_mean
from headstart.core.progress import Progress
from headstart.core.record import SkippedFile
from headstart.data.dataset import Dataset, Item
from headstart.data.folders import Entry
from headstart.data.labelled import Opened, Where, labelled
from headstart.data.tables import ENDINGS, SPLITS, open_table, text_columns, values
from headstart.modalities.table.columns import Cell, find, number, written
from headstart.modalities.table.columns import read as read_column
from headstart.modalities.table.modality import TableModality
from headstart.modalities.table.prepare import kind_of
from headstart.sources.card import Column

EMPTY = "nothing in any column"


def read_at(where: Where, progress: Progress) -> Dataset:
    """Read labelled rows.

    Args:
        where: they lie.
        progress: shows the pass.

    Raises:
        UserError: there is nothing that could be learned from.
    """
    known: list[Column] = []
    said: list[str] = []

    def rows(table: pa.Table, path: Path, target: str | None) -> Sequence[Entry | None]:
        with progress.step("reading", len(table)) as step:
            if not known:
                labels = [None] * len(table) if target is None else values(table, target)
                found = find(table, _no_inputs(table, where, target), labels)
                known.extend(sorted(found.columns, key=lambda one: one.name))
                said.extend(found.warnings)
                _check_some(known, table, path)
                cells = found.cells
            else:
                cells = aligned(table, path, known)
            step.advance(len(table))
        return [Entry(name, path, None, content=row) for name, row in _written(cells, known, path.name)]

    data = labelled(where, TableModality(), rows, lambda entries: [_opened(entry) for entry in entries])
    column, modality = json.dumps({one.name: one.kind for one in known}), TableModality(tuple(known), data.task.kind)
    return replace(data, modality=modality, column=column, warnings=(*data.warnings, *said))


def opened(given: str | Path, at: int, column: str | None) -> Iterator[Opened]:
    """Rows without labels, to be predicted; those without any value are kept, so that every row has its answer.

    Args:
        given: a row in JSON, `{"age": 31, "sex": "f"}`, or the path of a table.
        at: names a row in JSON.
        column: see `known`.

    Raises:
        UserError: it cannot be read.
    """
    if isinstance(given, Path):
        if given.suffix.lower() not in ENDINGS:
            raise UserError("a table", str(given), f"Tables end in {', '.join(ENDINGS)}.")
        rows = _written(aligned(open_table(given), given, known(column)), known(column), str(given))
    else:
        ((_, content),) = _written(_row(given, known(column)), known(column), "")
        rows = [(f"row {at}", content)]
    for name, content in rows:
        yield _opened(Entry(name, Path(), None, content=content), keep=True)


def known(column: str | None) -> list[Column]:
    """Names and kinds of the columns that a run has read, as `read_at` leaves them in the data set."""
    kinds: dict[str, Any] = json.loads(column or "{}")
    return [Column(name=name, kind=kind) for name, kind in kinds.items()]


def aligned(table: pa.Table, path: Path, known: Sequence[Column]) -> dict[str, list[Cell]]:
    """The cells of the known columns of another table; what is there beside them is not read.

    Raises:
        UserError: a column is missing, or holds another kind of values.
    """
    found: dict[str, list[Cell]] = {}
    for column in known:
        if column.name not in table.column_names:
            do = "Add it; where nothing is known its cells may be empty."
            raise UserError(f"a column {column.name!r} in {path}", "none", do)
        kind, cells = read_column(table[column.name])
        empty = all(one is None for one in cells)
        if kind == "number" and column.kind == "category":
            spelt = text_columns(table.select([column.name]), None)  # "007" stays what it is
            kind, cells = "category", written(table[column.name].to_pylist()) if spelt else [*_spelled(cells)]
        if kind != column.kind and not empty:
            came = f"{kind or 'neither'} ({table[column.name].type})"
            raise UserError(f"a {column.kind} in column {column.name!r} of {path}", came, "Give it the same type.")
        found[column.name] = cells
    return found


def _spelled(cells: Sequence[Cell]) -> Iterator[Cell]:
    """Numbers as categories, such as codes that another table has among letters."""
    for one in cells:
        yield spelled(one) if isinstance(one, float) else one


def spelled(value: float) -> str:
    """A number as a category.

    >>> spelled(1234567.0), spelled(0.5)
    ('1234567', '0.5')
    """
    return str(int(value)) if value.is_integer() else repr(value)


def _no_inputs(table: pa.Table, where: Where, target: str | None) -> list[str | None]:
    """Columns that say something else than what an example is like."""
    parts = [name for name in table.column_names if name.casefold() in SPLITS]
    speaks = [
        name for name in parts if {"train", "test"} & {str(v).casefold() for v in table[name].unique().to_pylist()}
    ]
    return [target, where.group, *speaks]


def _check_some(known: Sequence[Column], table: pa.Table, path: Path) -> None:
    if not known:
        came = f"none among {', '.join(table.column_names)}"
        raise UserError(f"a column of numbers or categories in {path}", came, "Beside the target there must be one.")


def _row(text: str, known: Sequence[Column]) -> dict[str, list[Cell]]:
    """One row out of JSON."""
    try:
        row = json.loads(text)
    except ValueError:
        row = None
    if not isinstance(row, Mapping):
        raise UserError('a row in JSON, such as {"age": 31}', repr(text[:60]), "Paths must be given as pathlib.Path.")
    strange = next((name for name in row if name not in {one.name for one in known}), None)
    if strange is not None:
        do = did_you_mean(str(strange), [one.name for one in known])
        raise UserError("a column that the run has read", repr(strange), do)
    found: dict[str, list[Cell]] = {}
    for column in known:
        value = row.get(column.name)
        if isinstance(value, bool):
            value = str(value)
        elif column.kind == "category" and isinstance(value, int | float):
            value = spelled(float(value))
        if value is not None and (not isinstance(value, float | int | str) or kind_of(value) != column.kind):
            raise UserError(f"a {column.kind} in column {column.name!r}", repr(value), "Give it the same type.")
        found[column.name] = [number(value) if column.kind == "number" else value]
    return found


def _written(cells: Mapping[str, list[Cell]], known: Sequence[Column], name: str) -> list[tuple[str, str]]:
    """Every row's name and its content in JSON."""
    names = [column.name for column in known]
    rows = zip(*(cells[one] for one in names), strict=True)
    return [(f"{name}:{at}", json.dumps(dict(zip(names, row, strict=True)))) for at, row in enumerate(rows, 1)]


def _opened(entry: Entry, *, keep: bool = False) -> Opened:
    content = entry.content or ""
    if not keep and all(one is None for one in json.loads(content).values()):
        return SkippedFile(name=entry.name, why=EMPTY)
    return Item(entry.name, entry.path, sha256(content.encode()).hexdigest(), content)
