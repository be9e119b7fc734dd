"""Series as features hold them: how many channels and steps there are; the values, channels one behind the other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats

Rows = NDArray[np.float32]


def matrices(blocks: Sequence[Floats]) -> list[Rows]:
    """(channels, steps) of each series, from (n, 2) shapes and (n, D) values whose channels share D evenly.

    Blocks of any other kind, side by side, are read as one channel.
    """
    if len(blocks) != 2 or blocks[0].shape[1] != 2:
        return [row[None] for row in np.hstack(blocks).astype(np.float32)]
    shapes, values = (np.asarray(block, dtype=np.float32) for block in blocks)
    found: list[Rows] = []
    for (channels, steps), row in zip(np.rint(shapes).astype(int).tolist(), values, strict=True):
        each = len(row) // channels
        found.append(row[: channels * each].reshape(channels, each)[:, :steps])
    return found


def resampled(series: Sequence[Rows], steps: int) -> Rows:
    """(n, channels, steps): each series on straight lines between its values, from its first to its last."""
    found = np.empty((len(series), len(series[0]), steps), dtype=np.float32)
    for row, one in zip(found, series, strict=True):
        at = np.linspace(0, one.shape[1] - 1, steps)
        row[:] = one if one.shape[1] == steps else [np.interp(at, np.arange(one.shape[1]), line) for line in one]
    return found
