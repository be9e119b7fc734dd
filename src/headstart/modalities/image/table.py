"""Tables of pictures: CSV, Parquet or JSONL with a column of paths, found by its content."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from headstart.core.errors import UserError, did_you_mean
from headstart.data.dataset import Part
from headstart.modalities.image.folder import PARTS, Entry, label_of

ENDINGS = (".csv", ".tsv", ".parquet", ".jsonl")
LOOKED_AT = 200  # rows whose values are tried as paths
SPLITS = ("split", "part", "subset")
MANY = 200  # distinct values above which a numeric target is no class


def read_table(path: Path, target: str | None, group: str | None) -> tuple[list[Entry], str]:
    """The rows of a table, and the name of its target; relative paths are relative to the table's folder.

    A column named split, part or subset says which part a row is of, if it speaks of train and test at all.

    Raises:
        UserError: it cannot be read, a column is missing, no column holds paths, or the target is no class.
    """
    table = _open(path)
    columns = table.column_names
    if target is None:
        raise UserError(
            "--target COLUMN for a table", f"none; {path} has {', '.join(columns)}", "Name the label column."
        )
    for flag, name in (("--target", target), ("--group", group)):
        if name is not None and name not in columns:
            raise UserError(f"a column of {path} for {flag}", repr(name), did_you_mean(name, columns))
    _check_classes(table, target)
    where = _values(table, _path_column(table, path, target))
    labels, parts = _values(table, target), _parts(table, path, target)
    groups = [None] * len(table) if group is None else _values(table, group)
    entries = [
        Entry(_name(path, one), path.parent / one, label_of(labels[i] or "") or None, parts[i], groups[i])
        for i, one in enumerate(where)
        if one
    ]
    return entries, target


def _name(table: Path, value: str) -> str:
    """A path as people read it: relative to the table where it lies beside it."""
    absolute = Path(value)
    inside = absolute.is_absolute() and absolute.is_relative_to(table.parent)
    return absolute.relative_to(table.parent).as_posix() if inside else value


def _open(path: Path) -> pa.Table:
    try:
        table = _parse(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError("a readable table", f"{path} ({said})", "Check the file.") from None
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
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
    return pyarrow.csv.read_csv(path, parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter))


def _check_classes(table: pa.Table, target: str) -> None:
    column = table[target]
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        raise UserError("a target of classes", f"{target!r} of type {column.type}", "Name a column of text or numbers.")
    distinct = len(column.unique())
    if pa.types.is_floating(column.type) and distinct > MANY:
        raise UserError(
            "a target of classes", f"{target!r} with {distinct} different numbers", "Regression is not there yet."
        )


def _path_column(table: pa.Table, path: Path, target: str) -> str:
    """The text column that has most files among its first values."""
    hits: dict[str, int] = {}
    for name in table.column_names:
        kind = table[name].type
        if name != target and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            hits[name] = sum(_is_file(path.parent, value) for value in table[name].slice(0, LOOKED_AT).to_pylist())
    best = max(hits, key=lambda name: hits[name], default="")
    if not hits or not hits[best]:
        raise UserError(
            f"a column of picture paths in {path}", f"none among {', '.join(table.column_names)}",
            "Paths are looked for relative to the table's folder.",
        )  # fmt: skip
    return best


def _is_file(folder: Path, value: str | None) -> bool:
    try:
        return bool(value) and (folder / str(value)).is_file()
    except (OSError, ValueError):  # a text too long for a file name, or with a NUL in it
        return False


def _parts(table: pa.Table, path: Path, target: str) -> list[Part | None]:
    """The part of each row; all None where no column speaks of parts."""
    column = next((name for name in table.column_names if name.casefold() in SPLITS and name != target), None)
    if column is None:
        return [None] * len(table)
    values = _values(table, column)
    known: list[Part | None] = [None if value is None else PARTS.get(value.strip().casefold()) for value in values]
    if not any(known):
        return [None] * len(table)  # a column of that name that means something else
    strange = next((value for value, part in zip(values, known, strict=True) if part is None), "")
    if strange != "":
        raise UserError(
            f"train or test in {column!r}", f"{'nothing' if strange is None else repr(strange)} in {path}",
            f"Known: {', '.join(PARTS)}.",
        )  # fmt: skip
    return known


def _values(table: pa.Table, name: str) -> list[str | None]:
    values: list[Any] = table[name].to_pylist()
    return [None if value is None else str(value) for value in values]
