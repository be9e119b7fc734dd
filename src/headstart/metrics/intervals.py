"""Bootstrap intervals over groups, paired, with max-T over competing arms.

Resampling weights are drawn per group (a group of near-duplicates is one piece of evidence), shared by all arms, so
that differences stay paired. Draws come from a generator seeded by the caller: the same record gives the same interval.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import betaincinv

from headstart.core.predictions import Floats, Ints

LEVEL = 0.90
DRAWS = 2000
DRAW_MEMORY = 40_000_000  # weights held at once; larger sets draw fewer resamples rather than more memory


@dataclass(frozen=True)
class Interval:
    """A value with a two-sided interval."""

    value: float
    low: float
    high: float


def group_weights(groups: Ints, seed: int, draws: int = DRAWS) -> Floats:
    """(B, n) bootstrap weights, read-only: groups drawn with replacement, every member weighted alike."""
    _, inverse = np.unique(groups, return_inverse=True)
    return _drawn(inverse.tobytes(), seed, max(200, min(draws, DRAW_MEMORY // max(len(groups), 1))))


@lru_cache(maxsize=1)  # arm after arm is scored on the same draws
def _drawn(inverse: bytes, seed: int, draws: int) -> Floats:
    member = np.frombuffer(inverse, np.int64)
    count = int(member.max()) + 1
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(count, np.full(count, 1.0 / count), size=draws)[:, member].astype(float)
    weights.flags.writeable = False
    return weights


def widen(draws: Floats, value: float, factor: float) -> Floats:
    """Bootstrap draws spread about the value by the factor that pays for training variance."""
    return value + factor * (draws - value)


def percentile(draws: Floats, value: float, level: float = LEVEL) -> Interval:
    """The equal-tailed interval of bootstrap draws."""
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def max_t(draws: Floats, values: Floats, pick: int, level: float = LEVEL) -> Interval:
    """The interval of the best of several arms, wide enough that choosing the best does not cheat.

    Args:
        draws: (J, B) bootstrap differences of J arms from the control.
        values: (J,) observed differences.
        pick: which arm is reported.
        level: two-sided level.

    Returns:
        The interval of arm `pick`. The lower end uses the upper tail of max_j (draw_j - value_j) / se_j (Westfall and
        Young 1993), which is what picking the largest inflates; the upper end is that arm's own.
    """
    centred = draws - values[:, None]
    spread = centred.std(axis=1, ddof=1)
    if spread[pick] <= 0:
        return Interval(float(values[pick]), float(values[pick]), float(values[pick]))
    alive = spread > 0
    tail = (centred[alive] / spread[alive, None]).max(axis=0)
    reach = float(np.quantile(tail, (1 + level) / 2))
    own = percentile(draws[pick], float(values[pick]), level)
    return Interval(own.value, float(values[pick] - reach * spread[pick]), own.high)


def simultaneous(draws: Floats, values: Floats, level: float = LEVEL) -> tuple[Interval, ...]:
    """Intervals that hold for all arms at once, so that a reader may pick any of them.

    Args:
        draws: (J, B) bootstrap differences of J arms from the control.
        values: (J,) observed differences.
        level: at which all of them hold together.

    Returns:
        An interval an arm: its value and, both ways, its standard error times the quantile of
        max_j |draw_j - value_j| / se_j (Westfall and Young 1993).
    """
    centred = draws - values[:, None]
    spread = centred.std(axis=1, ddof=1)
    alive = spread > 0
    tail = (np.abs(centred[alive]) / spread[alive, None]).max(axis=0, initial=0.0)
    reach = float(np.quantile(tail, level)) * spread
    return tuple(Interval(float(v), float(v - r), float(v + r)) for v, r in zip(values, reach, strict=True))


def share(hits: int, draws: int, level: float = LEVEL) -> Interval:
    """A share of independent draws with its exact interval (Clopper and Pearson 1934)."""
    tail = (1 - level) / 2
    low = float(betaincinv(hits, draws - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, draws - hits, 1 - tail)) if hits < draws else 1.0
    return Interval(hits / draws, low, high)
