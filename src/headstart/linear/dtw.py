"""Dynamic time warping with the nearest neighbour: what any encoder of series is measured against.

Distances are had for all pairs together, a row of the table of costs at a time, so nothing need be compiled.
See Sakoe and Chiba 1978; the window by leave-one-out as Ratanamahatana and Keogh 2005.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats, Ints
from headstart.core.protocols import State
from headstart.linear.heads import calibrated
from headstart.linear.path import one_hot
from headstart.linear.series_blocks import Rows, matrices, resampled
from headstart.metrics.calibration import softmax

STEPS = 128  # longer series are shortened to these
WINDOWS = (0.0, 0.02, 0.05, 0.1, 0.2)  # of the length, that leave-one-out chooses from
AT_ONCE = 2**14  # pairs whose table is filled together
FARTHEST = 10.0  # times the nearest: a class that is no nearer, or has no series, is as far as that
_NONE: NDArray[np.float64] = np.empty((0, 0))


def distances(one: Rows, other: Rows, window: int) -> NDArray[np.float32]:
    """(n, m) squared costs of the best warping of (n, channels, t) series on (m, channels, t) ones, channels together.

    Args:
        one: series.
        other: series of the same length.
        window: steps that a step may be moved; 0 is the Euclidean distance.
    """
    pairs = np.indices((len(one), len(other))).reshape(2, -1)
    found = [
        _costs(one[pairs[0, at : at + AT_ONCE]], other[pairs[1, at : at + AT_ONCE]], window)
        for at in range(0, pairs.shape[1], AT_ONCE)
    ]
    return (
        np.concatenate(found).reshape(len(one), len(other)) if found else np.empty((len(one), len(other)), np.float32)
    )


def _costs(one: Rows, other: Rows, window: int) -> NDArray[np.float32]:
    """(p,) of p pairs (p, channels, t)."""
    steps = one.shape[2]
    if window == 0:
        return ((one - other) ** 2).sum(axis=(1, 2))
    left, right = one.transpose(2, 1, 0).copy(), other.transpose(2, 1, 0).copy()  # pairs last: they lie side by side
    before = np.full((steps + 1, one.shape[0]), np.inf, dtype=np.float32)
    before[0] = 0
    for i in range(steps):
        now = np.full_like(before, np.inf)
        low, high = max(0, i - window), min(steps, i + window + 1)
        local = ((left[i] - right[low:high]) ** 2).sum(axis=1)
        ahead = np.minimum(before[low:high], before[low + 1 : high + 1])
        for j in range(low, high):  # a cell needs the one to its left
            now[j + 1] = local[j - low] + np.minimum(ahead[j - low], now[j])
        before = now
    return before[steps]


@dataclass(frozen=True)
class Dtw:
    """The class of the nearest training series under warping; the window by leave-one-out.

    Attributes:
        series: (n, channels, t) that it was fitted on.
        targets: (n,).
        classes: how many there are.
        window: steps.
        sharpness: multiplies scores into logits.
    """

    series: Rows
    targets: Ints
    classes: int
    window: int
    sharpness: float
    loo: Floats
    error: float

    @classmethod
    def fit(cls, blocks: Sequence[Floats], targets: Ints, classes: int, penalty: float | None) -> "Dtw":  # noqa: ARG003
        """Fit; see `Head`. Series are brought to one length, 128 steps at most. There is no penalty."""
        own = matrices(blocks)
        series = resampled(own, min(STEPS, max(one.shape[1] for one in own)))
        right: list[tuple[float, int, NDArray[np.float64]]] = []
        for window in sorted({round(share * series.shape[2]) for share in WINDOWS}):
            scores = _scores(distances(series, series, window), targets, classes, alone=True)
            right.append((-float((scores.argmax(axis=1) == targets).mean()), window, scores))
        _, window, scores = min(right, key=lambda one: one[:2])
        sharpness, loo = calibrated(scores, targets)
        error = float(((loo - one_hot(targets, classes)) ** 2).mean())
        return cls(series, targets, classes, window, sharpness, loo, error)

    def predict(self, blocks: Sequence[Floats]) -> Floats:
        """(n, C) probabilities."""
        found = distances(resampled(matrices(blocks), self.series.shape[2]), self.series, self.window)
        return softmax(_scores(found, self.targets, self.classes) * self.sharpness)

    def state(self) -> State:
        """The series that it was fitted on, with their classes."""
        arrays: dict[str, Any] = {"series": self.series, "targets": self.targets.astype(np.int32)}
        facts = {"classes": self.classes, "window": self.window, "sharpness": self.sharpness, "error": self.error}
        return State(arrays, facts)

    @classmethod
    def restore(cls, state: State) -> "Dtw":
        """The inverse of `state`."""
        a, meta = state.arrays, state.meta
        series, targets = a["series"].astype(np.float32), a["targets"].astype(np.int64)
        return cls(series, targets, meta["classes"], meta["window"], meta["sharpness"], _NONE, meta["error"])


def _scores(found: NDArray[np.float32], targets: Ints, classes: int, *, alone: bool = False) -> NDArray[np.float64]:
    """(n, C): minus the distance to the nearest series of each class, in units of the nearest of all.

    Args:
        found: (n, m) squared distances.
        targets: (m,).
        classes: C.
        alone: the series are compared with themselves: each is left out of its own row.
    """
    wide = np.sqrt(found.astype(np.float64))
    if alone:
        np.fill_diagonal(wide, np.inf)
    nearest = np.stack([wide[:, targets == code].min(axis=1, initial=np.inf) for code in range(classes)], axis=1)
    unit = np.maximum(nearest.min(axis=1, keepdims=True), 1e-9)
    return -np.minimum(nearest / unit, FARTHEST)
