"""LogME against the Gaussian density itself, and its maximum against a general optimiser."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from headstart.linear.path import one_hot
from headstart.selection.logme import evidence, logme

SHAPES = {"n<D": (30, 80), "n=D": (40, 40), "n>D": (60, 12), "one feature": (20, 1), "rank 5, n<D": (25, 60),
          "rank 5, n=D": (30, 30), "rank 5, n>D": (50, 20)}  # fmt: skip


def problem(shape: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features that tell something of three classes."""
    rng = np.random.default_rng(seed)
    n, dim = SHAPES[shape]
    codes = np.arange(n) % 3
    features = np.maximum(rng.normal(size=(n, dim)) + rng.normal(size=(3, dim))[codes], 0)
    if shape.startswith("rank"):
        features = features[:, :5] @ rng.normal(size=(5, dim))
    return features, codes


def density(features: np.ndarray, target: np.ndarray, alpha: float, beta: float) -> float:
    """log N(y; 0, I/beta + FF'/alpha) / n, from the (n, n) covariance."""
    n = len(target)
    covariance = np.eye(n) / beta + features @ features.T / alpha
    return multivariate_normal(np.zeros(n), covariance).logpdf(target) / n


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_the_score_is_the_exact_log_evidence(shape: str, seed: int) -> None:
    features, codes = problem(shape, seed)
    wanted = one_hot(codes, 3)
    found = evidence(features, wanted)
    exact = [density(features, *each) for each in zip(wanted.T, found.alpha, found.beta, strict=True)]
    np.testing.assert_allclose(found.value, exact, atol=1e-6)
    assert logme(features, codes, 3) == pytest.approx(np.mean(exact), abs=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_optimiser_finds_more_probable_precisions(shape: str) -> None:
    features, codes = problem(shape)
    wanted = one_hot(codes, 3)
    found = evidence(features, wanted)
    for c, value in enumerate(found.value):
        best = -np.inf
        for alpha, beta in [(found.alpha[c], found.beta[c]), (1.0, 1.0), (1e3, 10.0), (0.1, 100.0)]:
            start = np.log([alpha, beta])
            ended = minimize(lambda p, y=wanted[:, c]: -density(features, y, *np.exp(p)), start, method="Nelder-Mead")
            best = max(best, -ended.fun)
        assert value == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize(("rest", "higher"), [(0.12, 0), (0.3, 1)])
def test_of_two_maxima_it_takes_the_higher(rest: float, higher: int) -> None:
    """Either eight weak directions are signal and the rest is noise, or all but the five strong ones is noise."""
    rows = np.diag([95.0] * 5 + [0.57] * 8 + [0.0] * 9)
    target = np.array([6.0] * 5 + [3.7] * 8 + [rest] * 9)
    line = np.exp(np.arange(-12, 12, 0.05))
    values = np.array([best_of(rows, target, ratio) for ratio in line])
    tops = np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] > values[2:])) + 1
    assert len(tops) == 2
    assert values[tops].argmax() == higher
    found = evidence(rows, target[:, None])
    assert found.value[0] == pytest.approx(values.max(), abs=1e-3)
    assert found.alpha[0] / found.beta[0] == pytest.approx(line[values.argmax()], rel=0.05)


def best_of(features: np.ndarray, target: np.ndarray, ratio: float) -> float:
    """The density at the best noise for a ratio of precisions, which scales the covariance."""
    shape = np.eye(len(target)) + features @ features.T / ratio
    beta = len(target) / (target @ np.linalg.solve(shape, target))
    return density(features, target, ratio * beta, beta)


def test_real_valued_targets() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 8))
    targets = np.stack([features @ rng.normal(size=8) + 0.1 * rng.normal(size=50), rng.normal(size=50)], axis=1)
    found = evidence(features, targets)
    assert found.value[0] > found.value[1] + 1
    assert found.beta[0] == pytest.approx(100, rel=0.6)  # noise of deviation 0.1
    exact = [density(features, *each) for each in zip(targets.T, found.alpha, found.beta, strict=True)]
    np.testing.assert_allclose(found.value, exact, atol=1e-6)


@given(st.sampled_from(sorted(SHAPES)), st.integers(0, 20), st.floats(1e-3, 1e3), st.integers(1, 300))
@settings(max_examples=30, deadline=None)
def test_neither_scale_nor_empty_features_nor_order_matter(shape: str, seed: int, scale: float, empty: int) -> None:
    features, codes = problem(shape, seed)
    score = logme(features, codes, 3)
    order = np.random.default_rng(seed).permutation(len(codes))
    changed = np.hstack([scale * features, np.zeros((len(codes), empty))])[order]  # the published form is not blind
    assert logme(changed, codes[order], 3) == pytest.approx(score, abs=1e-8)


@pytest.mark.parametrize("dim", [6, 90])
def test_features_of_very_different_scales_keep_their_digits(dim: int) -> None:
    """With known singular vectors the density needs no matrix; FF' would lose eigenvalues of 1 beside those of 1e12."""
    rng = np.random.default_rng(0)
    span, _ = np.linalg.qr(rng.normal(size=(60, 6)))
    turn, _ = np.linalg.qr(rng.normal(size=(dim, 6)))
    lengths = np.array([1e6, 1e6, 1e3, 1e3, 1.0, 1.0])
    target = span @ [0, 0, 1, 1, 3, 3] + 0.1 * rng.normal(size=60)
    found = evidence(span * lengths @ turn.T, target[:, None])
    variances, squares = lengths**2 / found.alpha + 1 / found.beta, (span.T @ target) ** 2
    rest = ((target - span @ (span.T @ target)) ** 2).sum() * found.beta[0]
    logs = 60 * np.log(2 * np.pi) + np.log(variances).sum() - 54 * np.log(found.beta[0])
    assert found.value[0] == pytest.approx(-(logs + (squares / variances).sum() + rest) / 120, abs=1e-6)
    assert found.beta[0] == pytest.approx(100, rel=0.6)  # the smallest are not taken for noise


def test_what_says_more_scores_more() -> None:
    rng = np.random.default_rng(0)
    codes = np.arange(60) % 3
    centres = rng.normal(size=(3, 20))
    noise = rng.normal(size=(60, 20))
    scores = [logme(noise + strength * centres[codes], codes, 3) for strength in (0.0, 1.0, 3.0)]
    assert scores == sorted(scores)
    assert scores[2] > scores[0] + 0.3


@pytest.mark.parametrize("dim", [5, 200])
def test_features_that_say_nothing_score_as_noise_alone(dim: int) -> None:
    codes = np.arange(40) % 2
    score = logme(np.zeros((40, dim)), codes, 2)
    assert score == pytest.approx(-(np.log(2 * np.pi * 0.5) + 1) / 2)  # N(0, 1/b), 1/b = mean of y^2 = 1/2


def test_perfect_features_score_high_and_finite() -> None:
    codes = np.arange(30) % 3
    score = logme(one_hot(codes, 3), codes, 3)
    assert np.isfinite(score)
    assert score > 5


@pytest.mark.parametrize("dim", [4, 90])
def test_a_class_with_one_example_and_classes_without_any(dim: int) -> None:
    features = np.random.default_rng(0).normal(size=(21, dim))
    codes = np.append(np.arange(20) % 2, 4)
    score = logme(features, codes, 7)
    assert score == pytest.approx(logme(features, np.append(np.arange(20) % 2, 2), 3))  # empty classes do not count
    assert np.isfinite(score)


def test_one_class_only() -> None:
    assert np.isfinite(logme(np.random.default_rng(0).normal(size=(10, 30)), np.zeros(10, dtype=int), 1))


def test_half_precision_and_integers_are_taken() -> None:
    features, codes = problem("n<D")
    whole = np.round(4 * features)
    score = logme(whole, codes, 3)
    assert logme(whole.astype(np.float16), codes, 3) == pytest.approx(score)
    assert logme(whole.astype(int), codes, 3) == pytest.approx(score)


def test_a_target_of_zeros_is_refused() -> None:
    with pytest.raises(ValueError, match="not zero everywhere"):
        evidence(np.eye(4), np.stack([np.ones(4), np.zeros(4)], axis=1))


def test_features_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite features"):
        logme(np.full((4, 2), np.nan), np.arange(4) % 2, 2)
