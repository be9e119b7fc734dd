"""A series -> the array that a source's card asks for. Stateless: nothing here is fitted."""

import numpy as np
import torch

from headstart.modalities.series.values import Values, unpacked
from headstart.sources.card import SeriesInput
from headstart.sources.front import scaled


def prepared(content: str, taken: SeriesInput) -> Values:
    """(channels, length) float32: shortened or stretched, each channel scaled by itself, padded with NaN."""
    values = unpacked(content)
    length = steps(taken, len(values))
    if values.shape[1] > length or taken.padding == "none":
        values = resampled(values, length)
    rows = scaled(torch.from_numpy(values).double(), taken).numpy()
    out = np.full((len(values), length), np.nan, dtype=np.float32)
    at = slice(length - rows.shape[1], None) if taken.padding == "before" else slice(rows.shape[1])
    out[:, at] = rows
    return out


def steps(taken: SeriesInput, channels: int) -> int:
    """How long a prepared series of so many channels is: those of an input for any number share its length."""
    return taken.length if taken.channels else max(taken.length // channels, 1)


def resampled(values: Values, length: int) -> Values:
    """(..., t) series with another number of steps: averages where there are fewer, lines between where more.

    >>> resampled(np.array([[0.0, 2.0, 4.0, 6.0]]), 2).tolist(), resampled(np.array([[0.0, 2.0]]), 3).tolist()
    ([[1.0, 5.0]], [[0.0, 1.0, 2.0]])
    """
    before = values.shape[-1]
    if length == before:
        return values
    if length > before:
        at = np.linspace(0, before - 1, length)
        low = np.minimum(at.astype(np.int64), max(before - 2, 0))
        share = at - low
        high = np.minimum(low + 1, before - 1)
        return (values[..., low] * (1 - share) + values[..., high] * share).astype(values.dtype)
    sums = np.concatenate([np.zeros((*values.shape[:-1], 1)), values.cumsum(axis=-1, dtype=np.float64)], axis=-1)
    edges = np.linspace(0, before, length + 1)
    low = np.minimum(edges.astype(np.int64), before - 1)
    at = sums[..., low] + (edges - low) * values[..., low]
    return (np.diff(at, axis=-1) * (length / before)).astype(values.dtype)
