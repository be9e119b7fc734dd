"""A path of ridge penalties in an eigenbasis: leverages and exact leave-one-out errors of all of them from one basis.

The fit of penalty p is R (g_p * S): R (n, k) the examples in the eigenbasis, S (k, C) the targets in it, g_p (k,) the
filter. The leverage of example i is R_i^2 . g_p, and its leave-one-out residual (y_i - yhat_i) / (1 - h_i), exactly
and without a refit (Golub, Heath and Wahba 1979). P penalties so cost two products with R and R^2, of P and P C
columns; nothing as large as the features is ever made for one penalty.

Examples may have weights. They enter as square roots in the rows of R and of the targets; a leverage stays what it is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats, Ints

Array = NDArray[np.float64]

PENALTIES: Array = np.logspace(-6, 3, 19)  # times the mean eigenvalue: free of the features' scale
FLOOR = 1e-9  # of 1 - leverage, and of the mean eigenvalue
AT_ONCE = 512  # columns of one product: wide enough for speed, whatever the numbers of penalties and classes


@dataclass(frozen=True)
class Solution:
    """The ridge that leave-one-out chose from a path of penalties.

    Attributes:
        weight: (D, C) on raw features, or (n, C) on the rows of a kernel.
        bias: (C,).
        loo: (n, C) leave-one-out predictions of the examples that it was fitted on.
        penalties: (P,) absolute: what is added to the Gram matrix of the standardised features.
        errors: (P,) mean squared leave-one-out error of each, weighted where examples are.
    """

    weight: Array
    bias: Array
    loo: Array
    penalties: Array
    errors: Array

    @property
    def best(self) -> int:
        """The number of the penalty with the least error."""
        return int(self.errors.argmin())

    @property
    def error(self) -> float:
        """The least error."""
        return float(self.errors[self.best])


def one_hot(codes: Ints, classes: int) -> Array:
    """(n,) codes -> (n, C) zeros and ones."""
    return np.eye(classes)[codes]


def balanced(codes: Ints, classes: int) -> Array:
    """(n,) example weights of mean 1 that give every class that is there the same total (King and Zeng 2001)."""
    counts = np.bincount(codes, minlength=classes)
    return len(codes) / ((counts > 0).sum() * counts[codes])


def normalised(weights: Floats | None, examples: int) -> Array:
    """(n,) weights of mean 1; ones when there are none.

    Raises:
        ValueError: not one weight for each example, or one that is not positive and finite.
    """
    if weights is None:
        return np.ones(examples)
    if weights.shape != (examples,) or not (np.isfinite(weights).all() and (weights > 0).all()):
        raise ValueError(f"expected {examples} positive, finite weights, one an example, got {weights.shape} of them")
    return weights / weights.mean(dtype=np.float64)


def sweep(rotated: Array, filters: Array, projected: Array, wanted: Array, intercept: Array) -> tuple[Array, Array]:
    """What every penalty of a path leaves of some examples.

    Args:
        rotated: (b, k) examples in the eigenbasis, times the root of their weight.
        filters: (P, k).
        projected: (k, C) targets in the eigenbasis.
        wanted: (b, C) centred targets, times the root of the weight.
        intercept: (b,) leverage of the intercept: the weight's share of all weights.

    Returns:
        (b, P) one minus the leverage, and the (P,) sums of the squared leave-one-out residuals.
    """
    left = np.maximum(1.0 - intercept[:, None] - rotated**2 @ filters.T, FLOOR)
    squares = np.empty_like(left)
    step = max(1, AT_ONCE // projected.shape[1])
    for at in range(0, len(filters), step):
        some = filters[at : at + step]
        maps = (some.T[:, :, None] * projected[:, None, :]).reshape(len(projected), -1)
        residuals = (rotated @ maps).reshape(len(rotated), len(some), -1) - wanted[:, None, :]
        squares[:, at : at + step] = np.einsum("bpc,bpc->bp", residuals, residuals)
    return left, (squares / left**2).sum(axis=0)
