"""The values of a series as they travel in an item, and what is missing in them."""

import base64

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
MARK = ":"


def packed(values: Values) -> str:
    """(channels, steps) values as a string: how many channels, and the bytes of little-endian float32."""
    return f"{len(values)}{MARK}{base64.b64encode(np.ascontiguousarray(values, dtype='<f4').tobytes()).decode()}"


def unpacked(content: str) -> Values:
    """The inverse of `packed`.

    >>> unpacked(packed(np.array([[1.0, 2.0], [3.0, np.nan]], np.float32))).tolist()
    [[1.0, 2.0], [3.0, nan]]
    """
    channels, _, coded = content.partition(MARK)
    return np.frombuffer(base64.b64decode(coded), dtype="<f4").reshape(int(channels), -1).astype(np.float32)


def filled(values: Values) -> tuple[Values, int]:
    """A series without NaN, and how many values were missing inside it.

    Steps at the end that no channel has are no part of it: that is how tables hold series of unequal length. What is
    missing inside lies on the line between its neighbours, at the ends it is the nearest value. A channel without any
    value stays as it is.
    """
    there = ~np.isnan(values)
    used = np.flatnonzero(there.any(axis=0))
    values = values[:, : used[-1] + 1] if len(used) else values[:, :0]
    there = there[:, : values.shape[1]]
    if there.all():
        return values, 0
    steps, found = np.arange(values.shape[1]), values.copy()
    for row, known in zip(found, there, strict=True):
        if known.any():
            row[~known] = np.interp(steps[~known], steps[known], row[known])
    return found, int((~there).sum())
