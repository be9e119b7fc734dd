"""Transfer in the measures of the field: not only how much is gained, but with how few labels and how soon.

Jumpstart, asymptotic gain, area ratio and time to a threshold are those of Taylor and Stone (2009, "Transfer Learning
for Reinforcement Learning Domains", section 2), with labels in place of episodes. All numbers come from predictions, so
that `verify` computes them again; the curves share folds, examples and bootstrap draws, so that differences are paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats
from headstart.core.protocols import Metric, Role
from headstart.core.record import LabelsSaved, LearningCurve, LearningPoint, Measures, Price, Span, Threshold
from headstart.data.split import FOLDS
from headstart.evaluation.evidence import Evidence
from headstart.evaluation.shares import EVERY
from headstart.evaluation.verdict import WIDEN, oriented, within
from headstart.metrics.intervals import LEVEL, Interval, group_weights, max_t, percentile, widen

EXPONENTS = np.linspace(0.05, 2.0, 79)  # of power laws; a curve that wants one at the rim says nothing of its limit
SETTLED = 0.95  # of the bootstrap draws must have a limit before one is stated
POINTS = 4  # of a curve: a power law has three unknowns

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rise:
    """Scores of one arm from few labels to all, oriented so that more is better.

    Attributes:
        values: (K,).
        draws: (K, B) bootstrapped, resamples shared by all arms, widened for training variance.
    """

    values: Array
    draws: Array

    @staticmethod
    def of(tables: Sequence[Floats], evidence: Evidence, metric: Metric, seed: int) -> "Rise":
        """Of the (n, C) out-of-fold predictions at each of K shares."""
        truth, sign = evidence.train.truth, 1.0 if metric.higher_is_better else -1.0
        weights = group_weights(evidence.train.groups, seed)
        values = np.array([sign * float(metric(table, truth)) for table in tables])
        raw = [sign * metric(table, truth, weights) for table in tables]
        draws = [widen(one, value, WIDEN) for one, value in zip(raw, values, strict=True)]
        return Rise(values, np.array(draws, dtype=np.float64))

    @property
    def columns(self) -> Array:
        """(K, 1 + B): what was observed, and every draw."""
        return np.column_stack([self.values, self.draws])


def measures(
    evidence: Evidence,
    metric: Metric,
    seed: int,
    history: Sequence[Mapping[str, Any]],
    why_none: str,
    seconds: float,
) -> Measures:
    """All measures.

    Args:
        evidence: with what arms predicted that had learned from less.
        metric: that decides.
        seed: of the bootstrap.
        history: rows of `history.jsonl`.
        why_none: why no curve was measured.
        seconds: that measuring took.
    """
    prices = tuple(_prices(evidence, metric, seed))
    return Measures(
        curve=_curve(evidence, metric, seed),
        why_none=why_none,
        priced=_priced(evidence) if prices else None,
        prices=prices,
        threshold=threshold(history, evidence.roles),
        seconds=seconds,
    )


def _labels(evidence: Evidence, share: float = 1.0, code: int | None = None) -> float:
    """How many labels a share of a fold's training part has, on average over the folds; of one class, or all."""
    truth = evidence.train.truth
    count = len(truth) if code is None else int((truth == code).sum())
    return count * (1 - 1 / FOLDS) * share


def _curve(evidence: Evidence, metric: Metric, seed: int) -> LearningCurve | None:
    shares = sorted(one for one in evidence.partly if not one.halved)
    if not shares:
        return None
    names: dict[Role, str] = {evidence.roles[arm]: arm for arm in evidence.partly[shares[0]].arms()}
    tables = {
        role: [*(evidence.partly[one].of(arm)[0] for one in shares), evidence.oof.of(arm)[0]]
        for role, arm in names.items()
    }
    transfer, control = (Rise.of(tables[role], evidence, metric, seed) for role in ("transfer", "control"))
    sizes = np.array([_labels(evidence, share) for share in (*(one.share for one in shares), 1.0)])
    gains = [
        _span(*pair) for pair in zip(transfer.values - control.values, transfer.draws - control.draws, strict=True)
    ]
    needs = labels_for(sizes, np.tile(control.values[:, None], len(sizes)), transfer.values)
    points = [
        LearningPoint(
            labels=round(size),
            transfer=_score(transfer, at, metric),
            control=_score(control, at, metric),
            gain=gains[at],
            control_needs=None if np.isinf(needs[at]) else float(needs[at]),
        )
        for at, size in enumerate(sizes)
    ]
    return LearningCurve(
        transfer=names["transfer"],
        control=names["control"],
        level=LEVEL,
        points=tuple(points),
        jumpstart=gains[0],
        at_all=gains[-1],
        beyond=beyond(sizes, transfer, control, metric),
        area_ratio=area_ratio(sizes, transfer, control),
        saved=saved(sizes, transfer, control, metric),
    )


def _span(value: float, draws: Array) -> Span:
    return _as_span(percentile(draws, float(value)))


def _as_span(interval: Interval) -> Span:
    return Span(value=interval.value, low=interval.low, high=interval.high)


def _score(rise: Rise, at: int, metric: Metric) -> Span:
    sign = 1.0 if metric.higher_is_better else -1.0
    return _as_span(within(oriented(percentile(rise.draws[at], float(rise.values[at])), sign), metric))


def labels_for(sizes: Array, scores: Array, wanted: Array) -> Array:
    """How many labels a learning curve needs for a score, interpolated over the logarithm of the labels.

    Args:
        sizes: (K,) ascending.
        scores: (K, B), more is better; a curve counts as reaching what it has reached with fewer labels.
        wanted: (B,).

    Returns:
        (B,) labels; the smallest size where that was enough, infinity where all are not.

    >>> sizes, scores = np.array([10.0, 40.0]), np.array([[0.5, 0.5, 0.5], [0.7, 0.7, 0.7]])
    >>> labels_for(sizes, scores, np.array([0.4, 0.6, 0.8])).round(1).tolist()
    [10.0, 20.0, inf]
    """
    best, logs, every = np.maximum.accumulate(scores, axis=0), np.log(sizes), np.arange(scores.shape[1])
    reached = best >= wanted
    at = reached.argmax(axis=0)
    before = np.maximum(at - 1, 0)
    rise = best[at, every] - best[before, every]
    part = np.divide(wanted - best[before, every], rise, out=np.ones_like(rise), where=rise > 0)
    labels = np.exp(logs[before] + part * (logs[at] - logs[before]))
    inside = np.where(at > 0, labels, sizes[0]).clip(max=sizes[-1])  # its ends exactly, so that they are known as such
    return np.where(reached.any(axis=0), inside, np.inf)


def saved(sizes: Array, transfer: Rise, control: Rise, metric: Metric) -> LabelsSaved:
    """The transfer ratio: labels that the control needs, over those that transfer needs, for the score that both reach.

    One of the two needs all labels for it. What lies before the smallest size is not seen: the ratio ends there.
    """
    ours, theirs = transfer.columns, control.columns
    level = np.minimum(ours[-1], theirs[-1])
    ahead = ours[-1] >= theirs[-1]
    of_transfer = np.where(ahead, labels_for(sizes, ours, level), sizes[-1])
    of_control = np.where(ahead, sizes[-1], labels_for(sizes, theirs, level))
    ratio = of_control / of_transfer
    return LabelsSaved(
        ratio=_span(ratio[0], ratio[1:]),
        most=float(sizes[-1] / sizes[0]),
        score=float(level[0]) if metric.higher_is_better else -float(level[0]),
        transfer=float(of_transfer[0]),
        control=float(of_control[0]),
    )


def area_ratio(sizes: Array, transfer: Rise, control: Rise) -> Span:
    """How much larger the area under the transfer arm's curve is than the control's, over the logarithm of labels."""
    ours, theirs = (np.trapezoid(rise.columns, np.log(sizes), axis=0) for rise in (transfer, control))
    ratio = (ours - theirs) / np.abs(theirs)
    return _span(ratio[0], ratio[1:])


def beyond(sizes: Array, transfer: Rise, control: Rise, metric: Metric) -> Span | None:
    """The gain with endless labels, by power laws; None where the curves do not settle where they would end."""
    if len(sizes) < POINTS:
        return None
    best = metric.top if metric.higher_is_better else 0.0
    (ours, first), (theirs, second) = (limits(sizes, rise.columns) for rise in (transfer, control))
    settled = first & second
    if not settled[0] or settled.mean() < SETTLED:
        return None
    gain = np.minimum(ours, best) - np.minimum(theirs, best)
    return _span(gain[0], gain[1:])


def limits(sizes: Array, scores: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Where learning curves end if they are power laws: score = limit - b n^-c, by least squares.

    Args:
        sizes: (K,).
        scores: (K, B), more is better.

    Returns:
        (B,) limits, and (B,) whether the curve rises with an exponent that it settles.
    """
    powers = sizes[:, None] ** -EXPONENTS
    middle, height = powers.mean(axis=0), scores.mean(axis=0)
    across = powers - middle
    slopes = across.T @ (scores - height) / (across**2).sum(axis=0)[:, None]  # (G, B), falling in n^-c
    explained = slopes**2 * (across**2).sum(axis=0)[:, None]
    at = explained.argmax(axis=0)
    slope = slopes[at, np.arange(scores.shape[1])]
    return height - slope * middle[at], (slope < 0) & (at > 0) & (at < len(EXPONENTS) - 1)


def _priced(evidence: Evidence) -> str | None:
    return next((arm for learned, oof in evidence.partly.items() if learned.halved for arm in oof.arms()), None)


def _prices(evidence: Evidence, metric: Metric, seed: int) -> list[Price]:
    """What the last doubling of all labels was worth, then of each class that was halved."""
    arm = _priced(evidence)
    if arm is None:
        return []
    parts = [learned for learned in evidence.partly if learned.halved]
    tables = [evidence.partly[learned].of(arm)[0] for learned in parts]
    rise = Rise.of([evidence.oof.of(arm)[0], *tables], evidence, metric, seed)
    worth, draws = rise.values[0] - rise.values[1:], rise.draws[0] - rise.draws[1:]
    codes = [None if learned == EVERY else evidence.classes.index(learned.halved) for learned in parts]
    return [
        Price(
            label=None if code is None else evidence.classes[code],
            had=round(_labels(evidence, code=code)),
            worth=_as_span(max_t(draws, worth, at)),
        )
        for at, code in enumerate(codes)
    ]


def threshold(history: Sequence[Mapping[str, Any]], roles: Mapping[str, Role]) -> Threshold | None:
    """Epochs and seconds until a transfer arm is as accurate as its best control ever was, on the inner split.

    Args:
        history: rows of `history.jsonl`: arm, unit, validation_accuracy, seconds.
        roles: arm -> role.
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in history:
        if row["unit"] == "inner" and row["validation_accuracy"] is not None and row["arm"] in roles:
            before = curves.setdefault(row["arm"], [])
            spent = before[-1][1] if before else 0.0
            before.append((row["validation_accuracy"], spent + row["seconds"]))
    best = {arm: max(accuracy for accuracy, _ in curve) for arm, curve in curves.items()}
    sides = [[arm for arm in curves if roles[arm] == role] for role in ("transfer", "control")]
    if not all(sides):
        return None
    transfer, control = (max(arms, key=lambda arm: best[arm]) for arms in sides)
    ours, theirs = (_reached(curves[arm], best[control]) for arm in (transfer, control))
    assert theirs is not None, "the control has reached its own best"
    return Threshold(
        transfer=transfer,
        control=control,
        accuracy=best[control],
        epochs=ours[0] if ours else None,
        seconds=ours[1] if ours else None,
        control_epochs=theirs[0],
        control_seconds=theirs[1],
    )


def _reached(curve: Sequence[tuple[float, float]], accuracy: float) -> tuple[int, float] | None:
    """The first epoch, from 1, that is as accurate, and the seconds until its end."""
    return next(((at, spent) for at, (value, spent) in enumerate(curve, 1) if value >= accuracy), None)
