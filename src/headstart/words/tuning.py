"""Vectors learn what stands together in a corpus, and stay near where they were: Mittens (Dingwall and Potts 2018).

The objective is GloVe's with a pull,

    sum_ij f(X_ij) (u_i.u_j + b_i + b_j - log X_ij)^2 + pull * sum_i |2 u_i - r_i|^2,

r_i the vector before and 2 u_i the vector after; counts are symmetric, so one table stands for GloVe's two. It is not
descended step by step: with all other words fixed it is a least-squares problem in (u_i, b_i), solved exactly, word
after word. A few sweeps settle it; there is no rate to choose, and nothing random. After that the words are moved back
along their ways until those known before have drifted no more than allowed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.core.progress import Step
from headstart.words.cooccurrence import Cooccurrence
from headstart.words.scores import drift
from headstart.words.vectors import Table

SWEEPS = 4
MOST_WORDS = 20_000
PULL = 1.0  # benchmarks/bench_words.py compares
FULL, POWER = 100.0, 0.75  # f(x) = min(1, (x / FULL) ** POWER), as GloVe has it
HALVINGS = 30


@dataclass(frozen=True, eq=False)
class Tuned:
    """Vectors after tuning.

    Attributes:
        table: (n, D).
        share: of the way from before that they kept.
        drift: mean cosine distance of known words from where they were.
        asked: that drift without going back.
        errors: weighted mean squared error of log counts before the first sweep and after each.
    """

    table: Table
    share: float
    drift: float
    asked: float
    errors: tuple[float, ...]


def tune(
    together: Cooccurrence, before: Table, known: NDArray[np.bool_], *, pull: float, most: float, step: Step
) -> Tuned:
    """Tune n words.

    Args:
        together: the counts of n words.
        before: (n, D) float32.
        known: (n,) words whose drift is limited.
        pull: towards `before`; as large as f of one pair that is always right would be.
        most: mean cosine distance that known words may drift.
        step: a unit a sweep.
    """
    halves, offsets = before.astype(np.float64) / 2, _offsets(together)
    errors = [_error(together, halves, offsets)]
    for _ in range(SWEEPS):
        _sweep(together, halves, offsets, before, pull)
        errors.append(_error(together, halves, offsets))
        step.note(f"error {errors[-1]:.3f}")
        step.advance()
    after = (2 * halves).astype(np.float32)
    share, asked = _share(before, after, known, most)
    kept = _along(before, after, share)
    return Tuned(kept, share, _mean_drift(before, kept, known), asked, tuple(errors))


def _sweep(
    together: Cooccurrence, halves: NDArray[np.float64], offsets: NDArray[np.float64], before: Table, pull: float
) -> None:
    """One exact solve a word, in place: the next word sees it."""
    counts, width = together.counts, halves.shape[1]
    toward, ridge = 2 * pull * before.astype(np.float64), np.diag(np.r_[np.full(width, 4 * pull), 1e-6])
    for row, (begin, end) in enumerate(zip(counts.indptr[:-1], counts.indptr[1:], strict=True)):
        if begin == end:
            continue
        others, seen = counts.indices[begin:end], counts.data[begin:end].astype(np.float64)
        weight = np.minimum(1.0, (seen / FULL) ** POWER)[:, None]
        basis = np.c_[halves[others], np.ones(end - begin)]
        left = basis.T @ (weight * basis) + ridge
        right = basis.T @ (weight[:, 0] * (np.log(seen) - offsets[others])) + np.r_[toward[row], 0.0]
        solved = np.linalg.solve(left, right)
        halves[row], offsets[row] = solved[:-1], solved[-1]


def _offsets(together: Cooccurrence) -> NDArray[np.float64]:
    """(n,) where the offsets begin: as if words stood together by chance."""
    sums = np.asarray(together.counts.sum(axis=1), np.float64).ravel()
    return np.log(np.maximum(sums, 1e-3)) - np.log(max(sums.sum(), 1e-3)) / 2


def _error(together: Cooccurrence, halves: NDArray[np.float64], offsets: NDArray[np.float64]) -> float:
    counts, squares, mass = together.counts, 0.0, 0.0
    for row, (begin, end) in enumerate(zip(counts.indptr[:-1], counts.indptr[1:], strict=True)):
        others, seen = counts.indices[begin:end], counts.data[begin:end].astype(np.float64)
        weight = np.minimum(1.0, (seen / FULL) ** POWER)
        guess = halves[others] @ halves[row] + offsets[others] + offsets[row]
        squares, mass = squares + float(weight @ (guess - np.log(seen)) ** 2), mass + float(weight.sum())
    return squares / max(mass, 1e-12)


def _share(before: Table, after: Table, known: NDArray[np.bool_], most: float) -> tuple[float, float]:
    """The largest share of the way that keeps the drift (found by halving), and the drift of the whole way."""
    asked = _mean_drift(before, after, known)
    if asked <= most:
        return 1.0, asked
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        far = _mean_drift(before, _along(before, after, middle), known) > most
        low, high = (low, middle) if far else (middle, high)
    return low, asked


def _along(before: Table, after: Table, share: float) -> Table:
    return (before + share * (after - before)).astype(np.float32)


def _mean_drift(before: Table, after: Table, known: NDArray[np.bool_]) -> float:
    return float(drift(before[known], after[known]).mean()) if known.any() else 0.0
