"""Labels as Gaussians of their features, and the Wasserstein distance between two such."""

from dataclasses import dataclass

import numpy as np

from headstart.core.predictions import Ints
from headstart.linear.path import Array


@dataclass(frozen=True)
class Scatters:
    """What a set's rows say of each of its labels.

    Attributes:
        means: (C, d), of the labels that are there.
        products: (C, d, d) sums of products of rows that are centred by their label.
        counts: (C,) examples.
    """

    means: Array
    products: Array
    counts: Array


def scatters(rows: Array, codes: Ints) -> Scatters:
    """Of (n, d) rows with (n,) codes 0, 1, ... of which none is missing."""
    groups = [rows[codes == code] for code in range(int(codes.max()) + 1)]
    means = np.stack([group.mean(axis=0) for group in groups])
    centred = [group - mean for group, mean in zip(groups, means, strict=True)]
    return Scatters(means, np.stack([c.T @ c for c in centred]), np.array([float(len(group)) for group in groups]))


def within(sets: tuple[Scatters, ...]) -> Array:
    """(d, d) covariance inside labels, of all sets together; zeros where every label has one example."""
    freedom = sum(float((one.counts - 1).sum()) for one in sets)
    return sum((one.products.sum(axis=0) for one in sets), start=np.zeros(sets[0].products.shape[1:])) / max(freedom, 1)


def shrunk(labels: Scatters, common: Array) -> Array:
    """(C, d, d) covariances, each drawn to the common one as if by d examples more.

    A label with one example so has the common covariance, one with many its own.
    """
    prior = len(common)
    return (labels.products + prior * common) / (labels.counts - 1 + prior)[:, None, None]


def roots(covariances: Array) -> Array:
    """(C, d, d) symmetric square roots; what rounding makes of an eigenvalue 0 is 0."""
    values, vectors = np.linalg.eigh(covariances)
    floor = values.shape[1] * np.finfo(float).eps * values.max(axis=1, keepdims=True, initial=0.0)
    values = np.where(values > floor, values, 0.0)
    return (vectors * np.sqrt(values)[:, None, :]) @ vectors.transpose(0, 2, 1)


def wasserstein(first: Scatters, second: Scatters) -> Array:
    """(C, C') squared 2-Wasserstein distances between the labels of two sets, as Gaussians.

    |m - m'|^2 + tr S + tr S' - 2 tr (S^1/2 S' S^1/2)^1/2; the last trace is the sum of the singular values of
    S^1/2 S'^1/2, which loses no digits where the two are equal. Covariances are shrunk towards what all labels of both
    sets have in common. Costs a singular value decomposition of d rows for each pair.
    """
    common = within((first, second))
    mine, theirs = shrunk(first, common), shrunk(second, common)
    others, spreads = roots(theirs), np.trace(theirs, axis1=1, axis2=2)
    out = np.empty((len(mine), len(theirs)))
    for at, root in enumerate(roots(mine)):  # one label at a time: C x C' matrices at once may be many
        overlap = np.linalg.svd(root @ others, compute_uv=False).sum(axis=1)
        means = ((first.means[at] - second.means) ** 2).sum(axis=1)
        out[at] = means + np.maximum(np.trace(mine[at]) + spreads - 2.0 * overlap, 0.0)
    return out
