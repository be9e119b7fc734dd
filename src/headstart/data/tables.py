"""Tables of examples, one a row: CSV, Parquet or JSONL. What a row holds its kind of data knows."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from headstart.core.errors import UserError, did_you_mean
from headstart.core.problem import Kind
from headstart.data.dataset import Part
from headstart.data.folders import PARTS, Entry, label_of
from headstart.data.targets import labels, listed, number

ENDINGS = (".csv", ".tsv", ".parquet", ".jsonl")
SPLITS = ("split", "part", "subset")
MANY = 200  # distinct values above which a numeric target is no class
SEVERAL = 20  # the same where they have fractions, or most rows have one of their own


Rows = Callable[[pa.Table, Path, str | None], Sequence[Entry | None]]
"""A table, where it lies, and its target's name, if any -> what each row holds, without label; None where nothing."""


def read_table(
    path: Path, target: str | None, group: str | None, kind: Kind | None, rows: Rows
) -> tuple[list[Entry], str, Kind]:
    """The rows of a table, the name of its target, and what kind of task that is.

    A column named split, part or subset says which part a row is of, if it speaks of train and test at all.

    Args:
        path: of the table.
        target: its label column.
        group: a column whose equal values belong together.
        kind: of task; None looks at the target: lists are labels, numbers with fractions or very many are numbers.
        rows: what each row holds.

    Raises:
        UserError: it cannot be read, a column is missing, no row holds anything, or the target is of no such kind.
    """
    return read_rows(open_table(path), path, target, group, kind, rows)


def read_rows(
    table: pa.Table, path: Path, target: str | None, group: str | None, kind: Kind | None, rows: Rows
) -> tuple[list[Entry], str, Kind]:
    """The rows of a table that is open; see `read_table`.

    Raises:
        UserError: a column is missing, no row holds anything, or the target is of no such kind.
    """
    columns = table.column_names
    if target is None:
        raise UserError(
            "--target COLUMN for a table", f"none; {path} has {', '.join(columns)}", "Name the label column."
        )
    for flag, name in (("--target", target), ("--group", group)):
        check_column(table, path, flag, name)
    kind = kind or kind_of(table[target])
    _check_target(table, target, kind)
    told, parts = _TOLD[kind](table[target]), _parts(table, path, target)
    groups = [None] * len(table) if group is None else values(table, group)
    entries = [
        replace(entry, label=told[i], part=parts[i], group=groups[i])
        for i, entry in enumerate(rows(table, path, target))
        if entry is not None
    ]
    return entries, target, kind


def bare_rows(table: pa.Table, path: Path, rows: Rows) -> list[Entry]:
    """The rows of a table whose labels nobody has named."""
    parts = _parts(table, path, None)
    return [
        replace(entry, part=part)
        for entry, part in zip(rows(table, path, None), parts, strict=True)
        if entry is not None
    ]


def kind_of(column: pa.ChunkedArray) -> Kind:
    """The kind of task that a column looks like."""
    if pa.types.is_nested(column.type):
        return "multi-label"
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        return "classification"
    known = column.drop_null()
    different = known.unique().to_pylist()
    most = SEVERAL if any(value % 1 for value in different) or len(different) > len(known) / 2 else MANY
    return "regression" if len(different) > most else "classification"


def _as_classes(column: pa.ChunkedArray) -> list[str | None]:
    # NaN, which is not even itself, is no class called "nan".
    return [None if value is None or value != value else label_of(str(value)) or None for value in column.to_pylist()]


def _as_labels(column: pa.ChunkedArray) -> list[str | None]:
    """A row without a list has no target; an empty list, or an empty cell among strings, is a target without labels."""
    return [None if value is None else listed(value) if isinstance(value, list) else labels(str(value))
            for value in column.to_pylist()]  # fmt: skip


def _as_numbers(column: pa.ChunkedArray) -> list[str | None]:
    return [None if value is None else number(str(value)) for value in column.to_pylist()]


_TOLD: Mapping[Kind, Callable[[pa.ChunkedArray], list[str | None]]] = MappingProxyType(
    {"classification": _as_classes, "multi-label": _as_labels, "regression": _as_numbers}
)
"""The text of each row's target, as `targets.encode` takes it; None where there is none."""


def check_column(table: pa.Table, path: Path, flag: str, name: str | None) -> None:
    """Refuse a name that is no column's."""
    if name is not None and name not in table.column_names:
        raise UserError(f"a column of {path} for {flag}", repr(name), did_you_mean(name, table.column_names))


def text_columns(table: pa.Table, target: str | None) -> list[str]:
    """Names of the columns that hold strings, without the target."""

    def holds_strings(kind: pa.DataType) -> bool:
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        return pa.types.is_string(inner) or pa.types.is_large_string(inner)

    strings = [field.name for field in table.schema if holds_strings(field.type)]
    return [name for name in strings if name != target]


def open_table(path: Path) -> pa.Table:
    """A table in memory.

    Raises:
        UserError: it cannot be read, or two of its columns have one name.
    """
    try:
        table = _parse(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError("a readable table", f"{path} ({said})", "Check the file.") from None
    twice = sorted(name for name, count in Counter(table.column_names).items() if count > 1)
    if twice:
        raise UserError("a table whose columns have different names", f"{twice[0]!r} twice in {path}", "Rename one.")
    undecoded = [field.name for field in table.schema if pa.types.is_binary(field.type)]
    if path.suffix.lower() != ".parquet" and undecoded:
        raise UserError("a table in UTF-8", f"other bytes in {undecoded[0]!r} of {path}", "Save it as UTF-8.")
    return table


def _parse(path: Path) -> pa.Table:
    if path.suffix.lower() == ".parquet":
        return pyarrow.parquet.read_table(path)
    if path.suffix.lower() == ".jsonl":
        return pyarrow.json.read_json(path)
    with path.open("rb") as file:
        header = file.readline()
    delimiter = max(",;\t", key=lambda mark: header.count(mark.encode()))
    parsing = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    return pyarrow.csv.read_csv(path, parse_options=parsing)


def _check_target(table: pa.Table, target: str, kind: Kind) -> None:
    column = table[target]
    simple = pa.types.is_list(column.type) if pa.types.is_nested(column.type) else not pa.types.is_binary(column.type)
    if not simple or (kind != "multi-label" and pa.types.is_nested(column.type)):
        came = f"{target!r} of type {column.type}"
        raise UserError(f"a target for {kind}", came, "Name a column of text, numbers or lists of labels.")
    if kind == "classification" and pa.types.is_floating(column.type) and len(column.unique()) > MANY:
        came = f"{target!r} with {len(column.unique())} different numbers"
        raise UserError("a target of classes", came, "Leave --kind out, or say --kind regression.")
    if kind == "regression" and not any(_as_numbers(column)):
        raise UserError("a target of numbers", f"{target!r} without any", "Name another column, or leave --kind out.")


def _parts(table: pa.Table, path: Path, target: str | None) -> list[Part | None]:
    """The part of each row; all None where no column speaks of parts."""
    column = next((name for name in table.column_names if name.casefold() in SPLITS and name != target), None)
    if column is None:
        return [None] * len(table)
    said = values(table, column)
    known: list[Part | None] = [None if value is None else PARTS.get(value.strip().casefold()) for value in said]
    if not any(known):
        return [None] * len(table)  # a column of that name that means something else
    strange = next((value for value, part in zip(said, known, strict=True) if part is None), "")
    if strange != "":
        raise UserError(
            f"train or test in {column!r}", f"{'nothing' if strange is None else repr(strange)} in {path}",
            f"Known: {', '.join(PARTS)}.",
        )  # fmt: skip
    return known


def values(table: pa.Table, name: str) -> list[str | None]:
    """A column as strings; NaN is none."""
    found: list[Any] = table[name].to_pylist()
    return [None if value is None or value != value else str(value) for value in found]


def is_file(folder: Path, value: str | None) -> bool:
    """Whether a value names a file, seen from a folder."""
    try:
        return bool(value) and (folder / str(value)).is_file()
    except (OSError, ValueError):  # a text too long for a file name, or with a NUL in it
        return False
