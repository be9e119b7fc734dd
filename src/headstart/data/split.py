"""Stratified splits that no group crosses."""

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Ints

FOLDS = 5


def folds(strata: Ints, groups: Ints, seed: int, count: int = FOLDS) -> NDArray[np.int64]:
    """(n,) fold numbers: stratified by codes such as classes, groups whole, every fold as even as the groups allow.

    Larger groups are dealt first; each goes to the fold that has least of its classes, ties by a seeded shuffle.
    """
    _, group = np.unique(groups, return_inverse=True)
    table = np.zeros((int(group.max()) + 1, int(strata.max()) + 1))
    np.add.at(table, (group, strata), 1)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(table))
    order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
    share = table.sum(axis=0).clip(min=1)
    held = np.zeros((count, table.shape[1]))
    of_group = np.zeros(len(table), dtype=np.int64)
    tie = np.array([rng.permutation(count) for _ in range(len(table))])
    for row in order:
        fullness = (held / share) @ (table[row] > 0) + 1e-3 * held.sum(axis=1) / len(strata)
        best = np.lexsort((tie[row], fullness))[0]
        of_group[row] = best
        held[best] += table[row]
    return of_group[group]


def hold_out(strata: Ints, groups: Ints, share: float, seed: int) -> NDArray[np.bool_]:
    """(n,) true for the held-out part: about `share` of every stratum, groups whole."""
    count = max(2, round(1 / share))
    return folds(strata, groups, seed, count) == 0
