"""A row without one cell of it, for occlusion."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from statistics import median
from typing import Any

from headstart.data.dataset import Item, Piece

ASKED = 500  # rows that say what is usual
CELLS = 64  # columns that are tried


def usual(item: Item, others: Sequence[Item]) -> tuple[Piece, ...]:
    """The cells that say something; in place of one goes the column's median, or its most frequent category."""
    row: dict[str, Any] = json.loads(item.content)
    rows = [json.loads(one.content) for one in others[:ASKED]]
    there = [name for name, cell in row.items() if cell is not None][:CELLS]
    if len(there) < 2:
        return ()
    return tuple(Piece(f"{name} {_said(row[name])}", (), _without(item, row, name, rows)) for name in there)


def _said(cell: float | str) -> str:
    return cell if isinstance(cell, str) else f"{cell:g}"


def _without(item: Item, row: dict[str, Any], name: str, rows: Sequence[dict[str, Any]]) -> Item:
    found = [one.get(name) for one in rows]
    cells = [cell for cell in found if type(cell) is type(row[name])]
    stands_in = _middle(cells) if cells else None
    content = json.dumps(row | {name: stands_in})
    return replace(item, content=content, key=sha256(content.encode()).hexdigest())


def _middle(cells: Sequence[Any]) -> Any:
    return Counter(cells).most_common(1)[0][0] if isinstance(cells[0], str) else median(cells)
