"""Suspected label errors, against a case computed by hand and a slow reference."""

import numpy as np
import pytest

from headstart.evaluation.suspects import Suspect, suspects, thresholds

# Class 0 is stated surely (mean .8), class 1 never is (mean .5): a .55 for class 1 accuses, a .70 for class 0 does not.
BY_HAND = np.array([[0.95, 0.05], [0.95, 0.05], [0.95, 0.05], [0.35, 0.65], [0.3, 0.7], [0.45, 0.55], [0.7, 0.3]])
GIVEN = np.array([0, 0, 0, 0, 1, 1, 1])


def slow(probabilities: np.ndarray, targets: np.ndarray) -> list[tuple[int, int, int]]:
    """The definition, example by example: (index, given, likely) of the off-diagonal of the confident joint."""
    classes = range(probabilities.shape[1])
    level = {}
    for j in classes:
        own = [p[j] for p, t in zip(probabilities, targets, strict=True) if t == j]
        level[j] = sum(own) / len(own) if own else float("inf")
    found = []
    for i, (p, t) in enumerate(zip(probabilities, targets, strict=True)):
        over = [j for j in classes if p[j] >= level[j]]
        if t >= 0 and over and max(over, key=lambda j: p[j]) != t:
            found.append((i, int(t), max(over, key=lambda j: p[j])))
    return sorted(found, key=lambda one: probabilities[one[0], one[1]] - probabilities[one[0], one[2]])


def test_by_hand() -> None:
    np.testing.assert_allclose(thresholds(BY_HAND, GIVEN), [0.8, (0.7 + 0.55 + 0.3) / 3])
    (only,) = suspects(BY_HAND, GIVEN)
    assert only == Suspect(3, 0, 1, pytest.approx(0.3))


def test_a_class_that_is_never_sure_is_judged_by_its_own_measure() -> None:
    # .70 for class 0 is above one half and below what class 0 usually gets: the last example is no suspect.
    assert 6 not in [one.index for one in suspects(BY_HAND, GIVEN)]
    assert BY_HAND[6].argmax() != GIVEN[6]


@pytest.mark.parametrize("seed", range(5))
def test_as_the_definition_has_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = rng.integers(-1, 4, 200)
    logits = rng.normal(0, 1, (200, 4)) + 1.2 * np.eye(4)[np.maximum(targets, 0)]
    stated = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = suspects(stated, targets)
    assert [(one.index, one.given, one.likely) for one in found] == slow(stated, targets)
    assert len(found) > 3
    assert suspects(stated, targets, 3) == found[:3]


def test_flipped_labels_are_found() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    stated = 0.9 * np.eye(3)[truth] + 0.1 / 3
    given = truth.copy()
    given[:15] = (truth[:15] + 1) % 3
    found = suspects(stated, given)
    assert sorted(one.index for one in found) == list(range(15))
    assert all(one.likely == truth[one.index] and one.score > 0.8 for one in found)


def test_right_labels_and_unknown_ones_are_not_accused() -> None:
    stated = np.array([[0.9, 0.1], [0.2, 0.8], [0.01, 0.99]])
    assert suspects(stated, np.array([0, 1, -1])) == ()
    assert suspects(np.empty((0, 2)), np.empty(0, dtype=int)) == ()


def test_a_class_without_examples_accuses_nobody() -> None:
    stated = np.array([[0.1, 0.2, 0.7], [0.2, 0.1, 0.7], [0.1, 0.6, 0.3]])
    assert all(one.likely != 2 for one in suspects(stated, np.array([0, 1, 1])))


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
