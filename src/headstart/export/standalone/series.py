"""A series -> what the graph takes, as headstart prepared it when the model was fitted. Needs numpy."""

from pathlib import Path
from typing import Any

import numpy as np


def resampled(values: Any, length: int) -> Any:
    """(channels, t) series with another number of steps: averages where there are fewer, lines between where more."""
    before = values.shape[1]
    if length >= before:
        at = np.linspace(0, before - 1, length)
        return np.stack([np.interp(at, np.arange(before), row) for row in values])
    sums = np.concatenate([np.zeros((len(values), 1)), values.cumsum(axis=1, dtype=np.float64)], axis=1)
    edges = np.linspace(0, before, length + 1)
    low = np.minimum(edges.astype(np.int64), before - 1)
    return np.diff(sums[:, low] + (edges - low) * values[:, low]) * (length / before)


def scaled(values: Any, how: str) -> Any:
    """Each channel by itself; one that is constant becomes zeros."""
    if how == "none":
        return values
    low, spread = values.mean(axis=1, keepdims=True), values.std(axis=1, keepdims=True)
    if how == "range":
        low, spread = values.min(axis=1, keepdims=True), np.ptp(values, axis=1, keepdims=True)
    flat = spread <= 1e-6 * np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-6)
    return np.where(flat, 0.0, (values - low) / np.where(flat, 1.0, spread))


def prepared(path: str, taken: dict[str, Any], folder: Path) -> Any:  # noqa: ARG001 - nothing else is read
    """(1, channels, length) float32 of a file with a line a channel and commas between the steps."""
    values = np.loadtxt(path, delimiter=",", ndmin=2, dtype=np.float32).astype(np.float64)
    length = taken["length"] if taken["channels"] else max(taken["length"] // len(values), 1)
    if values.shape[1] > length or taken["padding"] == "none":
        values = resampled(values, length).astype(np.float32).astype(np.float64)
    values = scaled(values, taken["scale"])
    before = length - values.shape[1] if taken["padding"] == "before" else 0
    return np.pad(values, ((0, 0), (before, 0)), constant_values=np.nan).astype(np.float32)[None]
