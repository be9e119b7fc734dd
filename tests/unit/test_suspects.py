"""Suspected label errors, against a case computed by hand and a slow reference."""

import numpy as np
import pytest

from headstart.evaluation.suspects import Suspect, expected_errors, suspects, tells, thresholds
from headstart.linear.heads import Ridge

# Class 0 is stated surely (mean .8), class 1 never is (.517): a .65 for class 1 accuses, a .70 for class 0 does not.
# Joint: label 0 -> 3 surely of 0, 1 of 1, none left out; label 1 -> 2 surely of 1. Expected: 4 * 1/4 + 3 * 0/2 = 1.
BY_HAND = np.array([[0.95, 0.05], [0.95, 0.05], [0.95, 0.05], [0.35, 0.65], [0.3, 0.7], [0.45, 0.55], [0.7, 0.3]])
GIVEN = np.array([0, 0, 0, 0, 1, 1, 1])


def slow(probabilities: np.ndarray, targets: np.ndarray) -> tuple[float, list[int]]:
    """The definition, example by example: the expected errors, and who is accused in order if all are."""
    classes = range(probabilities.shape[1])
    level = {}
    for j in classes:
        own = [p[j] for p, t in zip(probabilities, targets, strict=True) if t == j]
        level[j] = sum(own) / len(own) if own else float("inf")
    joint = {(i, j): 0 for i in classes for j in classes}
    for p, t in zip(probabilities, targets, strict=True):
        over = [j for j in classes if p[j] >= level[j]]
        if t >= 0 and over:
            joint[int(t), max(over, key=lambda j: p[j])] += 1
    expected = 0.0
    for i in classes:
        sure = sum(joint[i, j] for j in classes)
        off = sum(joint[i, j] for j in classes if j != i)
        expected += (targets == i).sum() * off / sure if sure else 0
    accused = [i for i, (p, t) in enumerate(zip(probabilities, targets, strict=True)) if t >= 0 and p.argmax() != t]
    return expected, sorted(accused, key=lambda i: probabilities[i, targets[i]])


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = rng.integers(-1, 4, 200)
    logits = rng.normal(0, 1, (200, 4)) + 1.2 * np.eye(4)[np.maximum(targets, 0)]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), targets


def test_by_hand() -> None:
    np.testing.assert_allclose(thresholds(BY_HAND, GIVEN), [0.8, (0.7 + 0.55 + 0.3) / 3])
    assert expected_errors(BY_HAND, GIVEN) == 1
    assert suspects(BY_HAND, GIVEN) == (Suspect(6, 1, 0, pytest.approx(0.7)),)  # .3 for its own label, the least


@pytest.mark.parametrize("seed", range(5))
def test_as_the_definition_has_it(seed: int) -> None:
    stated, targets = drawn(seed)
    expected, accused = slow(stated, targets)
    found = suspects(stated, targets)
    assert expected_errors(stated, targets) == round(expected) > 3
    assert [one.index for one in found] == accused[: round(expected)]
    assert suspects(stated, targets, 3) == found[:3]


def test_flipped_labels_are_found() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    stated = 0.9 * np.eye(3)[truth] + 0.1 / 3
    given = truth.copy()
    given[:15] = (truth[:15] + 1) % 3
    found = suspects(stated, given)
    assert sorted(one.index for one in found) == list(range(15))
    assert all(one.given == given[one.index] and one.likely == truth[one.index] for one in found)
    assert all(one.score > 0.95 for one in found)


def test_a_class_that_is_never_sure_accuses_by_its_own_measure() -> None:
    """Half of class 1 is stated at .4 although its label is right: not one of these is surely of class 0."""
    stated = np.array([[0.99, 0.01]] * 20 + [[0.6, 0.4]] * 10 + [[0.2, 0.8]] * 10)
    given = np.array([0] * 20 + [1] * 20)
    assert (stated.argmax(axis=1) != given).sum() == 10
    assert suspects(stated, given) == ()


def test_right_labels_and_unknown_ones_are_not_accused() -> None:
    stated = np.array([[0.9, 0.1], [0.2, 0.8], [0.01, 0.99]])
    assert suspects(stated, np.array([0, 1, -1])) == ()
    assert suspects(stated, np.array([-1, -1, -1])) == ()
    assert suspects(np.empty((0, 2)), np.empty(0, dtype=int)) == ()


@pytest.mark.parametrize(
    ("stated", "targets", "said"),
    [
        (np.ones((3, 2)) / 2, np.zeros(2, dtype=int), r"expected \(n, C\) probabilities and \(n,\) targets"),
        (np.ones((2, 2)) / 2, np.array([0, 2]), "expected label codes below 2, got 2"),
    ],
)
def test_what_does_not_fit_is_refused(stated: np.ndarray, targets: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        suspects(stated, targets)


def test_what_cannot_tell_classes_accuses_nobody() -> None:
    """Leave-one-out leans away from each example's own class: on noise it would accuse nearly all."""
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(200, 10)), np.arange(200) % 4
    stated = Ridge.fit([rows], labels, 4, None).loo
    assert (stated.argmax(axis=1) != labels).mean() > 0.6
    assert len(suspects(stated, labels)) > 100
    assert not tells(stated, labels)
    assert tells(np.eye(4)[labels], labels)
