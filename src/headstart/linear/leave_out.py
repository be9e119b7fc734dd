"""What a ridge would say had it not seen some of its examples: exactly, and without a refit.

Penalty and scales of the features are held fixed, as leave-one-out holds them. With X the standardised features and a
column of ones, A = X'X + diag(p, ..., p, 0) and w = A^-1 X'Y, leaving out the rows S gives
w - A^-1 X_S' (I - X_S A^-1 X_S')^-1 (Y_S - X_S w): the identity of leave-one-out for many rows at once (Cook and
Weisberg 1982). Where features outnumber examples the same is done to the dual, in which rows leave by a Schur
complement. One factorisation serves any number of sets.
"""

from collections.abc import Sequence

import numpy as np

from headstart.core.predictions import Floats, Ints
from headstart.linear.heads import Ridge
from headstart.linear.path import Array, one_hot
from headstart.linear.ridge import standardise_stages
from headstart.metrics.calibration import softmax


def without(
    head: Ridge, blocks: Sequence[Floats], targets: Ints, new: Sequence[Floats], sets: Sequence[Ints]
) -> list[Floats]:
    """Probabilities for new examples of the head without each set of those that it was fitted on.

    Args:
        head: fitted on these blocks and targets, all counting once.
        blocks: (n, D) features of each stage.
        targets: (n,) label codes.
        new: (k, D) features of each stage.
        sets: positions among the n that are left out together.

    Returns:
        (k, C) for each set.
    """
    scaler = standardise_stages(blocks)
    rows, others = scaler(np.hstack(blocks)), scaler(np.hstack(new))
    wanted = one_hot(targets, len(head.bias))
    left = _primal if rows.shape[1] < len(rows) else _dual
    return [softmax(scores * head.sharpness) for scores in left(rows, wanted, head.penalty, others, sets)]


def _primal(rows: Array, wanted: Array, penalty: float, others: Array, sets: Sequence[Ints]) -> list[Array]:
    rows, others = _with_ones(rows), _with_ones(others)
    gram = rows.T @ rows
    gram[np.diag_indices(len(gram) - 1)] += penalty
    inverse = np.linalg.inv(gram)
    weight = inverse @ (rows.T @ wanted)
    scores = []
    for out in sets:
        pull = inverse @ rows[out].T
        residual = np.linalg.solve(np.eye(len(out)) - rows[out] @ pull, wanted[out] - rows[out] @ weight)
        scores.append(others @ (weight - pull @ residual))
    return scores


def _dual(rows: Array, wanted: Array, penalty: float, others: Array, sets: Sequence[Ints]) -> list[Array]:
    n = len(rows)
    bordered = np.ones((n + 1, n + 1))
    bordered[:n, :n] = rows @ rows.T
    bordered[np.diag_indices(n)] += penalty
    bordered[n, n] = 0.0
    inverse = np.linalg.inv(bordered)
    dual = inverse[:, :n] @ wanted
    kernel = _with_ones(others @ rows.T)
    return [kernel @ (dual - inverse[:, out] @ np.linalg.solve(inverse[np.ix_(out, out)], dual[out])) for out in sets]


def _with_ones(rows: Array) -> Array:
    return np.hstack([rows, np.ones((len(rows), 1))])
