"""Optimal transport data set distance (Alvarez-Melis and Fusi 2020, arXiv 2002.02923): features and labels together.

Moving example (x, y) to (x', y') costs |x - x'|^2 + W2^2(N_y, N_y'): labels are compared by the Gaussians of their
features, so that two sets need no label in common. The cheapest way of moving the one set onto the other is the
distance. It is found exactly: at this many rows that takes no second, while an entropic plan would put a bias and a
strength to be chosen into a number that is to be compared.
"""

from dataclasses import dataclass

import numpy as np

from headstart.core.errors import UserError
from headstart.core.extras import require
from headstart.core.predictions import Ints
from headstart.linear.path import Array
from headstart.selection.distance.axes import principal_axes
from headstart.selection.distance.gaussians import scatters, wasserstein
from headstart.selection.distance.sample import ENOUGH, Sample, drawn, pooled

DIMS = 32  # principal axes of both sets together: a covariance has half the square of them in numbers; a taste
PIVOTS = 10_000_000  # of the network simplex; 1,000 x 1,000 rows took under 100,000


@dataclass(frozen=True)
class OTDD:
    """The cheapest plan.

    Attributes:
        features: mean squared distance that features are moved, in the features' units squared.
        labels: mean squared Wasserstein distance that labels are moved, in the same units.
        random: what moving to a partner at random would cost, in features and labels together.
        n: rows of the first set that were looked at.
        m: rows of the second set.
        dims: principal axes that the features were reduced to.
    """

    features: float
    labels: float
    random: float
    n: int
    m: int
    dims: int

    @property
    def cost(self) -> float:
        """Squared distance; over 0 for two draws from one distribution too, the more so the smaller they are."""
        return self.features + self.labels

    @property
    def distance(self) -> float:
        """In the features' units."""
        return float(np.sqrt(self.cost))

    @property
    def relative(self) -> float:
        """Cost as a share of a random partner's: 0 for equal sets, 1 where no partner is nearer than another."""
        return self.cost / self.random if self.random > 0 else 0.0


def otdd(first: Sample, second: Sample, *, dims: int = DIMS, seed: int = 0) -> OTDD:
    """The distance between at most `ENOUGH` labelled rows of each set.

    Costs, besides one eigendecomposition, a singular value decomposition of `dims` rows for each pair of labels, and a
    transport problem of n x m: a second in all at 1,000 x 1,000 rows, 10 labels and 1,280 features.

    Raises:
        UserError: a set has no labels, features do not compare, or POT is not installed.
    """
    some, others = drawn(first, second, ENOUGH, seed)
    if some.targets is None or others.targets is None:
        raise UserError("labels for both sets", "a set without them", "Use c2st or mmd, which need none.")
    rows = _principal(pooled(some, others), len(some), dims)
    left, right = rows[: len(some)], rows[len(some) :]
    features, labels = _feature_costs(left, right), _label_costs(left, some.targets, right, others.targets)
    plan = _cheapest(features + labels)
    return OTDD(
        features=float((plan * features).sum()),
        labels=float((plan * labels).sum()),
        random=float((features + labels).mean()),
        n=len(some),
        m=len(others),
        dims=rows.shape[1],
    )


def cost(first: Sample, second: Sample, seed: int = 0) -> float:
    """See `OTDD.cost`."""
    return otdd(first, second, seed=seed).cost


def _principal(rows: Array, n: int, dims: int) -> Array:
    """(n + m, k) coordinates on the principal axes of both sets, each counting one half whatever its size."""
    mass = np.concatenate([np.full(n, 0.5 / n), np.full(len(rows) - n, 0.5 / (len(rows) - n))])
    root = np.sqrt(mass)[:, None]
    values, basis = principal_axes(root * (rows - mass @ rows))
    return basis[:, :dims] * np.sqrt(values[:dims]) / root


def _label_costs(left: Array, targets: Ints, right: Array, others: Ints) -> Array:
    """(n, m) squared Wasserstein distances between the labels of every row of the one and of the other."""
    mine, theirs = np.unique(targets, return_inverse=True)[1], np.unique(others, return_inverse=True)[1]
    return wasserstein(scatters(left, mine), scatters(right, theirs))[mine][:, theirs]


def _feature_costs(left: Array, right: Array) -> Array:
    """(n, m) squared distances."""
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2.0 * (left @ right.T)
    return np.maximum(squares, 0.0)


def _cheapest(ground: Array) -> Array:
    """(n, m) the plan of least cost that moves 1/n from every row to 1/m in every column."""
    n, m = ground.shape
    return require("ot", "adapt").emd(np.full(n, 1.0 / n), np.full(m, 1.0 / m), ground, numItermax=PIVOTS)
