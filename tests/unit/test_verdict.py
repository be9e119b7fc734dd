"""Claims, decisions, and what they are made on."""

import numpy as np
import pytest

from headstart.core.record import Decision
from headstart.evaluation.delivery import HARM, LIKELY, RISK, SURE, Asked, decide
from headstart.evaluation.folds import OutOfFold, Unit, fold_maps
from headstart.evaluation.verdict import Comparison, claim, compare, labels_to_decide, paired_gain, score_interval
from headstart.metrics.intervals import Interval
from headstart.metrics.scores import metric

ACCURACY, LOG_LOSS = metric("accuracy"), metric("log_loss")
N = 240
TRUTH = np.arange(N) % 2
GROUPS = np.arange(N)


def said(right: float, seed: int) -> np.ndarray:
    """(n, 2) probabilities of an arm that is right that often."""
    hit = np.random.default_rng(seed).random(N) < right
    label = np.where(hit, TRUTH, 1 - TRUTH)
    return np.where(np.eye(2)[label] == 1, 0.8, 0.2)


def table(**arms: np.ndarray) -> OutOfFold:
    oof = OutOfFold(fold_maps(TRUTH, GROUPS, 0), 2)
    for name, probabilities in arms.items():
        for r in range(len(oof.maps)):
            for f in range(5):
                oof.put(Unit(name, r, f), probabilities[oof.maps[r] == f])
    return oof


def judge(oof: OutOfFold, **roles: str) -> Comparison:
    found = compare(roles, oof, TRUTH, GROUPS, ACCURACY, 0)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("transfer", "control", "expected"), [(0.9, 0.7, "helped"), (0.7, 0.9, "hurt"), (0.8, 0.8, "undecided")]
)
def test_the_claim_follows_the_truth(transfer: float, control: float, expected: str) -> None:
    found = judge(table(linear=said(transfer, 1), raw=said(control, 2)), linear="transfer", raw="control")
    assert found.claim == expected
    assert found.gain.low <= transfer - control <= found.gain.high


def test_the_strongest_control_and_the_best_arm_are_compared() -> None:
    oof = table(linear=said(0.7, 1), earlier=said(0.85, 2), raw=said(0.8, 3), majority=said(0.5, 4))
    found = judge(oof, linear="transfer", earlier="transfer", raw="control", majority="control")
    assert (found.transfer, found.control) == ("earlier", "raw")


def test_more_rivals_make_a_more_careful_claim() -> None:
    alone = judge(table(a=said(0.85, 1), raw=said(0.8, 2)), a="transfer", raw="control")
    arms = {f"x{i}": said(0.8, 10 + i) for i in range(8)}
    many = judge(
        table(a=said(0.95, 1), raw=said(0.8, 2), **arms), a="transfer", raw="control", **dict.fromkeys(arms, "transfer")
    )
    only = judge(table(a=said(0.95, 1), raw=said(0.8, 2)), a="transfer", raw="control")
    assert alone.claim in {"undecided", "helped"}
    assert many.gain.low < only.gain.low


def test_more_controls_make_a_more_careful_hurt() -> None:
    """The strongest control is picked from several too: that flatters it."""
    only = judge(table(a=said(0.8, 1), raw=said(0.95, 2)), a="transfer", raw="control")
    arms = {f"x{i}": said(0.8, 10 + i) for i in range(8)}
    many = judge(
        table(a=said(0.8, 1), raw=said(0.95, 2), **arms), a="transfer", raw="control", **dict.fromkeys(arms, "control")
    )
    assert (many.control, many.gain.value) == ("raw", only.gain.value)
    assert many.gain.high > only.gain.high
    assert many.gain.low == pytest.approx(only.gain.low)


def test_an_arm_that_ran_on_one_fold_is_compared_on_that_fold_only() -> None:
    oof = table(linear=said(0.7, 1), raw=said(0.6, 2))
    strong = said(0.95, 3)
    oof.put(Unit("lp-ft", 0, 0), strong[oof.maps[0] == 0])
    found = judge(oof, linear="transfer", raw="control", **{"lp-ft": "transfer"})
    assert found.transfer == "lp-ft"
    np.testing.assert_array_equal(found.index, np.flatnonzero(oof.maps[0] == 0))
    weak = table(linear=said(0.9, 1), raw=said(0.6, 2))
    weak.put(Unit("lp-ft", 0, 0), said(0.5, 3)[weak.maps[0] == 0])
    assert len(judge(weak, linear="transfer", raw="control", **{"lp-ft": "transfer"}).index) == N


def test_a_coin_toss_on_one_fold_does_not_replace_evidence_on_all() -> None:
    linear = said(0.9, 1)
    oof = table(linear=linear, raw=said(0.6, 2))
    fold = oof.maps[0] == 0
    luckier = linear[fold].copy()
    wrong = np.flatnonzero(luckier.argmax(axis=1) != TRUTH[fold])
    right = np.flatnonzero(luckier.argmax(axis=1) == TRUTH[fold])
    for i in (*wrong[:2], right[0]):  # two more right, one more wrong: better by one example
        luckier[i] = luckier[i][::-1]
    oof.put(Unit("lp-ft", 0, 0), luckier)
    found = judge(oof, linear="transfer", raw="control", **{"lp-ft": "transfer"})
    assert (found.transfer, len(found.index)) == ("linear", N)


def test_a_stronger_control_counts_even_where_it_ran_on_one_fold_only() -> None:
    oof = table(linear=said(0.9, 1), raw=said(0.6, 2))
    fold = oof.maps[0] == 0
    oof.put(Unit("scratch", 0, 0), said(0.8, 3)[fold])
    found = judge(oof, linear="transfer", raw="control", scratch="control")
    assert (found.control, len(found.index)) == ("scratch", int(fold.sum()))


def test_the_same_arm_twice_is_undecided() -> None:
    same = said(0.8, 1)
    found = judge(table(a=same, b=same), a="transfer", b="control")
    assert (found.claim, found.gain.value, found.p_gain) == ("undecided", 0.0, 0.0)


def test_no_comparison_without_both_sides() -> None:
    assert compare({"linear": "transfer"}, table(linear=said(0.8, 1)), TRUTH, GROUPS, ACCURACY, 0) is None


def test_a_lower_log_loss_is_a_gain() -> None:
    oof = table(sure=said(0.8, 1) * 0 + np.where(np.eye(2)[TRUTH] == 1, 0.9, 0.1), raw=said(0.7, 2))
    found = compare({"sure": "transfer", "raw": "control"}, oof, TRUTH, GROUPS, LOG_LOSS, 0)
    assert found is not None
    assert found.claim == "helped"
    assert 0 < found.of_control.low < found.of_control.value < found.of_control.high


def test_labels_to_decide_scale_with_the_square_of_the_reach() -> None:
    assert labels_to_decide(Interval(0.02, -0.02, 0.06), 100) == 300
    assert labels_to_decide(Interval(0.02, 0.01, 0.03), 100) is None
    assert labels_to_decide(Interval(0.0001, -0.05, 0.05), 100) is None
    assert claim(Interval(0.02, 0.0, 0.04)) == "undecided"


def comparison(p_gain: float, p_harm: float, said: str) -> Comparison:
    gain = Interval(0.0, -0.1, 0.1)
    return Comparison("linear", "raw", gain, gain, p_gain, p_harm, np.arange(3), said, None)


@pytest.mark.parametrize(
    ("p_gain", "p_harm", "claimed", "asked", "role"),
    [
        (0.99, 0.00, "helped", "auto", "transfer"),
        (SURE, HARM, "undecided", "auto", "transfer"),
        (SURE - 0.01, HARM + 0.01, "undecided", "auto", "transfer"),
        (LIKELY, RISK, "undecided", "auto", "transfer"),
        (LIKELY, RISK + 0.01, "undecided", "auto", "control"),
        (LIKELY - 0.01, RISK, "undecided", "auto", "control"),
        (0.9, 0.01, "hurt", "control", "control"),
        (0.01, 0.90, "hurt", "auto", "control"),
        (0.01, 0.90, "hurt", "transfer", "transfer"),
        (0.99, 0.00, "helped", "control", "control"),
    ],
)
def test_delivery(p_gain: float, p_harm: float, claimed: str, asked: Asked, role: str) -> None:
    found: Decision = decide(comparison(p_gain, p_harm, claimed), asked)
    assert found.role == role
    assert found.delivered == {"transfer": "linear", "control": "raw"}[role]
    assert (found.asked, found.p_gain, found.p_harm) == (asked, p_gain, p_harm)
    assert ("--deliver" in found.rule) == (asked != "auto")


def test_a_test_part_is_not_widened() -> None:
    probabilities = said(0.8, 1)
    wide = score_interval(probabilities, TRUTH, GROUPS, ACCURACY, 0, refits=True)
    plain = score_interval(probabilities, TRUTH, GROUPS, ACCURACY, 0, refits=False)
    assert wide.value == plain.value
    assert wide.high - wide.low > plain.high - plain.low
    better = paired_gain(said(0.95, 2), said(0.6, 3), TRUTH, GROUPS, ACCURACY, 0)
    assert better.low > 0
