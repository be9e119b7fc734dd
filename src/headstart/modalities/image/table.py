"""Tables of pictures: a column of paths, found by its content."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from headstart.core.errors import UserError
from headstart.data.folders import Entry
from headstart.data.tables import is_file, text_columns, values

LOOKED_AT = 200  # rows whose values are tried as paths


def pictures(table: pa.Table, path: Path, target: str | None) -> Sequence[Entry | None]:
    """The picture of each row; relative paths are relative to the table's folder.

    Raises:
        UserError: no column holds paths.
    """
    column = path_column(table, path, target)
    if column is None:
        raise UserError(
            f"a column of picture paths in {path}", f"none among {', '.join(table.column_names)}",
            "Paths are looked for relative to the table's folder.",
        )  # fmt: skip
    return [Entry(_name(path, one), path.parent / one, None) if one else None for one in values(table, column)]


def path_column(table: pa.Table, path: Path, target: str | None) -> str | None:
    """The text column that has most files among its first values; None where none has any."""
    hits = {
        name: sum(is_file(path.parent, value) for value in table[name].slice(0, LOOKED_AT).to_pylist())
        for name in text_columns(table, target)
    }
    best = max(hits, key=hits.__getitem__, default=None)
    return best if best is not None and hits[best] else None


def _name(table: Path, value: str) -> str:
    """A path as people read it: relative to the table where it lies beside it."""
    absolute = Path(value)
    inside = absolute.is_absolute() and absolute.is_relative_to(table.parent)
    return absolute.relative_to(table.parent).as_posix() if inside else value
