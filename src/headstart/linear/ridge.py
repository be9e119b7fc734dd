"""Ridge regression on one-hot labels, every penalty at once, with exact leave-one-out residuals.

For centred features F (n, D) and centred targets Y, the smoother of penalty p is H(p) = 1/n + F (F'F + p I)^-1 F'.
Its leave-one-out residual is (y_i - yhat_i) / (1 - H_ii), exactly: no refit (Golub, Heath and Wahba
1979). One eigendecomposition, of F'F or of FF' whichever is smaller, serves all penalties.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats, Ints

PENALTIES: NDArray[np.float64] = np.logspace(-6, 3, 19)  # times the mean eigenvalue: free of the features' scale
FLOOR = 1e-9


@dataclass(frozen=True)
class Standardised:
    """Features centred and scaled by what the training part says.

    Args:
        mean: (D,) of the training features.
        scale: (D,) divisors; constant features get infinity, so that they say nothing.
    """

    mean: Floats
    scale: Floats

    def __call__(self, features: Floats) -> NDArray[np.float64]:
        """(n, D) features in the units of the fit, float64."""
        return (features.astype(np.float64) - self.mean) / self.scale


def standardise(features: Floats, share: float = 1.0) -> Standardised:
    """Mean 0 and deviation 1 a feature, then total variance `share` over all of them.

    The share lets several stages be put side by side without the widest one drowning the others.
    """
    wide = features.astype(np.float64)
    deviation = wide.std(axis=0)
    constant = deviation <= 1e-7 * max(float(np.abs(wide).max(initial=0.0)), 1e-12)
    alive = max(int((~constant).sum()), 1)
    scale = np.where(constant, np.inf, deviation * np.sqrt(alive / share))
    return Standardised(wide.mean(axis=0), scale)


def one_hot(codes: Ints, classes: int) -> NDArray[np.float64]:
    """(n,) codes -> (n, C) zeros and ones."""
    return np.eye(classes)[codes]


@dataclass(frozen=True)
class Path:
    """The ridge solutions of every penalty, in the eigenbasis of the smaller Gram matrix.

    Attributes:
        penalties: (P,) absolute penalties.
        loo: (P, n, C) leave-one-out predictions.
        basis, eigenvalues, projected: the decomposition; `weights` needs them.
        dual: the basis is that of FF' (n below D), else of F'F.
        offset: (C,) mean target.
    """

    penalties: NDArray[np.float64]
    loo: NDArray[np.float64]
    basis: NDArray[np.float64]
    eigenvalues: NDArray[np.float64]
    projected: NDArray[np.float64]
    dual: bool
    offset: NDArray[np.float64]

    def errors(self, targets: NDArray[np.float64]) -> NDArray[np.float64]:
        """(P,) mean squared leave-one-out error."""
        return ((self.loo - targets) ** 2).mean(axis=(1, 2))

    def coefficients(self, at: int) -> NDArray[np.float64]:
        """(D, C) primal weights, or (n, C) dual coefficients when `dual`, at penalty number `at`."""
        return self.basis @ (self.projected / (self.eigenvalues + self.penalties[at])[:, None])


def solve_gram(
    gram: NDArray[np.float64], targets: NDArray[np.float64], penalties: NDArray[np.float64] = PENALTIES
) -> Path:
    """All ridge solutions from a doubly centred (n, n) Gram or kernel matrix."""
    offset = targets.mean(axis=0)
    values, basis = np.linalg.eigh(gram)
    values = np.maximum(values, 0.0)
    absolute = np.asarray(penalties) * max(float(values.mean()), FLOOR)
    projected = basis.T @ (targets - offset)
    shrink = values[None, :] / (values[None, :] + absolute[:, None])
    fitted = np.einsum("ij,pj,jc->pic", basis, shrink, projected, optimize=True)
    leverage = shrink @ (basis**2).T
    return Path(absolute, _loo(fitted + offset, leverage, targets), basis, values, projected, True, offset)


def solve_features(
    features: NDArray[np.float64], targets: NDArray[np.float64], penalties: NDArray[np.float64] = PENALTIES
) -> Path:
    """All ridge solutions from centred (n, D) features, by the smaller of the two Gram matrices."""
    n, dim = features.shape
    if dim >= n:
        return solve_gram(features @ features.T, targets, penalties)
    offset = targets.mean(axis=0)
    values, basis = np.linalg.eigh(features.T @ features)
    values = np.maximum(values, 0.0)
    absolute = np.asarray(penalties) * max(float(values.sum()) / n, FLOOR)
    projected = basis.T @ (features.T @ (targets - offset))
    rotated = features @ basis
    inverse = 1.0 / (values[None, :] + absolute[:, None])
    fitted = np.einsum("ij,pj,jc->pic", rotated, inverse, projected, optimize=True)
    leverage = inverse @ (rotated**2).T
    return Path(absolute, _loo(fitted + offset, leverage, targets), basis, values, projected, False, offset)


def _loo(
    fitted: NDArray[np.float64], leverage: NDArray[np.float64], targets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Exact leave-one-out predictions; 1/n is the leverage of the intercept."""
    left = np.maximum(1.0 - 1.0 / len(targets) - leverage, FLOOR)[:, :, None]
    return targets - (targets - fitted) / left
