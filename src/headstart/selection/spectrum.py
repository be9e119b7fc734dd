"""Targets in the eigenbasis of their features: all that the closed-form scores need to know of either.

The basis is that of the Gram matrix FF', but the matrix is never made: a thin QR and the SVD of its triangle, which has
min(n, D) rows, give it without squaring the singular values. So features of very different scales keep their digits,
and no rank has to be guessed: a direction that is not there has eigenvalue zero.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Spectrum:
    """Targets along the eigenvectors of FF'.

    Attributes:
        values: (k,) eigenvalues, k = min(n, D), some of them zero where the rank is less.
        squares: (k, C) squared coordinates of each target along the eigenvectors.
        beyond: (C,) squared length of what of each target no combination of features can reach.
        n: examples.
    """

    values: Array
    squares: Array
    beyond: Array
    n: int


def finite(features: Floats) -> Array:
    """(n, D) float64 of features of any type.

    Raises:
        ValueError: they are not finite.
    """
    wide = np.asarray(features, dtype=np.float64)
    if not np.isfinite(wide).all():
        raise ValueError("expected finite features, got some that are not")
    return wide


def spectrum(features: Floats, targets: Floats) -> Spectrum:
    """Decompose once for all targets, by the smaller side: O(n D min(n, D)) and a float64 copy of the features.

    Args:
        features: (n, D), as they are: nothing is centred.
        targets: (n, C).

    Raises:
        ValueError: the features are not finite.
    """
    wide, wanted = finite(features), np.asarray(targets, dtype=np.float64)
    n, columns = wide.shape
    if n <= columns:
        basis, lengths, _ = np.linalg.svd(np.asarray(np.linalg.qr(wide.T, mode="r")).T)
        return Spectrum(lengths**2, (basis.T @ wanted) ** 2, np.zeros(wanted.shape[1]), n)
    span, triangle = np.linalg.qr(wide)
    basis, lengths, _ = np.linalg.svd(triangle)
    reached = span.T @ wanted
    beyond = ((wanted - span @ reached) ** 2).sum(axis=0)  # a difference of squared lengths would lose its digits
    return Spectrum(lengths**2, (basis.T @ reached) ** 2, beyond, n)
