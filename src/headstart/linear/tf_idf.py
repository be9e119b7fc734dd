"""The classic of text: words and pairs of words, weighted by how rare they are, under a linear classifier."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from headstart.core.predictions import Floats, Targets
from headstart.core.problem import Kind
from headstart.core.protocols import State
from headstart.linear.heads import calibrated, penalties
from headstart.linear.ridge import solve_gram
from headstart.metrics.kinds import KINDS

MOST = 2**24  # word numbers stay below: float32, in which features are kept, counts that far
_NONE: NDArray[np.float64] = np.empty((0, 0))


@dataclass(frozen=True)
class TfIdf:
    """Ridge on TF-IDF of words and pairs of neighbours; vocabulary and rarity are those of the examples fitted on.

    A block is (n, t) word numbers, 0 where there is no word. Terms count 1 + log(count), rarity is the smoothed
    log((1 + n) / (1 + examples with the term)) + 1, rows have length one (Salton and Buckley 1988). The penalty is by
    leave-one-out, exact but for the rarities, which know every example.

    Attributes:
        terms: (V,) sorted numbers of the terms.
        rarity: (V,).
        weight: (V, C).
        bias: (C,).
        sharpness: multiplies scores into logits.
    """

    terms: NDArray[np.int64]
    rarity: Floats
    weight: Floats
    bias: Floats
    sharpness: float
    loo: Floats
    error: float
    kind: Kind = "classification"

    @classmethod
    def fit(
        cls,
        blocks: Sequence[Floats],
        targets: Targets,
        outputs: int,
        penalty: float | None,
        *,
        kind: Kind = "classification",
    ) -> "TfIdf":
        """Fit; see `Head`."""
        row, term = _occurrences(blocks)
        count = len(targets)
        terms = np.unique(term)
        seen = np.bincount(np.unique(np.stack([row, np.searchsorted(terms, term)]), axis=1)[1], minlength=len(terms))
        rarity = np.log((1 + count) / (1 + seen)) + 1
        rows = _weighted(row, term, count, terms, rarity)
        mean = np.asarray(rows.mean(axis=0)).ravel()
        gram = np.asarray((rows @ rows.T).todense())
        level = gram.mean(axis=1, keepdims=True)
        wanted = KINDS[kind].wanted(targets, outputs)
        solution = solve_gram(gram - level - level.T + gram.mean(), wanted, penalties(penalty))
        weight = np.asarray(rows.T @ solution.weight) - np.outer(mean, solution.weight.sum(axis=0))
        sharpness, loo = calibrated(solution.loo, targets, kind)
        return cls(terms, rarity, weight, solution.bias - mean @ weight, sharpness, loo, solution.error, kind)

    def predict(self, blocks: Sequence[Floats]) -> Floats:
        """(n, C) probabilities, or numbers; terms that were not there when it was fitted say nothing."""
        row, term = _occurrences(blocks)
        rows = _weighted(row, term, len(blocks[0]), self.terms, self.rarity)
        return KINDS[self.kind].stated((np.asarray(rows @ self.weight) + self.bias) * self.sharpness)

    def state(self) -> State:
        """Terms, their rarity and weights."""
        arrays: dict[str, Any] = {"terms": self.terms, "rarity": self.rarity, "weight": self.weight, "bias": self.bias}
        return State(arrays, {"sharpness": self.sharpness, "error": self.error, "kind": self.kind})

    @classmethod
    def restore(cls, state: State) -> "TfIdf":
        """The inverse of `state`."""
        a, meta = state.arrays, state.meta
        terms = a["terms"].astype(np.int64)
        kind = meta.get("kind", "classification")  # heads of earlier versions knew one kind only
        return cls(terms, a["rarity"], a["weight"], a["bias"], meta["sharpness"], _NONE, meta["error"], kind)


def _occurrences(blocks: Sequence[Floats]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The example and the term of every word and every pair of neighbours."""
    words = np.rint(np.hstack(blocks)).astype(np.int64)
    single, pair = words != 0, (words[:, :-1] != 0) & (words[:, 1:] != 0)
    pairs = words[:, :-1] * MOST + words[:, 1:]
    row = np.concatenate([np.nonzero(single)[0], np.nonzero(pair)[0]])
    return row, np.concatenate([words[single], pairs[pair]])


def _weighted(
    row: NDArray[np.int64], term: NDArray[np.int64], count: int, terms: NDArray[np.int64], rarity: Floats
) -> csr_array:
    """(count, V) rows of length one, or of zeros where an example has none of the terms."""
    at = np.minimum(np.searchsorted(terms, term), max(len(terms) - 1, 0))
    known = terms[at] == term if len(terms) else np.zeros(len(term), dtype=bool)
    ones = np.ones(int(known.sum()))
    rows = csr_array((ones, (row[known], at[known])), shape=(count, len(terms)))
    rows.sum_duplicates()
    rows.data = (1 + np.log(rows.data)) * rarity[rows.indices]
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    rows.data /= np.repeat(np.where(length > 0, length, 1.0), np.diff(rows.indptr))
    return rows
