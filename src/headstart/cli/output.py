"""What is printed: results on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPED_WIDTH = 160  # a file has no width; 80 columns would fold every table


class Interval(Protocol):
    """A value with its bounds."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


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


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> Table:
    """A compact table; the columns named in `right` hold numbers."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in columns:
        number = name in right
        made.add_column(name, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for row in rows:
        made.add_row(*(Text(plain(cell)) for cell in row))
    return made


def interval(score: Interval | None) -> str:
    """`0.876 [0.861, 0.890]`, or a dash."""
    return "-" if score is None else f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"
