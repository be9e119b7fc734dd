"""What a ridge would say had some of its examples weighed more, less or nothing: exactly, and without a refit.

Penalty and scales of the features are held fixed, as leave-one-out holds them. With X the standardised features and a
column of ones, A = X'X + diag(p, ..., p, 0) and w = A^-1 X'Y, weights 1 + d on the rows U give
w + A^-1 X_U' (diag(1/d) + X_U A^-1 X_U')^-1 (Y_U - X_U w): the identity of leave-one-out, d = -1, for many rows at once
(Cook and Weisberg 1982). Where features outnumber examples the same is done to the dual, where a weight divides the
example's own penalty. One factorisation serves any number of changes.
"""

from collections.abc import Sequence

import numpy as np

from headstart.core.predictions import Floats, Ints, Targets
from headstart.linear.heads import Ridge
from headstart.linear.path import Array
from headstart.linear.ridge import standardise_stages
from headstart.metrics.kinds import KINDS

Change = tuple[Ints, Floats]
"""(m,) positions of examples, and the (m,) weights that they get: from 0 up, and not 1, which every other has."""


def reweighed(
    head: Ridge, blocks: Sequence[Floats], targets: Targets, new: Sequence[Floats], changes: Sequence[Change]
) -> list[Floats]:
    """Predictions for new examples by the head after each change.

    Args:
        head: fitted on these blocks and targets, all counting once.
        blocks: (n, D) features of each stage.
        targets: of the n examples.
        new: (k, D) features of each stage.
        changes: each of the head as it is.

    Returns:
        (k, C) for each change.
    """
    scaler = standardise_stages(blocks)
    rows, others = scaler(np.hstack(blocks)), scaler(np.hstack(new))
    answers = KINDS[head.kind]
    wanted = answers.wanted(targets, len(head.bias))
    scores = _primal if rows.shape[1] < len(rows) else _dual
    return [answers.stated(one * head.sharpness) for one in scores(rows, wanted, head.penalty, others, changes)]


def _primal(rows: Array, wanted: Array, penalty: float, others: Array, changes: Sequence[Change]) -> list[Array]:
    rows, others = _with_ones(rows), _with_ones(others)
    gram = rows.T @ rows
    gram[np.diag_indices(len(gram) - 1)] += penalty
    inverse = np.linalg.inv(gram)
    weight = inverse @ (rows.T @ wanted)
    found: list[Array] = []
    for at, weights in changes:
        pull = inverse @ rows[at].T
        inner = np.diag(1.0 / (weights - 1.0)) + rows[at] @ pull
        found.append(others @ (weight + pull @ np.linalg.solve(inner, wanted[at] - rows[at] @ weight)))
    return found


def _dual(rows: Array, wanted: Array, penalty: float, others: Array, changes: Sequence[Change]) -> list[Array]:
    n = len(rows)
    bordered = np.ones((n + 1, n + 1))
    bordered[:n, :n] = rows @ rows.T
    bordered[np.diag_indices(n)] += penalty
    bordered[n, n] = 0.0
    inverse = np.linalg.inv(bordered)
    dual, kernel = inverse[:, :n] @ wanted, _with_ones(others @ rows.T)
    found: list[Array] = []
    for at, weights in changes:
        inner = np.diag(weights / (penalty * (1.0 - weights))) + inverse[np.ix_(at, at)]
        found.append(kernel @ (dual - inverse[:, at] @ np.linalg.solve(inner, dual[at])))
    return found


def _with_ones(rows: Array) -> Array:
    return np.hstack([rows, np.ones((len(rows), 1))])
