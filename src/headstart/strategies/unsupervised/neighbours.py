"""Examples that stand apart: how far their nearest neighbours are (Ramaswamy, Rastogi and Shim 2000)."""

import numpy as np

from headstart.core.predictions import Floats, Ints

K = 10
AT_ONCE = 2**23  # distances held at a time: 64 MB
APART = 3.5  # robust deviations above the median from which an example stands apart (Iglewicz and Hoaglin 1993)


def distances(directions: Floats, k: int = K) -> Floats:
    """(n,) mean cosine distance of each example to its k nearest others, 0 .. 2.

    Args:
        directions: (n, D) of length one.
        k: neighbours; fewer where there are fewer others.
    """
    n = len(directions)
    k, step = min(k, n - 1), max(1, AT_ONCE // max(n, 1))
    found = np.zeros(n)
    if k < 1:
        return found
    for at in range(0, n, step):
        alike = directions[at : at + step] @ directions.T
        rows = np.arange(len(alike))
        alike[rows, at + rows] = -np.inf
        found[at : at + step] = 1 - np.partition(alike, n - k, axis=1)[:, n - k :].mean(axis=1)
    return np.maximum(found, 0.0)


def outliers(apart: Floats) -> Ints:
    """Positions of the examples that stand apart, the farthest first.

    Args:
        apart: (n,) as `distances` gives them.
    """
    if not len(apart):
        return np.zeros(0, dtype=int)
    scale = np.log(np.maximum(apart, 1e-6))  # distances are skewed, their logarithms hardly
    median = float(np.median(scale))
    spread = max(1.4826 * float(np.median(np.abs(scale - median))), 0.05)
    far = np.flatnonzero(scale > median + APART * spread)
    return far[np.argsort(-apart[far], kind="stable")]
