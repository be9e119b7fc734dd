"""Logistic regression against scikit-learn's, run to a tight tolerance."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from headstart.linear.logistic import GRADIENT, fit_logistic
from headstart.linear.path import balanced
from headstart.linear.ridge import standardise


def problem(n: int, dim: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping, unequal classes; a spectrum that decays; the second feature is constant."""
    rng = np.random.default_rng(0)
    codes = np.minimum(rng.integers(0, 2 * classes, n), classes - 1)
    codes[:classes] = np.arange(classes)
    mix = rng.normal(size=(dim, dim)) / np.arange(1, dim + 1)
    features = rng.normal(size=(n, dim)) @ mix.T + 0.3 * rng.normal(size=(classes, dim))[codes]
    features[:, 1] = 5.0
    return features, codes


@pytest.mark.parametrize(("n", "dim", "classes"), [(300, 20, 2), (300, 20, 5), (40, 40, 3), (30, 90, 3)])
@pytest.mark.parametrize("penalty", [0.1, 3.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_optimum_is_that_of_scikit_learn(n: int, dim: int, classes: int, penalty: float, weighted: bool) -> None:
    features, codes = problem(n, dim, classes)
    weights = balanced(codes, classes) if weighted else None
    ours = fit_logistic([features], codes, classes, penalty, weights)
    scaler = standardise(features, weights=weights)
    strength = 1 / penalty if classes > 2 else 2 / penalty  # of two classes they keep one difference of weights
    theirs = LogisticRegression(
        C=strength, tol=1e-9, max_iter=50_000, class_weight="balanced" if weighted else None
    ).fit(scaler(features), codes)
    np.testing.assert_allclose(ours.predict([features]), theirs.predict_proba(scaler(features)), atol=1e-5)
    assert ours.gradient <= GRADIENT
    assert ours.passes < 80


def test_stages_have_a_say_of_equal_size() -> None:
    features, codes = problem(200, 12, 3)
    stages = [features[:, :4], features[:, 4:]]
    together = np.hstack([standardise(stage, 0.5)(stage) for stage in stages])
    theirs = LogisticRegression(C=2.0, tol=1e-9, max_iter=50_000).fit(together, codes)
    ours = fit_logistic(stages, codes, 3, 0.5).predict(stages)
    np.testing.assert_allclose(ours, theirs.predict_proba(together), atol=1e-5)


def test_narrow_floats_are_enough() -> None:
    features, codes = problem(200, 12, 3)
    narrow = features.astype(np.float32)
    one, other = (fit_logistic([f], codes, 3, 1.0).predict([f]) for f in (narrow, narrow.astype(np.float64)))
    np.testing.assert_array_equal(one, other)


def test_a_class_without_examples_has_no_probability() -> None:
    features, codes = problem(200, 12, 3)
    fitted = fit_logistic([features], codes + (codes > 0), 4, 1.0)
    found = fitted.predict([features])
    assert (found[:, 1] == 0).all()
    np.testing.assert_allclose(found[:, [0, 2, 3]], fit_logistic([features], codes, 3, 1.0).predict([features]))


@pytest.mark.parametrize("penalty", [0.0, -1.0, float("nan")])
def test_the_penalty_must_be_positive(penalty: float) -> None:
    with pytest.raises(ValueError, match="penalty above 0"):
        fit_logistic([np.eye(3)], np.arange(3), 3, penalty)
