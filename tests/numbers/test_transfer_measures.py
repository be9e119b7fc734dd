"""Measures of transfer against closed forms: power laws whose ratio is known, refits, and coverage in simulation."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from headstart.core.record import Measures
from headstart.evaluation.evidence import Evidence, Examples
from headstart.evaluation.folds import OutOfFold, Unit
from headstart.evaluation.shares import EVERY, SHARES, Learned, halved, within_share
from headstart.evaluation.transfer_measures import (
    Rise,
    area_ratio,
    beyond,
    labels_for,
    limits,
    measures,
    saved,
    threshold,
)
from headstart.linear.heads import Ridge
from headstart.linear.path import one_hot
from headstart.linear.reweigh import reweighed
from headstart.linear.ridge import standardise_stages
from headstart.metrics.calibration import softmax
from headstart.metrics.scores import metric

ACCURACY, LOG_LOSS = metric("accuracy"), metric("log_loss")
SIZES = np.array([50.0, 100.0, 200.0, 400.0])


def power(labels: np.ndarray, fewer: float = 1.0, limit: float = 0.9) -> np.ndarray:
    """A learning curve that needs `fewer` times fewer labels than the plain one."""
    return limit - 1.5 * (labels * fewer) ** -0.5


def exactly(values: np.ndarray) -> Rise:
    return Rise(values, np.repeat(values[:, None], 5, axis=1))


# --- reweighed without a refit


def fitted(n: int, dim: int) -> tuple[Ridge, list[np.ndarray], np.ndarray, list[np.ndarray]]:
    """A ridge on two stages, what it was fitted on, and new examples."""
    rng, targets = np.random.default_rng(0), np.arange(n) % 3
    blocks = [rng.normal(size=(n, dim)) + 4 * np.eye(dim)[targets], rng.normal(size=(n, 4))]
    return Ridge.fit(blocks, targets, 3, None), blocks, targets, [rng.normal(size=(7, dim)), rng.normal(size=(7, 4))]


@pytest.mark.parametrize(("n", "dim"), [(60, 9), (40, 90)])
def test_reweighing_equals_a_refit_with_those_weights(n: int, dim: int) -> None:
    head, blocks, targets, new = fitted(n, dim)
    scaler = standardise_stages(blocks)
    rows, others, wanted = scaler(np.hstack(blocks)), scaler(np.hstack(new)), one_hot(targets, 3)
    changes = [halved(targets, np.arange(n), np.array(codes), 0) for codes in ([0], [1], [2], [0, 1, 2])]
    changes.append((np.array([3, 5, 8]), np.array([0.0, 0.5, 4.0])))
    for (at, weights), found in zip(changes, reweighed(head, blocks, targets, new, changes), strict=True):
        mass = np.ones(n)
        mass[at] = weights
        mean, offset = mass @ rows / mass.sum(), mass @ wanted / mass.sum()
        gram = (rows - mean).T @ (mass[:, None] * (rows - mean)) + head.penalty * np.eye(rows.shape[1])
        weight = np.linalg.solve(gram, (rows - mean).T @ (mass[:, None] * (wanted - offset)))
        expected = softmax(((others - mean) @ weight + offset) * head.sharpness)
        np.testing.assert_allclose(found, expected, atol=1e-9)
        assert np.abs(found - head.predict(new)).max() > 1e-3


@pytest.mark.parametrize(("n", "dim"), [(60, 9), (40, 90)])
def test_reweighing_nothing_is_the_head_itself(n: int, dim: int) -> None:
    head, blocks, targets, new = fitted(n, dim)
    (found,) = reweighed(head, blocks, targets, new, [(np.empty(0, dtype=np.int64), np.empty(0))])
    np.testing.assert_allclose(found, head.predict(new), atol=1e-9)


# --- shares


def test_shares_are_nested_stratified_and_leave_groups_whole() -> None:
    targets, groups = np.repeat([0, 1, 2], [80, 48, 32]), np.arange(160) // 2
    parts = [within_share(targets, groups, share, 3) for share in (*SHARES, 1.0)]
    for small, large in itertools.pairwise(parts):
        assert set(small) < set(large)
    for part, share in zip(parts, (*SHARES, 1.0), strict=True):
        np.testing.assert_allclose(np.bincount(targets[part]), np.array([80, 48, 32]) * share, atol=2)
        np.testing.assert_array_equal(part[::2] + 1, part[1::2])
    own, weights = halved(targets, groups, np.array([1]), 3)
    np.testing.assert_array_equal(own, np.flatnonzero(targets == 1))
    assert sorted(set(weights)) == [0, 2]
    assert weights.sum() == 48
    np.testing.assert_array_equal(weights[::2], weights[1::2])


# --- labels saved


@pytest.mark.parametrize("fewer", [1.0, 1.7, 4.0])
def test_a_known_ratio_is_given_back(fewer: float) -> None:
    found = saved(SIZES, exactly(power(SIZES, fewer)), exactly(power(SIZES)), ACCURACY)
    assert found.ratio.value == pytest.approx(fewer, rel=0.03)
    assert found.control == 400
    assert found.transfer == pytest.approx(400 / fewer, rel=0.03)
    assert found.score == pytest.approx(power(SIZES)[-1])
    assert found.most == 8
    turned = saved(SIZES, exactly(power(SIZES)), exactly(power(SIZES, fewer)), ACCURACY)
    assert turned.ratio.value == pytest.approx(1 / fewer, rel=0.03)


def test_a_control_that_never_learns_needs_more_than_can_be_seen() -> None:
    found = saved(SIZES, exactly(power(SIZES)), exactly(np.full(4, 0.5)), ACCURACY)
    assert found.ratio.value == found.most == 8
    needs = labels_for(SIZES, np.full((4, 4), 0.5), power(SIZES))
    assert np.isinf(needs).all()


def test_a_dent_in_a_curve_does_not_take_back_what_it_had_reached() -> None:
    scores = np.array([[0.5], [0.7], [0.6], [0.9]])
    assert labels_for(SIZES, scores, np.array([0.7]))[0] == pytest.approx(100)
    assert labels_for(SIZES, scores, np.array([0.8]))[0] == pytest.approx(np.sqrt(200 * 400))


def test_the_area_is_compared_over_the_logarithm() -> None:
    found = area_ratio(SIZES, exactly(np.full(4, 0.9)), exactly(np.full(4, 0.6)))
    assert found.value == pytest.approx(0.5)
    losses = area_ratio(SIZES, exactly(np.full(4, -0.3)), exactly(np.full(4, -0.6)))
    assert losses.value == pytest.approx(0.5)


# --- power laws


def test_a_power_law_is_continued_to_its_limit() -> None:
    at, settled = limits(SIZES, np.column_stack([power(SIZES), power(SIZES, 4.0, 0.8)]))
    np.testing.assert_allclose(at, [0.9, 0.8], atol=1e-9)
    assert settled.all()


def test_what_is_no_power_law_has_no_limit() -> None:
    straight, falling = np.log(SIZES) / 10, -np.log(SIZES) / 10
    _, settled = limits(SIZES, np.column_stack([straight, falling]))
    assert not settled.any()


# --- from predictions


def said(truth: np.ndarray, right: float, rng: np.random.Generator) -> np.ndarray:
    """(n, 2) probabilities that are right that often."""
    hit = rng.random(len(truth)) < right
    return np.where(np.eye(2)[np.where(hit, truth, 1 - truth)] == 1, 0.8, 0.2)


def simulated(seed: int, fewer: float, n: int = 500, worth: float = 0.0) -> Evidence:
    """Predictions of two arms whose curves are power laws, `fewer` times apart in labels."""
    rng, truth, maps = np.random.default_rng(seed), np.arange(n) % 2, (np.arange(n) % 5)[None]

    def table(**right: float) -> OutOfFold:
        oof = OutOfFold(maps, 2)
        for arm, share in right.items():
            probabilities = said(truth, share, rng)
            for fold in range(5):
                oof.put(Unit(arm, 0, fold), probabilities[maps[0] == fold])
        return oof

    at = {share: power(np.array([0.8 * n * share]))[0] for share in (*SHARES, 1.0)}
    more = {share: power(np.array([0.8 * n * share]), fewer)[0] for share in (*SHARES, 1.0)}
    partly = {Learned(share): table(linear=more[share], raw=at[share]) for share in SHARES}
    partly[EVERY] = table(linear=more[0.5])
    partly[Learned(halved="b")] = table(linear=more[1.0] - worth)
    names = tuple(str(i) for i in range(n))
    who = Examples(names, names, truth, np.arange(n))
    roles = {"linear": "transfer", "raw": "control"}
    return Evidence(("a", "b"), roles, who, table(linear=more[1.0], raw=at[1.0]), None, {}, partly)


def measured(evidence: Evidence, name: str = "accuracy") -> Measures:
    return measures(evidence, metric(name), 0, [], "", 0.0)


def test_intervals_cover_what_is_true() -> None:
    """Of 60 simulated runs; the tables of independent arms and shares spread more than real ones, which are paired."""
    inside = {"ratio": 0, "jump": 0, "all": 0, "together": 0}
    first, last = power(np.array([25.0, 400.0]), 3.0) - power(np.array([25.0, 400.0]))
    doubling = np.diff(power(np.array([200.0, 400.0]), 3.0))[0]
    for seed in range(60):
        found = measured(simulated(seed, 3.0))
        assert found.curve is not None
        for name, span, true in (
            ("ratio", found.curve.saved.ratio, 3.0),
            ("jump", found.curve.jumpstart, first),
            ("all", found.curve.at_all, last),
            ("together", found.prices[0].worth, doubling),
        ):
            inside[name] += span.low <= true <= span.high
    assert all(count >= 51 for count in inside.values()), inside


def test_the_worth_of_a_class_is_what_halving_it_costs() -> None:
    found = measured(simulated(0, 3.0, n=2000, worth=0.08))
    assert found.priced == "linear"
    together, of_b = found.prices
    assert (together.label, together.had, of_b.label, of_b.had) == (None, 1600, "b", 800)
    assert of_b.worth.low > 0
    assert of_b.worth.value == pytest.approx(0.08, abs=0.03)
    nothing = measured(simulated(0, 3.0, n=2000)).prices[1].worth
    assert nothing.low < 0 < nothing.high


def test_a_loss_is_measured_the_other_way_round() -> None:
    found = measured(simulated(0, 3.0, n=4000), "log_loss").curve
    assert found is not None
    assert found.points[0].transfer.value < found.points[0].control.value
    assert found.jumpstart.value > 0
    assert found.saved.ratio.value > 1
    assert found.saved.score > 0
    assert found.area_ratio.value > 0


def test_the_limit_is_stated_only_where_it_is_settled() -> None:
    """Half a million examples settle a power law; five hundred do not."""
    few = measured(simulated(0, 3.0)).curve
    assert few is not None
    assert few.beyond is None
    curves = [power(SIZES, 3.0, 0.9), power(SIZES, 1.0, 0.85)]
    noise = np.random.default_rng(0).normal(0, 1e-5, (2, 4, 200))
    transfer, control = (Rise(v, v[:, None] + e) for v, e in zip(curves, noise, strict=True))
    span = beyond(SIZES, transfer, control, ACCURACY)
    assert span is not None
    assert span.low <= 0.05 <= span.high
    assert beyond(SIZES[1:], exactly(curves[0][1:]), exactly(curves[1][1:]), ACCURACY) is None


def test_without_shares_there_is_no_curve_and_the_reason_stays() -> None:
    found = measures(replace(simulated(0, 3.0), partly={}), ACCURACY, 0, [], "too few", 0.5)
    assert (found.curve, found.prices, found.priced, found.why_none, found.seconds) == (None, (), None, "too few", 0.5)


# --- time


def rows(arm: str, *accuracies: float, unit: str = "inner") -> list[dict[str, object]]:
    return [{"arm": arm, "unit": unit, "validation_accuracy": a, "seconds": 2.0} for a in accuracies]


def test_time_to_the_control_s_best() -> None:
    roles = {"lp-ft": "transfer", "finetune": "transfer", "scratch": "control"}
    history = rows("finetune", 0.2, 0.3) + rows("lp-ft", 0.6, 0.72, 0.9) + rows("scratch", 0.3, 0.5, 0.7, 0.6)
    found = threshold(rows("scratch", 0.99, unit="fold 1") + history + rows("unknown", 0.9), roles)
    assert found is not None
    assert (found.transfer, found.control, found.accuracy) == ("lp-ft", "scratch", 0.7)
    assert (found.epochs, found.seconds, found.control_epochs, found.control_seconds) == (2, 4.0, 3, 6.0)
    never = threshold(rows("finetune", 0.2, 0.3) + rows("scratch", 0.5), roles)
    assert never is not None
    assert (never.epochs, never.seconds) == (None, None)
    assert threshold(rows("finetune", 0.2), roles) is None
    assert threshold([], roles) is None
