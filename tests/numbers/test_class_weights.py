"""Class weights against the closed form of two Gaussians, and whether what chooses them is kept from what is scored."""

from math import erf, sqrt

import numpy as np
import pytest

from headstart.core.protocols import Role
from headstart.evaluation import class_weights
from headstart.evaluation.class_weights import Reading
from headstart.evaluation.evidence import Evidence, Examples
from headstart.evaluation.figures import comparison, figures
from headstart.evaluation.folds import OutOfFold, Unit, fold_maps
from headstart.metrics.scores import METRICS, metric

BALANCED = metric("balanced_accuracy")
RATIO = 10
GAP = 2.0  # between the means of two classes of variance one


def examples(n: int, seed: int, ratio: int = RATIO) -> tuple[np.ndarray, np.ndarray]:
    """(n,) places on the line, and labels: `ratio` of class 0 about 0 for each of class 1 about GAP."""
    truth = (np.arange(n) % (ratio + 1) == ratio).astype(int)
    return np.random.default_rng(seed).normal(GAP * truth), truth


def posterior(x: np.ndarray, ratio: float = RATIO) -> np.ndarray:
    """(n, 2) true probabilities where class 0 is `ratio` times as frequent."""
    odds = np.exp(GAP * x - GAP**2 / 2) / ratio
    return np.stack([1 / (1 + odds), odds / (1 + odds)], axis=1)


def evidence(truth: np.ndarray, tested: dict[str, np.ndarray] | None = None, **arms: np.ndarray) -> Evidence:
    """Arms whose names say their side, on all folds."""
    groups = np.arange(len(truth))
    oof = OutOfFold(fold_maps(truth, groups, 0), 2)
    for arm, said in arms.items():
        for r in range(len(oof.maps)):
            oof.fill(arm, np.full(len(truth), r), groups, said)
    names = tuple(map(str, groups))
    who = Examples(names, names, truth, groups)
    roles: dict[str, Role] = {arm: "control" if arm.startswith("control") else "transfer" for arm in arms}
    return Evidence(("often", "rarely"), roles, who, oof, who if tested else None, tested or {})


def test_true_probabilities_are_weighed_by_the_inverse_of_the_shares() -> None:
    x, truth = examples(11_000, 0)
    found = class_weights.of_arm(evidence(truth, linear=posterior(x)), "linear", BALANCED)
    assert found.tau == 1.0
    np.testing.assert_allclose(found.weights, [1.0, RATIO])
    assert found.temperature == pytest.approx(1.0, abs=0.05)
    named = found.weighed(posterior(x)).argmax(axis=1)
    cut = x[named == 1].min()  # between equal Gaussians the best place is half way; the temperature moves it a little
    assert cut == pytest.approx(GAP / 2, abs=0.1)
    fresh, label = examples(110_000, 1)
    best = (1 + erf(GAP / 2 / sqrt(2))) / 2
    assert float(BALANCED(found.weighed(posterior(fresh)), label)) == pytest.approx(best, abs=0.01)
    assert float(BALANCED(posterior(fresh), label)) < best - 0.1


def test_weights_are_a_power_of_the_shares_and_the_most_frequent_class_has_one() -> None:
    truth = np.repeat([0, 1, 2], [16, 4, 1])
    np.testing.assert_allclose(class_weights.of_shares(truth, 4, 0.5), [1.0, 2.0, 4.0, 4.0])
    np.testing.assert_allclose(class_weights.of_shares(truth, 3, 0.0), 1.0)


@pytest.mark.parametrize("name", [name for name, score in METRICS.items() if score.judges != "classes"])
def test_other_metrics_weigh_nothing(name: str) -> None:
    x, truth = examples(440, 0)
    given = evidence(truth, linear=posterior(x))
    assert class_weights.weighed(given, metric(name), 0) is given
    found = class_weights.of_arm(given, "linear", metric(name))
    assert (found.tau, found.weights.tolist()) == (0.0, [1.0, 1.0])


def test_classes_of_equal_size_are_not_weighed() -> None:
    x, truth = examples(440, 0, ratio=1)
    found = class_weights.of_arm(evidence(truth, linear=posterior(x, 1)), "linear", BALANCED)
    assert (found.tau, found.weights.tolist()) == (0.0, [1.0, 1.0])


def test_no_example_has_a_say_in_how_it_is_read() -> None:
    x, truth = examples(220, 3)
    said = posterior(x)
    before = class_weights.weighed(evidence(truth, linear=said), BALANCED, 0)
    first = before.oof.maps[0] == 0
    swapped = np.where(first, 1 - truth, truth)
    changed = evidence(truth, linear=said)
    changed = Evidence(changed.classes, changed.roles, Examples((), (), swapped, np.arange(220)), changed.oof, None, {})
    after = class_weights.weighed(changed, BALANCED, 0)
    np.testing.assert_array_equal(after.oof.of("linear")[0, first], before.oof.of("linear")[0, first])
    assert not np.array_equal(after.oof.of("linear")[0, ~first], before.oof.of("linear")[0, ~first])


def test_an_arm_that_scored_one_fold_is_read_part_by_part() -> None:
    x, truth = examples(1100, 4)
    given = evidence(truth, linear=posterior(x))
    fold = given.oof.maps[0] == 0
    given.oof.put(Unit("lp-ft", 0, 0), posterior(x)[fold])
    found = class_weights.weighed(given, BALANCED, 0).oof
    np.testing.assert_array_equal(found.scored("lp-ft"), given.oof.scored("lp-ft"))
    table, label = found.of("lp-ft")[0, fold], truth[fold]
    assert float(BALANCED(table, label)) > float(BALANCED(posterior(x)[fold], label)) + 0.05
    np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-6)


def test_chance_is_not_taken_for_skill() -> None:
    plain, same, other = [], [], []
    for seed in range(60):
        chance = np.random.default_rng(seed)
        truth = (np.arange(66) % 11 == 10).astype(int)
        given = evidence(truth, linear=chance.dirichlet([10.0, 1.0], 66))
        table = given.oof.of("linear")[0]
        plain.append(float(BALANCED(table, truth)))
        same.append(float(BALANCED(class_weights.of_arm(given, "linear", BALANCED).weighed(table), truth)))
        read = class_weights.weighed(given, BALANCED, seed).oof.of("linear")
        other.append(np.mean([float(BALANCED(one, truth)) for one in read]))
    assert np.mean(same) - np.mean(plain) > 0.02
    assert np.mean(other) < 0.51


def test_a_head_start_in_shares_alone_is_no_gain() -> None:
    x, truth = examples(2200, 5)
    given = evidence(truth, control=posterior(x), transfer=posterior(x, 1.0))  # the same knowledge, other shares
    found = comparison(given, BALANCED, 0)
    assert found is not None
    assert abs(found.gain.value) < 0.03
    raw = [float(BALANCED(given.oof.of(arm)[0], truth)) for arm in ("transfer", "control")]
    assert raw[0] - raw[1] > 0.1


def test_figures_name_by_weights_and_state_without() -> None:
    x, truth = examples(1100, 6)
    given = evidence(truth, {"transfer": posterior(x).astype(np.float32).astype(float)}, transfer=posterior(x),
                     control=np.full((1100, 2), 0.5))  # fmt: skip
    found = figures(given, "transfer", BALANCED, 0)
    plain = figures(given, "transfer", metric("accuracy"), 0)
    assert (found.reading.tau, plain.reading.tau) == (1.0, 0.0)
    assert found.score.value == found.scores["balanced_accuracy"] > plain.scores["balanced_accuracy"] + 0.1
    assert found.scores["accuracy"] < plain.scores["accuracy"]
    for name in ("log_loss", "calibration_error"):
        assert found.scores[name] == plain.scores[name]
    assert (found.error_before, found.error_after) == (plain.error_before, plain.error_after)
    assert found.tested["transfer"].value == pytest.approx(found.score.value)


def test_macro_f1_may_want_less_than_balanced_accuracy() -> None:
    x, truth = examples(11_000, 7)
    given = evidence(truth, linear=posterior(x))
    taus = {name: class_weights.of_arm(given, "linear", metric(name)).tau for name in ("balanced_accuracy", "macro_f1")}
    assert taus == {"balanced_accuracy": 1.0, "macro_f1": 0.5}


def test_two_examples_can_be_read() -> None:
    truth = np.array([0, 1, 0])
    found = class_weights.weighed(evidence(truth, linear=posterior(np.array([0.0, 2.0, 0.5]))), BALANCED, 0)
    assert np.isfinite(found.oof.of("linear")).all()


def test_a_reading_keeps_rows_that_sum_to_one() -> None:
    read = Reading(2.0, 1.0, np.array([1.0, 5.0])).weighed(np.array([[0.9, 0.1], [0.5, 0.5]]))
    np.testing.assert_allclose(read, [[3 / 8, 5 / 8], [1 / 6, 5 / 6]])
