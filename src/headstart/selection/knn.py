"""Leave-one-out k-nearest-neighbour accuracy: what the features' own neighbourhoods say, with nothing fitted."""

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats, Ints
from headstart.selection.spectrum import Array, finite

AT_ONCE = 2**23  # similarities held at a time: 64 MB, whatever the number of examples
DIGITS = 12  # similarities that differ beyond them are equal: the order a product was summed in decides nothing


def knn_accuracy(features: Floats, targets: Ints, outputs: int, k: int = 1) -> float:
    """The share of examples whose k nearest others, by cosine, vote for their class.

    Sorkhei, Matsoukas, Fredin Haslum, Konuk and Smith 2025, arXiv 2503.18528. O(n^2 D), in blocks: besides two float64
    copies of the features, 64 MB.

    Cosine, as in the evaluation of self-supervised features: on random feature maps its top pick loses less than that
    of Euclidean distance, on stages of real nets as much (benchmarks/bench_logme.py).

    Good at features whose use is not linear, and at stages of nets, which LogME and the H-score rank by width. Bad at
    few examples: it moves in steps of 1/n, so that close candidates tie; at noise spread over many dimensions, which a
    linear head would learn to leave out; and at near-duplicates, which it finds and counts as success.

    Args:
        features: (n, D), not centred.
        targets: (n,) label codes.
        outputs: how many classes there are.
        k: neighbours that vote. Equally near ones count in the order of the examples, tied classes by their nearest.

    Raises:
        ValueError: there are not more than k examples, or the features are not finite.
    """
    n = len(targets)
    if not 1 <= k < n:
        raise ValueError(f"expected 1 to {n - 1} neighbours of {n} examples, got {k}")
    rows = finite(features)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(float).tiny)
    step = max(1, AT_ONCE // n)
    right = 0
    for at in range(0, n, step):
        similarity = rows[at : at + step] @ rows.T
        np.round(similarity, DIGITS, out=similarity)
        block = np.arange(len(similarity))
        similarity[block, at + block] = -np.inf
        voted = _vote(targets[_nearest(similarity, k)], outputs)
        right += int((voted == targets[at : at + step]).sum())
    return right / n


def _nearest(similarity: Array, k: int) -> NDArray[np.intp]:
    """(b, k) numbers of the most similar examples, the nearest first; the similarities are used up."""
    found = np.empty((len(similarity), k), dtype=np.intp)
    for rank in range(k):
        found[:, rank] = similarity.argmax(axis=1)  # of equals the first
        np.put_along_axis(similarity, found[:, [rank]], -np.inf, axis=1)
    return found


def _vote(codes: Ints, outputs: int) -> Ints:
    """(b,) classes with most of the (b, k) votes."""
    votes = np.zeros((len(codes), outputs))
    for rank, column in enumerate(codes.T):
        votes[np.arange(len(codes)), column] += 1 + 0.5 ** (rank + 1)  # all that is added is less than one vote
    return votes.argmax(axis=1)
