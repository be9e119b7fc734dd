"""Tables of series: wide (a row a series, a column a step), in lists (a cell a channel), or long (a row a reading).

- Wide: eight or more columns of numbers that are numbered one after the other: `0`, `1`, ... or `t1`, `t2`, ...; other
  names than those of `STEP` are taken for features of a table.
- Lists: each column of lists of numbers is a channel (Parquet).
- Long: a column `series` says which series a reading is of, a column `time` when it was; every other column of numbers
  is a channel. The label, and the group, are those of a series' first row.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headstart.core.errors import UserError
from headstart.data.folders import Entry
from headstart.modalities.series.values import packed

FEWEST = 8  # columns of a wide table
WHICH, WHEN = "series", "time"
STEP = ("", "t", "time", "step", "ts", "att")  # before the number, in any case
NUMBERED = re.compile(r"(.*?)_*(\d+)")


def holds_series(table: pa.Table, target: str | None) -> bool:
    """Whether a table is one of series."""
    return bool(is_long(table) or lists(table, target) or steps(table, target))


def rows(table: pa.Table, path: Path, target: str | None) -> list[Entry | None]:
    """What each row of a wide table, or of one with lists, holds.

    Raises:
        UserError: there are neither lists nor numbered columns.
    """
    named = lists(table, target)
    if named:
        return [_of_lists(path, at, [row[name] for name in named]) for at, row in enumerate(table.to_pylist(), 1)]
    numbered = steps(table, target)
    if not numbered:
        do = f"Number the columns of steps (t0, t1, ...), or give columns {WHICH} and {WHEN}."
        raise UserError("a table of series", f"{path} with {_some(table.column_names)}", do)
    columns = [table[name].cast(pa.float64()).to_numpy() for name in numbered]
    values = np.stack(columns, axis=1).astype(np.float32)
    return [Entry(f"{path.name}:{at}", path, None, content=packed(row[None])) for at, row in enumerate(values, 1)]


def steps(table: pa.Table, target: str | None) -> list[str]:
    """The numbered columns of numbers, in order; none where they are few, or a number is left out."""
    groups: dict[str, dict[int, str]] = {}
    for field in table.schema:
        match = NUMBERED.fullmatch(field.name)
        if match and match[1].casefold() in STEP and field.name != target and _is_number(field.type):
            groups.setdefault(match[1], {})[int(match[2])] = field.name
    widest = max(groups.values(), key=len, default={})
    numbers = sorted(widest)
    whole = len(numbers) >= FEWEST and numbers[-1] - numbers[0] == len(numbers) - 1
    return [widest[number] for number in numbers] if whole else []


def lists(table: pa.Table, target: str | None) -> list[str]:
    """The columns that hold lists of numbers."""

    def holds(kind: pa.DataType) -> bool:
        some = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
        return some and _is_number(kind.value_type)

    return [field.name for field in table.schema if field.name != target and holds(field.type)]


def is_long(table: pa.Table) -> bool:
    """Whether each row is a reading."""
    return _column(table, WHICH) is not None and _column(table, WHEN) is not None


def channels_of(table: pa.Table, target: str | None, group: str | None) -> list[str]:
    """The columns of a long table that are channels."""
    others = {_column(table, WHICH), _column(table, WHEN), target, group}
    return [field.name for field in table.schema if field.name not in others and _is_number(field.type)]


def gathered(table: pa.Table, path: Path, target: str | None, group: str | None, only: Sequence[str] = ()) -> pa.Table:
    """A long table as one with lists: a row a series in the order in which they begin, readings in the order of time.

    Args:
        table: a row a reading.
        path: of it.
        target: its label column, if it has one.
        group: a column whose equal values belong together.
        only: the channels that are read; none stands for all columns of numbers.

    Raises:
        UserError: it has no column of values, or not these.
    """
    which, when = _column(table, WHICH), _column(table, WHEN)
    kept = [name for name in (target, group) if name is not None and name in table.column_names]
    missing = next((name for name in only if name not in table.column_names), None)
    if missing is not None:
        raise UserError(f"a column {missing!r} in {path}, as in the run", "none", "Name its columns alike.")
    channels = [*only] or channels_of(table, target, group)
    if not channels:
        raise UserError(
            "a column of numbers beside series and time", f"none in {path}", "Name the values in the header."
        )
    table = table.append_column("\0row", pa.array(np.arange(len(table))))
    ordered = table.sort_by([(str(when), "ascending"), ("\0row", "ascending")])
    taken = [(name, "list") for name in channels] + [(name, "first") for name in kept] + [("\0row", "min")]
    found = ordered.group_by(str(which), use_threads=False).aggregate(taken).sort_by("\0row_min")
    columns = {name: found[f"{name}_list"] for name in channels}
    firsts = {name: pc.take(table[name], found["\0row_min"]) for name in kept}
    return pa.table({**columns, **firsts})


def _of_lists(path: Path, at: int, channels: Sequence[Sequence[float | None] | None]) -> Entry | None:
    if any(channel is None for channel in channels):
        return None
    most = max(len(channel or ()) for channel in channels)
    values = np.full((len(channels), most), np.nan, dtype=np.float32)
    for row, channel in zip(values, channels, strict=True):
        found = [np.nan if value is None else value for value in channel or ()]
        row[: len(found)] = found
    return Entry(f"{path.name}:{at}", path, None, content=packed(values))


def _column(table: pa.Table, name: str) -> str | None:
    return next((one for one in table.column_names if one.casefold() == name), None)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
