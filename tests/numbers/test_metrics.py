"""Scores against scikit-learn, weights against repetition, calibration and intervals against simulation."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as sk

from headstart.core.errors import UserError
from headstart.core.problem import Kind
from headstart.metrics.calibration import expected_calibration_error, fit_temperature, scale, softmax
from headstart.metrics.intervals import group_weights, max_t, percentile, share, simultaneous, widen
from headstart.metrics.scores import DEFAULT, METRICS, deciding, metric


def _each(score, p, t, w):
    return np.mean([score(t[:, at], p[:, at], sample_weight=w) for at in range(t.shape[1])])


REFERENCE = {
    "accuracy": lambda p, t, w: sk.accuracy_score(t, p.argmax(1), sample_weight=w),
    "balanced_accuracy": lambda p, t, w: sk.balanced_accuracy_score(t, p.argmax(1), sample_weight=w),
    "macro_f1": lambda p, t, w: sk.f1_score(t, p.argmax(1), sample_weight=w, average="macro"),
    "log_loss": lambda p, t, w: sk.log_loss(t, p, sample_weight=w),
    "mean_average_precision": lambda p, t, w: _each(sk.average_precision_score, p, t, w),
    "micro_f1": lambda p, t, w: sk.f1_score(t, p >= 0.5, sample_weight=w, average="micro"),
    "label_f1": lambda p, t, w: sk.f1_score(t, p >= 0.5, sample_weight=w, average="macro"),
    "jaccard": lambda p, t, w: sk.jaccard_score(t, p >= 0.5, sample_weight=w, average="samples", zero_division=1),
    "exact_match": lambda p, t, w: sk.accuracy_score(t, p >= 0.5, sample_weight=w),
    "label_loss": lambda p, t, w: _each(sk.log_loss, p, t, w),
    "r2": lambda p, t, w: sk.r2_score(t, p[:, 0], sample_weight=w),
    "mae": lambda p, t, w: sk.mean_absolute_error(t, p[:, 0], sample_weight=w),
    "rmse": lambda p, t, w: sk.root_mean_squared_error(t, p[:, 0], sample_weight=w),
}


def example(kind: Kind, n: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of labels are coarse, so that some tie; numbers are far from zero."""
    rng = np.random.default_rng(0)
    if kind == "classification":
        return softmax(rng.normal(size=(n, 3))), rng.integers(0, 3, n)
    if kind == "multi-label":
        truth = (rng.random((n, 4)) < 0.3).astype(int)
        return np.round(0.05 + 0.5 * rng.random((n, 4)) + 0.3 * truth, 1), truth
    truth = rng.normal(1000, 2, n)
    return (truth + rng.normal(size=n))[:, None], truth


@pytest.mark.parametrize("name", METRICS)
def test_metric_equals_scikit_learn_with_and_without_weights(name: str) -> None:
    probabilities, truth = example(metric(name).kind)
    weights = np.random.default_rng(1).integers(0, 4, size=(5, len(truth))).astype(float)
    plain = metric(name)(probabilities, truth)
    assert plain == pytest.approx(REFERENCE[name](probabilities, truth, np.ones(len(truth))))
    for row, value in zip(weights, metric(name)(probabilities, truth, weights), strict=True):
        assert value == pytest.approx(REFERENCE[name](probabilities, truth, row))


def test_unknown_metric_is_told_near_names() -> None:
    with pytest.raises(UserError, match="Did you mean accuracy"):
        metric("acuracy")


def test_a_metric_of_another_kind_is_refused_with_those_that_fit() -> None:
    assert [deciding(None, kind).name for kind in DEFAULT] == list(DEFAULT.values())
    assert deciding("mae", "regression").name == "mae"
    with pytest.raises(
        UserError, match=r"a metric of regression, got accuracy, one of classification\nChoose among r2, mae, rmse"
    ):
        deciding("accuracy", "regression")


def test_temperature_undoes_overconfidence() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 4)) * 1.5
    honest = softmax(logits)
    truth = np.array([rng.choice(4, p=row) for row in honest])
    loud = softmax(logits * 3)
    assert fit_temperature(loud, truth) == pytest.approx(3.0, rel=0.1)
    assert expected_calibration_error(loud, truth) > 0.1
    assert expected_calibration_error(scale(loud, 3.0), truth) < 0.03


def test_groups_are_resampled_whole() -> None:
    groups = np.array([0, 0, 0, 1, 2, 2])
    weights = group_weights(groups, seed=0, draws=300)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 4] == weights[:, 5]).all()
    assert (weights[:, [0, 3, 4]].sum(axis=1) == 3).all()


def test_duplicated_examples_do_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(0)
    correct = (rng.random(60) < 0.7).astype(float)
    groups = np.arange(60)

    def width(values: np.ndarray, of: np.ndarray) -> float:
        weights = group_weights(of, 0)
        found = percentile(weights @ values / weights.sum(axis=1), float(values.mean()))
        return found.high - found.low

    once = width(correct, groups)
    copied = width(np.repeat(correct, 4), np.repeat(groups, 4))
    assert copied == pytest.approx(once, rel=0.1)


def test_bootstrap_interval_covers_a_mean() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        values = rng.normal(size=50)
        weights = group_weights(np.arange(50), seed, draws=400)
        found = percentile(weights @ values / 50, float(values.mean()))
        covered += found.low <= 0 <= found.high
    assert 0.83 <= covered / 200 <= 0.95


def test_picking_the_best_of_many_null_arms_is_paid_for() -> None:
    rng = np.random.default_rng(0)
    naive = honest = 0
    for seed in range(400):
        values = rng.normal(size=(12, 60))
        weights = group_weights(np.arange(60), seed, draws=400)
        observed, draws = values.mean(axis=1), values @ weights.T / 60
        pick = int(observed.argmax())
        naive += percentile(draws[pick], float(observed[pick])).low > 0
        honest += max_t(draws, observed, pick).low > 0
    assert naive / 400 > 0.25
    assert honest / 400 <= 0.10


def test_intervals_of_all_arms_hold_at_once() -> None:
    """Six arms with no true gain on 60 examples: some plain interval misses zero far more often than one in ten."""
    rng, apart, together = np.random.default_rng(0), 0, 0
    for trial in range(400):
        values = rng.normal(size=(6, 60))
        weights = group_weights(np.arange(60), trial, draws=400)
        observed, draws = values.mean(axis=1), values @ weights.T / 60
        alone = [percentile(own, float(value)) for own, value in zip(draws, observed, strict=True)]
        apart += any(not one.low <= 0 <= one.high for one in alone)
        together += any(not one.low <= 0 <= one.high for one in simultaneous(draws, observed))
    assert apart / 400 > 0.35
    assert 0.05 < together / 400 < 0.15


@pytest.mark.parametrize(("hits", "draws"), [(0, 20), (1, 20), (7, 20), (20, 20), (2, 5)])
def test_the_interval_of_a_share_is_scipy_s_exact_one(hits: int, draws: int) -> None:
    reference = binomtest(hits, draws).proportion_ci(confidence_level=0.9, method="exact")
    found = share(hits, draws)
    assert (found.value, found.low, found.high) == pytest.approx((hits / draws, reference.low, reference.high))


def test_an_arm_that_never_differs_has_no_interval_and_costs_the_others_nothing() -> None:
    draws = np.random.default_rng(0).normal(size=(1, 500))
    alone = simultaneous(draws, np.zeros(1))
    both = simultaneous(np.vstack([draws, np.zeros((1, 500))]), np.zeros(2))
    assert both[0] == alone[0]
    assert (both[1].low, both[1].high) == (0.0, 0.0)
    assert simultaneous(np.zeros((1, 10)), np.zeros(1))[0].high == 0.0


def test_an_arm_against_itself_has_no_gain_and_no_interval() -> None:
    found = max_t(np.zeros((1, 100)), np.zeros(1), 0)
    assert (found.low, found.value, found.high) == (0.0, 0.0, 0.0)


def test_widening_keeps_the_value() -> None:
    draws = np.array([0.0, 1.0, 2.0])
    np.testing.assert_allclose(widen(draws, 1.0, 2.0), [-1.0, 1.0, 3.0])


@pytest.mark.parametrize(("n", "classes"), [(10, 2), (50, 3), (500, 10)])
def test_nobody_is_certain_because_few_were_right(n: int, classes: int) -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(n) % classes
    logits = rng.normal(size=(n, classes)) / 2
    logits[np.arange(n), truth] += 8  # all are right
    stated = softmax(logits)
    sure = scale(stated, fit_temperature(stated, truth))[np.arange(n), truth]
    assert 1 - sure.mean() == pytest.approx(1 / (n + 2), rel=0.25)
