"""Classifier two-sample test: can a classifier tell which set an example is of?

After Lopez-Paz and Oquab (2017). The classifier is a ridge, judged by exact leave-one-out; both sets count alike (the
larger one is sampled down), so chance is one half. One eigendecomposition of the pooled rows serves every penalty and
every permutation: labels are columns. In each permutation the penalty is chosen anew, by leave-one-out accuracy, so the
choice is paid for. It is worth its price: of 100 pairs of sets of 150 rows and 64 features it told 90 apart that were
shifted along a minor axis and 76 along a main one, the lightest penalty alone 93 and 54, the heaviest alone 5 and 78
(tests/numbers/test_distance.py has both kinds).
"""

from dataclasses import dataclass

import numpy as np

from headstart.linear.path import FLOOR, Array
from headstart.linear.ridge import standardise
from headstart.selection.distance.axes import principal_axes
from headstart.selection.distance.permutation import REPEATS, p_value, relabelled
from headstart.selection.distance.sample import ENOUGH, Sample, drawn, pooled

PENALTIES: Array = np.logspace(-3, 2, 6)  # times the mean eigenvalue, as in `linear`
TIE = 1e-9  # a margin smaller than this is no decision: half right


@dataclass(frozen=True)
class C2ST:
    """What the domain classifier found.

    Attributes:
        accuracy: leave-one-out, between 0 and 1, of the best penalty.
        chance: the mean of the same over permuted labels: a little over one half, for the best penalty is chosen.
        p: of no difference; by permutation.
        n: rows of each set that were looked at.
        repeats: permutations.
    """

    accuracy: float
    chance: float
    p: float
    n: int
    repeats: int

    @property
    def excess(self) -> float:
        """Accuracy over chance: 0 where there is nothing to tell, at most about one half."""
        return self.accuracy - self.chance

    @property
    def a_distance(self) -> float:
        """Proxy A-distance 2 (1 - 2 error) (Ben-David et al. 2007): 0 at an accuracy of one half, 2 where all is told.

        It saturates at 2 where features are many, and is noise below 4 (chance - 1/2).
        """
        return 2.0 * (1.0 - 2.0 * (1.0 - self.accuracy))


def c2st(first: Sample, second: Sample, *, repeats: int = REPEATS, seed: int = 0) -> C2ST:
    """The test on at most `ENOUGH` rows of each set.

    Costs one eigendecomposition of min(2 n, D) rows and, for each of 6 penalties, a product of 2 n x min(2 n, D) with
    as many columns as there are permutations.

    Raises:
        UserError: the features have different widths, are too few or not finite.
    """
    n = min(len(first), len(second), ENOUGH)
    rows = pooled(*drawn(first, second, n, seed))
    accuracy, statistic = _judged(rows, 2.0 * relabelled(n, n, repeats, seed) - 1.0)
    chance = float(accuracy[1:].mean()) if repeats else 0.5
    return C2ST(float(accuracy[0]), chance, p_value(float(statistic[0]), statistic[1:]), n, repeats)


def accuracy(first: Sample, second: Sample, seed: int = 0) -> float:
    """Leave-one-out accuracy of the best penalty, without a test: see `C2ST.accuracy`."""
    return c2st(first, second, repeats=0, seed=seed).accuracy


def _judged(rows: Array, labels: Array) -> tuple[Array, Array]:
    """(R,) accuracy of the best penalty for every column of (n, R) labels of plus and minus one, and what orders them.

    The order is that of the accuracies; equal ones, of which a small set has many, go by their squared error.
    """
    values, basis = principal_axes(standardise(rows)(rows))
    projected = basis.T @ labels
    accuracies, orders = np.empty((2, len(PENALTIES), labels.shape[1]))
    for at, penalty in enumerate(PENALTIES):
        filters = values / (values + max(penalty * float(values.sum()) / len(rows), FLOOR))
        left = np.maximum(1.0 - 1.0 / len(rows) - basis**2 @ filters, FLOOR)
        residuals = (labels - basis @ (filters[:, None] * projected)) / left[:, None]
        accuracies[at] = _right(1.0 - labels * residuals)
        error = (residuals**2).mean(axis=0)
        orders[at] = accuracies[at] - error / (1.0 + error) / (4 * len(rows))  # less than half an example
    best, column = orders.argmax(axis=0), np.arange(labels.shape[1])
    return accuracies[best, column], orders[best, column]


def _right(agreement: Array) -> Array:
    """(R,) accuracies from (n, R) products of label and leave-one-out score.

    Without an example its own label is the rarer one by one, so that the intercept, the mean of the other labels, leans
    against it by 1 / (n - 1). Sets of equal size are given, not learned: the lean is taken back.
    """
    margin = agreement + 1.0 / (len(agreement) - 1)
    return ((margin > TIE) + 0.5 * (np.abs(margin) <= TIE)).mean(axis=0)
