"""What a distance is between two halves of one set: the zero that an observed distance is read against.

No distance is 0 on a sample, and how far above 0 two draws from the same distribution come depends on the distance, the
features and the number of rows. So the same number of rows is drawn for the observation and for the null. That two sets
are indistinguishable at n rows is the only similarity that a distance alone can show; with more rows it may go.
"""

from dataclasses import dataclass

import numpy as np

from headstart.core.errors import UserError
from headstart.selection.distance.permutation import p_value
from headstart.selection.distance.sample import ENOUGH, FEWEST, Distance, Sample

HALVES = 99  # the least p-value is 1 in 100
LEVEL = 0.05


@dataclass(frozen=True)
class Calibrated:
    """An observed distance beside its null.

    Attributes:
        observed: between n rows of the reference and n rows of the other set.
        mean: of the distances between two halves of the reference, of n rows each.
        deviation: of the same.
        p: the share of null distances at least as large, the observed one counted in. All halves are of one set, so it
            is close to exact, not exact: in simulations of equal distributions 4 to 7 % of p-values were below 5 %.
        n: rows on each side of every distance.
        repeats: pairs of halves.
    """

    observed: float
    mean: float
    deviation: float
    p: float
    n: int
    repeats: int

    @property
    def z(self) -> float:
        """Deviations above the null's mean; infinite where the null does not vary and the observation is elsewhere."""
        gap = self.observed - self.mean
        if self.deviation > 0:
            return gap / self.deviation
        return float(np.copysign(np.inf, gap)) if gap else 0.0

    @property
    def indistinguishable(self) -> bool:
        """Nothing, at this many rows, tells the two sets apart from two halves of the reference."""
        return self.p > LEVEL


def calibrate(
    distance: Distance, reference: Sample, other: Sample, *, most: int = ENOUGH, repeats: int = HALVES, seed: int = 0
) -> Calibrated:
    """Read a distance against that of random halves of the reference.

    Args:
        distance: one of `DISTANCES`, or any number of two samples.
        reference: the set whose halves are compared; the larger one, or the one that the other is to pass for.
        other: the set that is compared with a half of the reference.
        most: rows on each side; fewer where the reference has not twice, or the other not once, as many.
        repeats: pairs of halves; each costs one distance.
        seed: of all draws.

    Raises:
        UserError: a half or the other set has fewer than two examples, or there are no repeats.
    """
    n = min(most, len(reference) // 2, len(other))
    if n < FEWEST or repeats < 1:
        raise UserError(
            f"{2 * FEWEST} examples of the reference, {FEWEST} of the other set and 1 repeat at least",
            f"{len(reference)}, {len(other)} and {repeats}",
            "Give more examples.",
        )
    observed = distance(reference.at_most(n, seed), other.at_most(n, seed), seed)
    draws = np.array([_halves_apart(distance, reference, n, [seed, draw]) for draw in range(repeats)])
    deviation = float(draws.std(ddof=1)) if repeats > 1 else 0.0
    return Calibrated(observed, float(draws.mean()), deviation, p_value(observed, draws), n, repeats)


def _halves_apart(distance: Distance, reference: Sample, n: int, seed: list[int]) -> float:
    rows = np.random.default_rng(seed).permutation(len(reference))
    return distance(reference.take(rows[:n]), reference.take(rows[n : 2 * n]), seed[0])
