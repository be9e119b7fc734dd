"""Dynamic time warping with the nearest neighbour: what any encoder of series is measured against.

Distances are had for all pairs together, a row of the table of costs at a time, so nothing need be compiled.
See Sakoe and Chiba 1978; the window by leave-one-out as Ratanamahatana and Keogh 2005.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats, Targets
from headstart.core.problem import Kind
from headstart.core.protocols import State
from headstart.linear.heads import calibrated
from headstart.linear.series_blocks import Rows, matrices, resampled
from headstart.metrics.kinds import KINDS

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
    """What the nearest training series under warping has; the window by leave-one-out.

    Attributes:
        series: (n, channels, t) that it was fitted on, in units of each channel's deviation.
        unit: (channels,) those deviations: levels stay, but no channel drowns the others.
        wanted: (n, K) what each of them has, as `metrics.kinds` says it: one-hot for classes.
        window: steps.
        sharpness: multiplies scores into logits.
        kind: of task.
    """

    series: Rows
    unit: NDArray[np.float32]
    wanted: NDArray[np.float64]
    window: int
    sharpness: float
    loo: Floats
    error: float
    kind: Kind = "classification"

    @classmethod
    def fit(
        cls,
        blocks: Sequence[Floats],
        targets: Targets,
        outputs: int,
        penalty: float | None,  # noqa: ARG003 - there is none
        *,
        kind: Kind = "classification",
    ) -> "Dtw":
        """Fit; see `Head`. Series are brought to one length, 128 steps at most."""
        own, wanted = matrices(blocks), KINDS[kind].wanted(targets, outputs)
        series = resampled(own, min(STEPS, max(one.shape[1] for one in own)))
        spread = series.std(axis=(0, 2))
        unit = np.where(spread > 0, spread, 1).astype(np.float32)
        series = series / unit[:, None]
        tried: list[tuple[float, int, NDArray[np.float64]]] = []
        for window in sorted({round(share * series.shape[2]) for share in WINDOWS}):
            scores = _scores(distances(series, series, window), wanted, kind, alone=True)
            right = KINDS[kind].right(KINDS[kind].stated(scores), targets)
            tried.append((-float(np.mean(right)), window, scores))
        _, window, scores = min(tried, key=lambda one: one[:2])
        sharpness, loo = calibrated(scores, targets, kind)
        return cls(series, unit, wanted, window, sharpness, loo, float(((loo - wanted) ** 2).mean()), kind)

    def predict(self, blocks: Sequence[Floats]) -> Floats:
        """(n, C) probabilities, or numbers."""
        given = resampled(matrices(blocks), self.series.shape[2]) / self.unit[:, None]
        found = distances(given, self.series, self.window)
        return KINDS[self.kind].stated(_scores(found, self.wanted, self.kind) * self.sharpness)

    def state(self) -> State:
        """The series that it was fitted on, with what they have."""
        facts = {"window": self.window, "sharpness": self.sharpness, "error": self.error, "kind": self.kind}
        return State({"series": self.series, "unit": self.unit, "wanted": self.wanted}, facts)

    @classmethod
    def restore(cls, state: State) -> "Dtw":
        """The inverse of `state`."""
        a, meta = state.arrays, state.meta
        series, unit = a["series"].astype(np.float32), a["unit"].astype(np.float32)
        wanted = a["wanted"].astype(np.float64)
        return cls(series, unit, wanted, meta["window"], meta["sharpness"], _NONE, meta["error"], meta["kind"])


def _scores(
    found: NDArray[np.float32], wanted: NDArray[np.float64], kind: Kind, *, alone: bool = False
) -> NDArray[np.float64]:
    """(n, K): what the nearest series has; for classes, minus the distance to the nearest series of each.

    Args:
        found: (n, m) squared distances.
        wanted: (m, K).
        kind: of task.
        alone: the series are compared with themselves: each is left out of its own row.
    """
    wide = np.sqrt(found.astype(np.float64))
    if alone:
        np.fill_diagonal(wide, np.inf)
    if kind != "classification":
        return wanted[wide.argmin(axis=1)]
    nearest = np.stack([wide[:, own > 0].min(axis=1, initial=np.inf) for own in wanted.T], axis=1)
    unit = np.maximum(nearest.min(axis=1, keepdims=True), 1e-9)
    return -np.minimum(nearest / unit, FARTHEST)
