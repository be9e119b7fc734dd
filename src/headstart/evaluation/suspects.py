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
        likely: code of the class that is most probable instead.
        score: how improbable its label is, 0 .. 1.
    """

    index: int
    given: int
    likely: int
    score: float


def suspects(probabilities: Floats, targets: Ints, at_most: int | None = None) -> tuple[Suspect, ...]:
    """Examples that are rather of another class than their label says, the surest first.

    How many there are, the confident joint says; which, and in what order, the probability of the given label: that
    finds more than the examples off the diagonal of the joint themselves, or an order by margin
    (benchmarks/bench_suspects.py). Ask `tells` first: what cannot tell the classes has nothing to say of labels.

    Args:
        probabilities: (n, C), each row by a model that has not learned from that example's label.
        targets: (n,) label codes; -1 where unknown, which accuses nobody and is not accused.
        at_most: how many to name; None names as many as there probably are.

    Raises:
        ValueError: the shapes do not fit, or a code is of no class.
    """
    stated, given = np.asarray(probabilities, dtype=np.float64), np.asarray(targets)
    if stated.ndim != 2 or given.shape != (len(stated),):
        raise ValueError(f"expected (n, C) probabilities and (n,) targets, got {stated.shape} and {given.shape}")
    if len(given) and given.max() >= stated.shape[1]:
        raise ValueError(f"expected label codes below {stated.shape[1]}, got {given.max()}")
    likely = stated.argmax(axis=1)
    at = np.flatnonzero((given >= 0) & (likely != given))
    own = stated[at, given[at]]
    count = expected_errors(stated, given)
    order = np.argsort(own, kind="stable")[: count if at_most is None else min(at_most, count)]
    return tuple(Suspect(int(at[i]), int(given[at[i]]), int(likely[at[i]]), float(1 - own[i])) for i in order)


def tells(probabilities: Floats, targets: Ints) -> bool:
    """Whether predictions are right surely more often than naming the most frequent class: else they accuse nobody.

    Predictions that leave each example out lean away from its own class, and would accuse all of them.
    """
    known = np.flatnonzero(targets >= 0)
    if not len(known):
        return False
    right = float((probabilities[known].argmax(axis=1) == targets[known]).mean())
    usual = float(np.bincount(targets[known]).max() / len(known))
    return right > usual + 2 * (usual * (1 - usual) / len(known)) ** 0.5


def expected_errors(probabilities: Floats, targets: Ints) -> int:
    """How many labels are probably wrong: what is off the diagonal of the confident joint, scaled to all examples.

    An example counts as surely of a class if that class is at least as probable as it is on average among the examples
    that carry its label, of several such as of the most probable. So a class that a model is never sure of, or always
    too sure of, accuses no more than its share.

    Args:
        probabilities: (n, C).
        targets: (n,) label codes; -1 where unknown.
    """
    confident = np.where(probabilities >= thresholds(probabilities, targets), probabilities, -np.inf)
    sure = np.flatnonzero((targets >= 0) & np.isfinite(confident.max(axis=1, initial=-np.inf)))
    joint = np.zeros((probabilities.shape[1],) * 2)
    np.add.at(joint, (targets[sure], confident[sure].argmax(axis=1)), 1)
    counts = np.bincount(targets[targets >= 0], minlength=len(joint))
    wrong = 1 - np.diag(joint) / np.maximum(joint.sum(axis=1), 1)
    return round(float(np.where(joint.sum(axis=1) > 0, wrong, 0) @ counts))


def thresholds(probabilities: Floats, targets: Ints) -> Floats:
    """(C,) mean probability of each class among the examples that carry its label; infinite where none does."""
    classes = probabilities.shape[1]
    known = np.flatnonzero(targets >= 0)
    counts = np.bincount(targets[known], minlength=classes)
    sums = np.bincount(targets[known], weights=probabilities[known, targets[known]], minlength=classes)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
