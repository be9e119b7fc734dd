"""Tables of pictures: CSV, Parquet or JSONL with a column of paths, found by its content."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from headstart.core.errors import UserError, did_you_mean

ENDINGS = (".csv", ".tsv", ".parquet", ".jsonl")
LOOKED_AT = 20  # rows whose values are tried as paths
SPLITS = ("split", "part", "subset")
MANY = 200  # distinct values above which a numeric target is no class


@dataclass(frozen=True)
class Row:
    """One row as it names a picture."""

    name: str
    path: Path
    label: str
    part: str | None
    group: str | None


@dataclass(frozen=True)
class Rows:
    """Rows and the name of the target column."""

    rows: tuple[Row, ...]
    target: str


def read_table(path: Path, target: str | None, group: str | None) -> Rows:
    """Rows of a table; relative paths are relative to the table's folder.

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
    where = _path_column(table, path, target)
    split = next((name for name in columns if name.casefold() in SPLITS and name != target), None)
    taken = {name: table[name].to_pylist() for name in {where, target, *filter(None, (split, group))}}
    rows = tuple(
        Row(
            name=str(taken[where][i]),
            path=path.parent / str(taken[where][i]),
            label=str(taken[target][i]),
            part=None if split is None else str(taken[split][i]),
            group=None if group is None else str(taken[group][i]),
        )
        for i in range(len(table))
        if taken[where][i] is not None and taken[target][i] is not None
    )
    return Rows(rows, target)


def _open(path: Path) -> pa.Table:
    try:
        if path.suffix.lower() == ".parquet":
            return pyarrow.parquet.read_table(path)
        if path.suffix.lower() == ".jsonl":
            return pyarrow.json.read_json(path)
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        return pyarrow.csv.read_csv(path, parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter))
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise UserError("a readable table", f"{path} ({str(error).splitlines()[0]})", "Check the file.") from None


def _check_classes(table: pa.Table, target: str) -> None:
    column = table[target]
    distinct = len(column.unique())
    if pa.types.is_floating(column.type) and distinct > MANY:
        raise UserError(
            "a target of classes", f"{target!r} with {distinct} different numbers", "Regression is not there yet."
        )


def _path_column(table: pa.Table, path: Path, target: str) -> str:
    """The text column most of whose first values are files."""
    best, found = "", 0
    for name in table.column_names:
        if name == target or not (pa.types.is_string(table[name].type) or pa.types.is_large_string(table[name].type)):
            continue
        values = [value for value in table[name].slice(0, LOOKED_AT).to_pylist() if value]
        hits = sum((path.parent / value).is_file() for value in values)
        if hits > found:
            best, found = name, hits
    if not found:
        raise UserError(
            f"a column of picture paths in {path}", f"none among {', '.join(table.column_names)}",
            "Paths are looked for relative to the table's folder.",
        )  # fmt: skip
    return best
