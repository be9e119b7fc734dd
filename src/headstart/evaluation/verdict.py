"""Did transfer help? The best transfer arm against the strongest control, paired, on examples that both scored.

The claim is made on out-of-fold predictions only. `WIDEN` pays for what a bootstrap of examples cannot see: that
another training set would have given other models. It was chosen by `benchmarks/bench_gate.py`, which runs this code
on small tasks whose truth is known; benchmarks/results/gate.json has coverage, false claims, and what is delivered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats, Ints, Targets
from headstart.core.protocols import Metric, Role
from headstart.evaluation.folds import OutOfFold
from headstart.metrics.intervals import LEVEL, Interval, group_weights, max_t, percentile, widen

WIDEN = 1.1  # of a gain: 92, 89 and 94 % covered at 50, 100 and 400 labels (tasks of even number), 3 % claims in A/A
WIDEN_SCORE = 1.3  # of a score, which has the luck of its class shares too: stratified folds share them with the fit
EARNED = 0.8  # P(better) at which an arm that was scored on few folds replaces one that was scored on all
DECIDABLE = 50.0  # times the labels that are there; needing more than that is as good as never


@dataclass(frozen=True)
class Sample:
    """Arms on one set of examples: observed and bootstrapped scores, oriented so that more is better.

    Attributes:
        arms: names.
        index: (k,) positions of the examples.
        values: (J,) scores.
        draws: (J, B) bootstrapped scores, resamples shared by all arms.
    """

    arms: tuple[str, ...]
    index: NDArray[np.int64]
    values: Floats
    draws: Floats

    def position(self, arm: str) -> int:
        """Where an arm stands."""
        return self.arms.index(arm)


@dataclass(frozen=True)
class Comparison:
    """The gain of the best transfer arm over the strongest control, and all that follows from it."""

    transfer: str
    control: str
    gain: Interval
    of_control: Interval
    p_gain: float
    p_harm: float
    index: NDArray[np.int64]
    claim: Literal["helped", "hurt", "undecided"]
    labels_to_decide: int | None


def sample(arms: Sequence[str], oof: OutOfFold, truth: Targets, groups: Ints, metric: Metric, seed: int) -> Sample:
    """Score arms on the examples that all of them scored, on the repeats that all of them ran."""
    both = np.logical_and.reduce([oof.scored(arm) for arm in arms])
    rounds = np.flatnonzero(both.any(axis=1))
    index = np.flatnonzero(both[rounds].all(axis=0))
    weights = group_weights(groups[index], seed)
    sign = 1.0 if metric.higher_is_better else -1.0
    values, draws = [], []
    for arm in arms:
        tables = oof.of(arm)[rounds][:, index]
        values.append(sign * np.mean([metric(table, truth[index]) for table in tables]))
        draws.append(sign * np.mean([metric(table, truth[index], weights) for table in tables], axis=0))
    return Sample(tuple(arms), index, np.array(values), np.array(draws))


def compare(
    roles: Mapping[str, Role], oof: OutOfFold, truth: Targets, groups: Ints, metric: Metric, seed: int
) -> Comparison | None:
    """The comparison that the verdict states; None where there is no arm on one of the sides.

    Arms that scored every example are compared on all. A fine-tuned arm has scored only some folds: it stands for its
    side if it beats the best of the others there - a transfer arm surely (`EARNED`), or a claim that rests on all
    examples would be given up for a coin toss on few; a control by any margin, since it must be the strongest - and
    then all are compared on those folds.
    """
    arms = [arm for arm in oof.arms() if arm in roles]
    if not {"transfer", "control"} <= {roles[arm] for arm in arms}:
        return None
    full = [arm for arm in arms if oof.scored(arm).all()]
    on_all, on_few = (sample(some, oof, truth, groups, metric, seed) for some in (full or arms, arms))
    transfer = _standing(on_all, on_few, roles, "transfer", EARNED)
    control = _standing(on_all, on_few, roles, "control", 0.5)
    common = on_all if {transfer, control} <= set(on_all.arms) else on_few
    return _judge(common, roles, transfer, control, metric)


def _standing(on_all: Sample, on_few: Sample, roles: Mapping[str, Role], role: Role, sure: float) -> str:
    """Who stands for a side: the best on all examples, unless an arm that scored few of them beats it there."""
    newcomers = [arm for arm in on_few.arms if roles[arm] == role and arm not in on_all.arms]
    if role not in {roles[arm] for arm in on_all.arms}:
        return _best(on_few, roles, role)
    best = _best(on_all, roles, role)
    at = on_few.position(best)
    for arm in sorted(newcomers, key=lambda one: -on_few.values[on_few.position(one)]):
        gain = on_few.values[on_few.position(arm)] - on_few.values[at]
        draws = widen(on_few.draws[on_few.position(arm)] - on_few.draws[at], float(gain), WIDEN)
        if gain > 0 and (draws > 0).mean() >= sure:
            return arm
    return best


def _best(scores: Sample, roles: Mapping[str, Role], role: Role) -> str:
    mine = [i for i, arm in enumerate(scores.arms) if roles[arm] == role]
    return scores.arms[max(mine, key=lambda i: scores.values[i])]


def _judge(scores: Sample, roles: Mapping[str, Role], transfer: str, control: str, metric: Metric) -> Comparison:
    mine, base = scores.position(transfer), scores.position(control)
    value = float(scores.values[mine] - scores.values[base])
    draws = widen(scores.draws[mine] - scores.draws[base], value, WIDEN)
    gain = Interval(value, _least(scores, roles, mine, base), -_least(scores, roles, base, mine))
    sign = 1.0 if metric.higher_is_better else -1.0
    own = percentile(widen(scores.draws[base], float(scores.values[base]), WIDEN_SCORE), float(scores.values[base]))
    return Comparison(
        transfer=transfer,
        control=control,
        gain=gain,
        of_control=within(oriented(own, sign), metric),
        p_gain=float((draws > 0).mean()),
        p_harm=float((draws < -metric.margin).mean()),
        index=scores.index,
        claim=claim(gain),
        labels_to_decide=labels_to_decide(gain, len(scores.index)),
    )


def _least(scores: Sample, roles: Mapping[str, Role], pick: int, base: int) -> float:
    """How little the pick may be ahead of an arm of the other side, though it was picked as the best of its own.

    Both sides are picked from several, so this pays for each end of the gain's interval: the best transfer arm would
    flatter the lower end, the strongest control the upper one. When only the first was paid for, nearly all truths that
    an interval missed lay above it.
    """
    side = [at for at, arm in enumerate(scores.arms) if roles[arm] == roles[scores.arms[pick]]]
    values = scores.values[side] - scores.values[base]
    raw = scores.draws[side] - scores.draws[base]
    draws = np.array([widen(d, v, WIDEN) for d, v in zip(raw, values, strict=True)])
    return max_t(draws, values, side.index(pick)).low


def claim(gain: Interval) -> Literal["helped", "hurt", "undecided"]:
    """`helped` iff the whole interval is above zero, `hurt` iff it is below."""
    if gain.low > 0:
        return "helped"
    return "hurt" if gain.high < 0 else "undecided"


def oriented(interval: Interval, sign: float) -> Interval:
    """An interval of "more is better" values in the metric's own direction."""
    if sign > 0:
        return interval
    return Interval(-interval.value, -interval.high, -interval.low)


def labels_to_decide(gain: Interval, n: int) -> int | None:
    """About how many labels more would take zero out of the interval, were the gain to stay; None when hopeless.

    Intervals shrink with the square root of n, so n (reach / gain)^2 labels are needed, reach being the distance from
    the value to the end of the interval on zero's side. That is a lower bound more than a forecast: of 20 tasks of
    `benchmarks/bench_gate.py` that got so many more, 4 were decided; the gain that was seen shrank to about half.
    """
    if claim(gain) != "undecided" or gain.value == 0:
        return None
    reach = gain.value - gain.low if gain.value > 0 else gain.high - gain.value
    needed = n * (reach / abs(gain.value)) ** 2
    return int(np.ceil(needed - n)) if needed < DECIDABLE * n else None


def score_interval(
    probabilities: Floats, truth: Targets, groups: Ints, metric: Metric, seed: int, *, refits: bool
) -> Interval:
    """A score with its interval.

    Args:
        probabilities: (n, C), or (R, n, C) of R repeats, which are averaged.
        truth: targets of the n examples.
        groups: (n,) pieces of evidence.
        metric: what is scored.
        seed: of the bootstrap.
        refits: several models made these predictions (out-of-fold), so the interval is widened for training variance;
            on a test part one fixed model is scored and the bootstrap is right as it is.
    """
    tables = probabilities[None] if probabilities.ndim == 2 else probabilities
    weights = group_weights(groups, seed)
    value = float(np.mean([metric(table, truth) for table in tables]))
    draws = np.mean([metric(table, truth, weights) for table in tables], axis=0)
    return within(percentile(widen(draws, value, WIDEN_SCORE) if refits else draws, value, LEVEL), metric)


def chosen_interval(
    arms: Sequence[Floats], pick: int, truth: Targets, groups: Ints, metric: Metric, seed: int
) -> Interval:
    """The out-of-fold score of the arm that was chosen because it scored best, which flatters it.

    Args:
        arms: (R, n, C) predictions of each arm that it was chosen from, on the same repeats and examples.
        pick: which was chosen.
        truth: targets of the n examples.
        groups: (n,) pieces of evidence.
        metric: what is scored.
        seed: of the bootstrap.
    """
    weights = group_weights(groups, seed)
    sign = 1.0 if metric.higher_is_better else -1.0
    values = sign * np.array([np.mean([metric(table, truth) for table in arm]) for arm in arms])
    raw = [sign * np.mean([metric(table, truth, weights) for table in arm], axis=0) for arm in arms]
    draws = np.array([widen(d, v, WIDEN_SCORE) for d, v in zip(raw, values, strict=True)])
    return within(oriented(max_t(draws, values, pick), sign), metric)


def within(interval: Interval, metric: Metric) -> Interval:
    """An interval cut to the values that the metric can take: widening may reach beyond."""
    return Interval(interval.value, max(interval.low, metric.bottom), min(interval.high, metric.top))


def paired_gain(transfer: Floats, control: Floats, truth: Targets, groups: Ints, metric: Metric, seed: int) -> Interval:
    """The gain of one fixed model over another on the same test examples, both (n, C)."""
    weights = group_weights(groups, seed)
    sign = 1.0 if metric.higher_is_better else -1.0
    value = sign * float(metric(transfer, truth) - metric(control, truth))
    draws = sign * (metric(transfer, truth, weights) - metric(control, truth, weights))
    return percentile(draws, value, LEVEL)
