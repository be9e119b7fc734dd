"""From how a word is written to a vector: ridge regression on its character n-grams, as hashed features.

fastText's idea (Bojanowski et al. 2017) turned into a regression, so that it can be learnt from any finished table, as
Pinter, Guthrie and Eisenstein (2017) do with a recurrent net. The normal equations are solved by conjugate gradients.
Some n-grams are a thousand times as frequent as others: scaled by the diagonal, 12 steps do what 50 do without.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from headstart.words.vectors import Table

LENGTHS = (2, 3, 4, 5)
BUCKETS = 200_000
PENALTY = 0.5
STEPS = 12
TRAINED_ON = 100_000  # frequent words of the table; benchmarks/bench_words.py compares


@dataclass(frozen=True, eq=False)
class Spelling:
    """What n-grams add up to.

    Attributes:
        weight: (BUCKETS, D).
        mean: (D,) of the vectors it was fitted on.
    """

    weight: NDArray[np.float32]
    mean: NDArray[np.float32]

    def __call__(self, words: Sequence[str]) -> Table:
        """(n, D) a vector for each word."""
        return np.asarray(ngrams(words) @ self.weight + self.mean, np.float32)


def ngrams(words: Sequence[str]) -> sparse.csr_matrix:
    """(n, BUCKETS) which n-grams each word has, with its ends marked; rows of length 1."""
    ends, hashes = [0], []
    for word in words:
        marked = f"<{word[:60]}>"
        pieces = {marked[at : at + k] for k in LENGTHS for at in range(len(marked) - k + 1)} | {marked}
        hashes += sorted({zlib.crc32(piece.encode("utf-8", "replace")) % BUCKETS for piece in pieces})
        ends.append(len(hashes))
    sizes = np.diff(ends)
    values = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes).astype(np.float32)
    shape = (len(words), BUCKETS)
    return sparse.csr_matrix((values, np.array(hashes, np.int32), np.array(ends, np.int32)), shape=shape)


def fit(words: Sequence[str], vectors: Table, penalty: float = PENALTY, steps: int = STEPS) -> Spelling:
    """The regression from n words to their (n, D) vectors."""
    features, mean = ngrams(words), np.asarray(vectors.mean(axis=0), np.float32)
    diagonal = (np.asarray(features.power(2).sum(axis=0)).ravel() + penalty).astype(np.float32)[:, None]
    residual = np.asarray(features.T @ (vectors - mean), np.float32)
    weight, direction = np.zeros_like(residual), residual / diagonal
    square = (residual * direction).sum(axis=0)
    for _ in range(steps):
        image = features.T @ (features @ direction) + penalty * direction
        step = square / np.maximum((direction * image).sum(axis=0), 1e-20)
        weight += step * direction
        residual -= step * image
        scaled = residual / diagonal
        before, square = square, (residual * scaled).sum(axis=0)
        direction = scaled + square / np.maximum(before, 1e-20) * direction
    return Spelling(weight.astype(np.float32), mean)
