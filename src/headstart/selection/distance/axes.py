"""The principal axes of rows, by the smaller of their two Gram matrices."""

import numpy as np

from headstart.linear.path import Array


def principal_axes(rows: Array) -> tuple[Array, Array]:
    """(k,) squared singular values of (n, D) rows, largest first, and the (n, k) left vectors; k is the rank.

    Costs one eigendecomposition of min(n, D) rows. Rows are centred, if at all, by the caller.
    """
    tall = len(rows) > rows.shape[1]
    values, vectors = np.linalg.eigh(rows.T @ rows if tall else rows @ rows.T)
    alive = values > max(rows.shape) * np.finfo(float).eps * max(float(values.max(initial=0.0)), 0.0)
    values, vectors = values[alive][::-1], vectors[:, alive][:, ::-1]
    return values, rows @ vectors / np.sqrt(values) if tall else vectors
