"""Maximum mean discrepancy, squared, unbiased, with a mixture of Gaussian kernels (Gretton et al. 2012).

Any difference of distributions shows in it, given examples enough; few examples show mostly differences of the mean and
of the spread. Features are taken as they are: it changes with their relative scales, not with their common one.
"""

from dataclasses import dataclass

import numpy as np

from headstart.linear.path import Array
from headstart.selection.distance.permutation import REPEATS, p_value, relabelled
from headstart.selection.distance.sample import ENOUGH, Sample, drawn, pooled

WIDEST = 4.0  # times the median squared distance
WIDTHS = 5  # each half of the one before: 4, 2, 1, 1/2, 1/4


@dataclass(frozen=True)
class MMD:
    """What the kernels found.

    Attributes:
        squared: the unbiased estimate, between about -2/n and 2; 0 on average where there is no difference.
        p: of no difference; by permutation.
        median: squared distance of two examples of both sets together, which sets the widths.
        n: rows of the first set that were looked at.
        m: rows of the second set.
        repeats: permutations.
    """

    squared: float
    p: float
    median: float
    n: int
    m: int
    repeats: int


def mmd(first: Sample, second: Sample, *, repeats: int = REPEATS, seed: int = 0) -> MMD:
    """The test on at most `ENOUGH` rows of each set.

    Costs one kernel matrix of n + m rows (32 MB at most, twice) and its product with as many columns as there are
    permutations.

    Raises:
        UserError: the features have different widths, are too few or not finite.
    """
    some, others = drawn(first, second, ENOUGH, seed)
    kernel, median = _kernel(pooled(some, others))
    values = _squared(kernel, relabelled(len(some), len(others), repeats, seed))
    observed = float(values[0])
    return MMD(observed, p_value(observed, values[1:]), median, len(some), len(others), repeats)


def squared(first: Sample, second: Sample, seed: int = 0) -> float:
    """The estimate without a test: see `MMD.squared`."""
    return mmd(first, second, repeats=0, seed=seed).squared


def _kernel(rows: Array) -> tuple[Array, float]:
    """(n, n) mean of Gaussian kernels exp(-d / (width x median)), zeros on the diagonal, and the median."""
    squares = (rows**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2.0 * (rows @ rows.T), 0.0)
    pairs = distances[np.triu_indices(len(rows), 1)]
    median = float(np.median(pairs)) or float(pairs.mean()) or 1.0  # over half of all pairs, or all, may be twins
    power = np.exp(-distances / (WIDEST * median))
    kernel = power.copy()
    for _ in range(WIDTHS - 1):  # half the width is the square of the kernel
        power *= power
        kernel += power
    np.fill_diagonal(kernel, 0.0)
    return kernel / WIDTHS, median


def _squared(kernel: Array, labels: Array) -> Array:
    """(R,) estimates for (n + m, R) columns with n ones each."""
    n, m = labels[:, 0].sum(), (1.0 - labels[:, 0]).sum()
    sums = kernel.sum(axis=1)
    within = np.einsum("ir,ir->r", labels, kernel @ labels)
    between = sums @ labels - within
    rest = sums.sum() - within - 2.0 * between
    return within / (n * (n - 1)) + rest / (m * (m - 1)) - 2.0 * between / (n * m)
