"""What an object says of itself: one table with lines around it, as plain text and as a piece of a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

BETWEEN = "  "
_LINE = "border-bottom:1px solid rgba(128,128,128,.35)"  # seen on light and on dark
_CELL = f"padding:.15em .8em .15em 0;text-align:{{side}};vertical-align:top;{_LINE}"


@dataclass(frozen=True)
class Shown:
    """A title, a table, lines below it.

    Attributes:
        title: one line.
        rows: of the table; one that is shorter than `columns` is a mistake.
        columns: their names; empty for a table without a head.
        right: names of columns that hold numbers.
        below: lines behind the table.
    """

    title: str
    rows: tuple[tuple[str, ...], ...] = ()
    columns: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    below: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join((self.title, *self._lines(), *self.below))

    def html(self) -> str:
        """A piece of a page that needs nothing else, for notebooks; whatever it holds is text, never markup."""
        head = [self._row(self.columns, "th")] if self.columns else []
        body = [self._row(row, "td") for row in self.rows]
        table = f'<table style="border-collapse:collapse;margin:.4em 0">{"".join((*head, *body))}</table>'
        below = "".join(f"<div>{escape(line)}</div>" for line in self.below)
        return f"<div><strong>{escape(self.title)}</strong>{table if self.rows else ''}{below}</div>"

    def _row(self, cells: Sequence[str], tag: str) -> str:
        inner = "".join(
            f'<{tag} style="{_CELL.format(side="right" if number else "left")}">{escape(cell)}</{tag}>'
            for cell, number in zip(cells, self._numbers(cells), strict=True)
        )
        return f"<tr>{inner}</tr>"

    def _numbers(self, cells: Sequence[str]) -> list[bool]:
        return [name in self.right for name in self.columns] if self.columns else [False] * len(cells)

    def _lines(self) -> list[str]:
        rows = [self.columns] * bool(self.columns) + list(self.rows)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return [
            BETWEEN.join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(row, widths, self._numbers(row), strict=True)
            ).rstrip()
            for row in rows
        ]
