"""Labels that are probably wrong, by confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068)."""

from dataclasses import dataclass

import numpy as np

from headstart.core.predictions import Floats, Ints


@dataclass(frozen=True)
class Suspect:
    """An example whose label is probably wrong.

    Attributes:
        index: its position.
        given: code of the label that it has.
        likely: code of the class that it rather is of.
        score: how much more probable that class is, 0 .. 1.
    """

    index: int
    given: int
    likely: int
    score: float


def suspects(probabilities: Floats, targets: Ints, at_most: int | None = None) -> tuple[Suspect, ...]:
    """Examples that are surely enough of another class than their label says, the surest first.

    What is sure enough, each class says: the mean probability of that class among the examples that carry its label. So
    a class that a model is never sure of, or always too sure of, accuses no more than its share. An example that passes
    the thresholds of several classes is counted to the most probable of them.

    Args:
        probabilities: (n, C), each row by a model that has not learned from that example's label.
        targets: (n,) label codes; -1 where unknown, which accuses nobody and is not accused.
        at_most: how many to name; None names all.

    Raises:
        ValueError: the shapes do not fit, or a code is of no class.
    """
    stated, given = np.asarray(probabilities, dtype=np.float64), np.asarray(targets)
    if stated.ndim != 2 or given.shape != (len(stated),):
        raise ValueError(f"expected (n, C) probabilities and (n,) targets, got {stated.shape} and {given.shape}")
    if len(given) and given.max() >= stated.shape[1]:
        raise ValueError(f"expected label codes below {stated.shape[1]}, got {given.max()}")
    confident = np.where(stated >= thresholds(stated, given), stated, -np.inf)
    likely = confident.argmax(axis=1)
    accused = np.isfinite(confident.max(axis=1)) & (given >= 0) & (likely != given)
    at = np.flatnonzero(accused)
    margin = stated[at, likely[at]] - stated[at, given[at]]
    order = np.argsort(-margin, kind="stable")[:at_most]
    return tuple(Suspect(int(at[i]), int(given[at[i]]), int(likely[at[i]]), float(margin[i])) for i in order)


def thresholds(probabilities: Floats, targets: Ints) -> Floats:
    """(C,) mean probability of each class among the examples that carry its label; infinite where none does."""
    classes = probabilities.shape[1]
    known = np.flatnonzero(targets >= 0)
    counts = np.bincount(targets[known], minlength=classes)
    sums = np.bincount(targets[known], weights=probabilities[known, targets[known]], minlength=classes)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
