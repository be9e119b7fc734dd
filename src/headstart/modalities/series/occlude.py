"""A series without one window of it, for occlusion."""

from dataclasses import replace
from hashlib import sha256
from itertools import pairwise

import numpy as np

from headstart.data.dataset import Item, Piece
from headstart.modalities.series.values import Values, packed, unpacked

WINDOWS = 16


def stretches(item: Item) -> tuple[Piece, ...]:
    """Windows of a series, in all channels at once; in place of one goes the line between its ends."""
    values = unpacked(item.content)
    edges = np.unique(np.linspace(0, values.shape[1], WINDOWS + 1).astype(int)).tolist()
    if len(edges) < 3:
        return ()
    return tuple(
        Piece(f"step {a + 1}" if b == a + 1 else f"steps {a + 1} to {b}", (a, b), _without(item, values, a, b))
        for a, b in pairwise(edges)
    )


def _without(item: Item, values: Values, start: int, end: int) -> Item:
    found, steps = values.copy(), np.arange(values.shape[1])
    known = (steps < start) | (steps >= end)
    for row in found:
        seen = known & ~np.isnan(row)
        inside = ~known & ~np.isnan(row)  # what was missing stays missing
        if seen.any():
            row[inside] = np.interp(steps[inside], steps[seen], row[seen])
    content = packed(found)
    return replace(item, content=content, key=sha256(content.encode()).hexdigest())
