"""Clusters, and whether there are any: k by how well k-means repeats itself, where it parts more than chance does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.errors import UserError
from headstart.core.extras import require
from headstart.core.predictions import Floats, Ints

EXTRA = "explore"
MOST = 20  # clusters that are tried
DRAWS = 3  # pairs of halves at each k
STABLE = 0.8  # adjusted Rand index of two halves from which a number of clusters repeats itself
NULLS = 2  # data sets without clusters to compare with
SHOWN = 2000  # examples that the choice looks at
STARTS = 3
SMALLEST = 5  # examples on average that a cluster that is tried must have


@dataclass(frozen=True)
class Tried:
    """One number of clusters.

    Attributes:
        k: how many.
        stability: mean adjusted Rand index between k-means on two disjoint halves, both read on all examples.
        silhouette: mean, by cosine of directions (Euclidean distance on the sphere).
        null: the largest silhouette of as many clusters in directions of the same covariance without any.
    """

    k: int
    stability: float
    silhouette: float
    null: float

    @property
    def clear(self) -> bool:
        """Whether it repeats itself, and parts more than chance does."""
        return self.stability >= STABLE and self.silhouette > self.null


@dataclass(frozen=True)
class Clustering:
    """Who belongs together.

    Attributes:
        codes: (n,) numbers of clusters, the largest first; -1 of those that are in none.
        centres: (k, D) mean directions.
        tried: every number that was looked at; empty where it was given.
        clear: whether the clusters repeat themselves; of a number that was asked for, whether that one does. Of dense
            regions nobody asks.
    """

    codes: Ints
    centres: Floats
    tried: tuple[Tried, ...]
    clear: bool


def cluster(directions: Floats, wanted: str, seed: int) -> Clustering:
    """Clusters of (n, D) directions of length one.

    Args:
        directions: as `reduction.whitened` gives them.
        wanted: "auto" chooses k, and finds none where none is clear; a number; "hdbscan"; "none".
        seed: of all starts and halves.

    Raises:
        UserError: an unknown wish, more clusters than examples, or scikit-learn is not installed.
    """
    n = len(directions)
    nobody = Clustering(np.full(n, -1), np.empty((0, directions.shape[1])), (), False)
    if wanted == "none":
        return nobody
    if wanted == "hdbscan":
        return _dense(directions)
    if wanted != "auto":
        k = _number(wanted, n)
        tried = tuple(_tried(_some(directions, seed), [k], seed))
        return Clustering(*_means(directions, k, seed), tried, tried[0].clear)
    some = _some(directions, seed)
    tried = tuple(_tried(some, range(2, min(MOST, len(some) // SMALLEST) + 1), seed))
    clear = [one for one in tried if one.clear]
    if not clear:
        return Clustering(nobody.codes, nobody.centres, tried, False)
    best = max(clear, key=lambda one: (round(one.stability, 2), one.silhouette))
    return Clustering(*_means(directions, best.k, seed), tried, True)


def check(wanted: str) -> None:
    """Refuse a wish that cannot be fulfilled, before anything is computed.

    Raises:
        UserError: an unknown wish, or scikit-learn is not installed.
    """
    if wanted not in ("auto", "hdbscan", "none"):
        _number(wanted, None)
    if wanted != "none":
        require("sklearn", EXTRA)


def agreement(one: Ints, other: Ints) -> tuple[float, float]:
    """Adjusted Rand index and normalised mutual information of two partitions."""
    measures: Any = require("sklearn.metrics", EXTRA)
    return float(measures.adjusted_rand_score(one, other)), float(measures.normalized_mutual_info_score(one, other))


def _number(wanted: str, n: int | None) -> int:
    k = int(wanted) if wanted.isdecimal() else 0
    if k < 2 or (n is not None and k > n):
        came = repr(wanted) if n is None or k < 2 else f"{k} of {n} examples"
        raise UserError("--clusters auto, hdbscan, none or a number from 2", came, "Leave it out to have it chosen.")
    return k


def _some(directions: Floats, seed: int) -> Floats:
    if len(directions) <= SHOWN:
        return directions
    return directions[np.random.default_rng(seed).permutation(len(directions))[:SHOWN]]


def _tried(directions: Floats, numbers: Sequence[int], seed: int) -> list[Tried]:
    rng = np.random.default_rng(seed)
    halves = [np.array_split(rng.permutation(len(directions)), 2) for _ in range(DRAWS)]
    covariance = directions.T @ directions / len(directions)
    nulls = [_unclustered(covariance, len(directions), rng) for _ in range(NULLS)]
    return [
        Tried(
            k,
            _stability(directions, k, halves, seed),
            _silhouette(directions, k, seed),
            max(_silhouette(null, k, seed) for null in nulls),
        )
        for k in numbers
    ]


def _unclustered(covariance: Floats, n: int, rng: np.random.Generator) -> Floats:
    """(n, D) directions of a Gaussian of that covariance: as long in every direction, without clusters."""
    drawn = rng.multivariate_normal(np.zeros(len(covariance)), covariance, n, method="eigh")
    return drawn / np.maximum(np.linalg.norm(drawn, axis=1, keepdims=True), 1e-12)


def _stability(directions: Floats, k: int, halves: Sequence[Sequence[Ints]], seed: int) -> float:
    found: list[float] = []
    for one, other in halves:
        if k > len(other):
            return 0.0
        centres = [_means(directions[half], k, seed)[1] for half in (one, other)]
        found.append(agreement(*(_nearest(directions, each) for each in centres))[0])
    return float(np.mean(found))


def _silhouette(directions: Floats, k: int, seed: int) -> float:
    measures: Any = require("sklearn.metrics", EXTRA)
    codes = _means(directions, k, seed)[0]
    if not 2 <= len(np.unique(codes)) < len(directions):  # it is defined for no other number
        return -1.0
    return float(measures.silhouette_score(directions, codes))


def _nearest(directions: Floats, centres: Floats) -> Ints:
    """(n,) the nearest centre of each example."""
    return ((centres**2).sum(axis=1) - 2 * directions @ centres.T).argmin(axis=1)


def _means(directions: Floats, k: int, seed: int) -> tuple[Ints, Floats]:
    """k-means from several starts: numbers with the largest cluster first, and the centres."""
    library: Any = require("sklearn.cluster", EXTRA)
    different = min(k, len(np.unique(directions, axis=0)))
    fitted = library.KMeans(different, n_init=STARTS, random_state=seed).fit(directions)
    return _ordered(fitted.labels_, directions)


def _dense(directions: Floats) -> Clustering:
    """HDBSCAN (Campello, Moulavi and Sander 2013): dense regions, and examples that are in none."""
    library: Any = require("sklearn.cluster", EXTRA)
    least = max(SMALLEST, len(directions) // 100)
    codes = library.HDBSCAN(min_cluster_size=least, copy=True).fit_predict(directions)
    found, centres = _ordered(codes, directions)
    return Clustering(found, centres, (), False)


def _ordered(codes: Ints, directions: Floats) -> tuple[Ints, Floats]:
    """The same clusters, numbered from the largest, and their means; what is in none stays at -1."""
    known, counts = np.unique(codes[codes >= 0], return_counts=True)
    rank = known[np.argsort(-counts, kind="stable")]
    found = np.full(len(codes), -1)
    for number, code in enumerate(rank.tolist()):
        found[codes == code] = number
    centres = np.array([directions[found == number].mean(axis=0) for number in range(len(rank))])
    return found, centres.reshape(len(rank), directions.shape[1])


def typical(directions: Floats, found: Clustering, count: int) -> tuple[tuple[int, ...], ...]:
    """Positions of the examples nearest to the centre of each cluster, the nearest first."""
    told: list[tuple[int, ...]] = []
    for number, centre in enumerate(found.centres):
        own = np.flatnonzero(found.codes == number)
        far = ((directions[own] - centre) ** 2).sum(axis=1)
        told.append(tuple(int(at) for at in own[np.argsort(far, kind="stable")][:count]))
    return tuple(told)
