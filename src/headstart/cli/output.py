"""What is printed: results on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from headstart.core.shown import BETWEEN, Shown

ROLES = 100  # columns from which a terminal has room for the role of each arm
_PIPED_WIDTH = 160  # a file has no width; 80 columns would fold every table
_LEAST = 8  # letters that a column keeps, however narrow a terminal is


def plain(text: str) -> str:
    """The text without control characters: a file's name must not steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def complain(message: str) -> None:
    """An error on standard error, one or two lines."""
    lines = [plain(line) for line in message.splitlines() if line.strip()]
    sys.stderr.write("headstart: " + "\n           ".join([lines[0], *[" ".join(lines[1:])] * bool(lines[1:])]) + "\n")


def emit(value: Any) -> None:
    """The one JSON object of `--json`."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True, indent=2, allow_nan=False) + "\n")


def emit_text(text: str) -> None:
    """Text that is JSON already, or a line that scripts read (a path)."""
    sys.stdout.write(text.rstrip("\n") + "\n")


def console() -> Console:
    """Where results for people go. Colours only on a terminal, and not with NO_COLOR."""
    out = Console(highlight=False, markup=False, emoji=False)
    return out if out.is_terminal else Console(highlight=False, markup=False, emoji=False, width=_PIPED_WIDTH)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Sequence[str] = (),
    cut: Sequence[str] = (),
    styles: Mapping[int, str] = MappingProxyType({}),
    ends: Sequence[int] = (),
    out: Console | None = None,
) -> Table:
    """A compact table; where it is not for a terminal it has no lines.

    Args:
        columns: their names.
        rows: a cell a column.
        right: columns that hold numbers.
        cut: columns whose text is cut where a terminal is too narrow for it; elsewhere it is whole, folded at need.
        styles: of rows that look otherwise, by their numbers.
        ends: numbers of rows behind which a line is left free.
        out: where it is for; standard output unless said.
    """
    out = out or console()
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    if out.is_terminal:
        short = _fitting(widths, [name in cut for name in columns], out.width)
        cells = [[_cut(cell, width) for cell, width in zip(row, short, strict=True)] for row in cells]
    lines = box.SIMPLE_HEAD if out.is_terminal else None
    gap = 1 if lines else len(BETWEEN)  # a box brings one of the two spaces
    made = Table(box=lines, padding=(0, gap, 0, 0), show_edge=False, pad_edge=False, header_style="bold")
    for name in columns:
        number = name in right
        made.add_column(name, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for at, row in enumerate(cells):
        made.add_row(*map(Text, row), style=styles.get(at, ""), end_section=at in ends)
    return made


def without(shown: Shown, *names: str) -> Shown:
    """The table without these columns: a narrow terminal has no room for what the JSON holds."""
    keep = [at for at, name in enumerate(shown.columns) if name not in names]
    rows = tuple(tuple(row[at] for at in keep) for row in shown.rows)
    return replace(shown, columns=tuple(shown.columns[at] for at in keep), rows=rows)


def _fitting(widths: Sequence[int], may: Sequence[bool], room: int) -> list[int]:
    """Widths of columns that fit into the room with two spaces between them, the widest that may giving way."""
    found = list(widths)
    while sum(found) + len(BETWEEN) * (len(found) - 1) > room:
        widest = max((at for at, yes in enumerate(may) if yes), key=lambda at: found[at], default=None)
        if widest is None or found[widest] <= _LEAST:
            break
        found[widest] -= 1
    return found


def _cut(text: str, width: int) -> str:
    """The text with a mark where something is left out: at the end of prose, in the middle of a name."""
    if len(text) <= width:
        return text
    kept = width - 1
    tail = 0 if " " in text else kept // 2
    return f"{text[: kept - tail]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - tail :]}"
