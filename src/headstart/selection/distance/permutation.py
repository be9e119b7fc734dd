"""Permutation tests: the labels of two sets are dealt out anew, the rest of the computation stays what it was.

Exact for any statistic that is the same function of rows and labels under every deal (Phipson and Smyth 2010): where
both sets come from one distribution, P(p <= a) <= a for every a.
"""

import numpy as np

from headstart.core.predictions import Floats
from headstart.linear.path import Array

REPEATS = 499  # the least p-value is 1 in 500
ROUNDING = 1e-10  # of the largest value: closer is a tie


def relabelled(first: int, second: int, repeats: int, seed: int) -> Array:
    """(n + m, 1 + R) ones where a row counts as of the first set: column 0 as it is, the others dealt at random."""
    labels = np.zeros((first + second, 1 + repeats))
    labels[:first] = 1.0
    labels[:, 1:] = np.random.default_rng(seed).permuted(labels[:, 1:], axis=0)
    return labels


def p_value(observed: float, draws: Floats) -> float:
    """The share of values at least as large as the observed one, itself among them: never 0, ties count against it."""
    slack = ROUNDING * max(abs(observed), float(np.abs(draws).max(initial=0.0)))
    return float(1 + (draws >= observed - slack).sum()) / (1 + len(draws))
