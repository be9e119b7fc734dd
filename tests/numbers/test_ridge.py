"""Closed forms against refits one by one."""

import numpy as np
import pytest

from headstart.linear.heads import KernelRidge, Majority, Prototype, Ridge
from headstart.linear.path import PENALTIES, one_hot
from headstart.linear.ridge import solve_features, standardise

HEADS = [Ridge, KernelRidge, Prototype, Majority]


def problem(n: int, dim: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 3
    return rng.normal(size=(n, dim)) + np.eye(dim)[targets % dim] * 1.5, targets


@pytest.mark.parametrize(("n", "dim"), [(40, 10), (20, 60), (25, 25)])
def test_leave_one_out_equals_refitting_without_the_example(n: int, dim: int) -> None:
    features, targets = problem(n, dim)
    wanted = one_hot(targets, 3)
    scaled = standardise(features)(features)
    for at in (3, 12, 18):
        solution = solve_features([features], wanted, PENALTIES[[at]])
        for i in (0, 7, n - 1):
            rest = np.arange(n) != i
            mean, offset = scaled[rest].mean(axis=0), wanted[rest].mean(axis=0)
            centred = scaled[rest] - mean
            gram = centred.T @ centred + solution.penalties[0] * np.eye(dim)
            weight = np.linalg.solve(gram, centred.T @ (wanted[rest] - offset))
            expected = (scaled[i] - mean) @ weight + offset
            np.testing.assert_allclose(solution.loo[i], expected, atol=1e-8)


def test_prototype_leave_one_out_equals_the_mean_without_the_example() -> None:
    features, targets = problem(30, 8)
    fitted = Prototype.fit([features], targets, 3, None)
    rows = features - features.mean(axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    scores = np.zeros((30, 3))
    for i in range(30):
        for c in range(3):
            members = (targets == c) & (np.arange(30) != i)
            scores[i, c] = -((rows[i] - rows[members].mean(axis=0)) ** 2).sum()
    assert (fitted.loo.argmax(axis=1) == scores.argmax(axis=1)).all()


@pytest.mark.parametrize("head", HEADS)
def test_state_restores_the_same_predictions(head: type) -> None:
    features, targets = problem(40, 12)
    fresh, _ = problem(15, 12, seed=1)
    fitted = head.fit([features[:, :5], features[:, 5:]], targets, 3, None)
    again = head.restore(fitted.state())
    blocks = [fresh[:, :5], fresh[:, 5:]]
    np.testing.assert_allclose(again.predict(blocks), fitted.predict(blocks), atol=1e-6)
    np.testing.assert_allclose(fitted.predict(blocks).sum(axis=1), 1.0)


@pytest.mark.parametrize("head", [Ridge, KernelRidge, Prototype])
def test_leave_one_out_is_honest_where_nothing_can_be_learned(head: type) -> None:
    rng = np.random.default_rng(0)
    features, targets = rng.normal(size=(60, 200)), np.arange(60) % 2
    fitted = head.fit([features], targets, 2, None)
    assert (fitted.predict([features]).argmax(axis=1) == targets).mean() > 0.65  # it can memorise
    assert 0.25 < (fitted.loo.argmax(axis=1) == targets).mean() < 0.72  # and leave-one-out does not believe it


def test_gaussian_kernel_is_chosen_where_the_classes_are_rings() -> None:
    rng = np.random.default_rng(0)
    radius = np.repeat([1.0, 3.0], 60)
    angle = rng.uniform(0, 2 * np.pi, 120)
    features = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1) + 0.1 * rng.normal(size=(120, 2))
    targets = np.repeat([0, 1], 60)
    assert KernelRidge.fit([features], targets, 2, None).kernel.bandwidth is not None
    assert (KernelRidge.fit([features], targets, 2, None).loo.argmax(axis=1) == targets).mean() > 0.95
    assert (Ridge.fit([features], targets, 2, None).loo.argmax(axis=1) == targets).mean() < 0.7


def test_constant_features_say_nothing_and_blocks_have_equal_variance() -> None:
    features = np.random.default_rng(0).normal(size=(50, 4))
    features[:, 1] = 3.0
    scaled = standardise(features, share=0.5)(features)
    assert np.isfinite(scaled).all()
    assert (scaled[:, 1] == 0).all()
    assert scaled.var(axis=0).sum() == pytest.approx(0.5)


def test_a_feature_is_blown_up_no_more_than_the_median_one() -> None:
    features = np.random.default_rng(0).normal(size=(200, 5)) * [1e-3, 0.5, 1.0, 2.0, 8.0]
    deviation = standardise(features)(features).std(axis=0)
    np.testing.assert_allclose(deviation[2:], deviation[2])  # the median one and those above it: one deviation
    np.testing.assert_allclose(deviation[:2], deviation[2] * features[:, :2].std(axis=0) / features[:, 2].std())
    assert (deviation**2).sum() == pytest.approx(1.0)


def test_dead_units_do_not_drown_the_living_ones() -> None:
    rng = np.random.default_rng(0)
    living, targets = problem(300, 40)
    features = np.hstack([living, 1e-3 * rng.standard_t(2, size=(300, 30))])  # flicker, now and then
    alone, both = (Ridge.fit([x[:60]], targets[:60], 3, None).predict([x[60:]]) for x in (living, features))
    right = [(found.argmax(axis=1) == targets[60:]).mean() for found in (alone, both)]
    assert right[1] > right[0] - 0.02


def test_ridge_logits_are_its_predictions_as_a_linear_layer() -> None:
    features, targets = problem(40, 6)
    fitted = Ridge.fit([features], targets, 3, None)
    weight, bias = fitted.logits()
    logits = features @ weight + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.predict([features]), expected)
