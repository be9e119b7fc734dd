"""A table of competitors: every score, and every gain over the strongest control, whose intervals hold all at once."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from headstart.core.protocols import Metric
from headstart.evaluation.evidence import Evidence
from headstart.evaluation.verdict import WIDEN, Sample, sample, score_interval
from headstart.metrics.intervals import Interval, simultaneous, widen


@dataclass(frozen=True)
class Figures:
    """What follows from the predictions of all cells, which have scored the same examples.

    Attributes:
        n: how many examples those are.
        scores: cell -> its score.
        control: the strongest cell without transfer; None where there is none.
        gains: transfer cell -> its gain over that control, oriented so that more is better.
    """

    n: int
    scores: Mapping[str, Interval]
    control: str | None
    gains: Mapping[str, Interval]


def figures(evidence: Evidence, metric: Metric, seed: int) -> Figures:
    """All figures of a comparison, from out-of-fold predictions only.

    The control is the one that scored best here, which flatters it: a gain is rather understated.
    """
    who, oof = evidence.train, evidence.oof
    scores = {arm: score_interval(oof.of(arm), who.truth, who.groups, metric, seed, refits=True) for arm in oof.arms()}
    sign = 1.0 if metric.higher_is_better else -1.0
    controls = [arm for arm in scores if evidence.roles[arm] == "control"]
    control = max(controls, key=lambda arm: sign * scores[arm].value, default=None)
    rivals = [arm for arm in scores if evidence.roles[arm] == "transfer"]
    if control is None or not rivals:
        return Figures(len(who.truth), scores, control, {})
    seen = sample((control, *rivals), oof, who.truth, who.groups, metric, seed)
    return Figures(len(who.truth), scores, control, dict(zip(rivals, _gains(seen), strict=True)))


def _gains(seen: Sample) -> tuple[Interval, ...]:
    """Of all arms over the first one."""
    values, raw = seen.values[1:] - seen.values[0], seen.draws[1:] - seen.draws[0]
    draws = np.array([widen(each, float(value), WIDEN) for each, value in zip(raw, values, strict=True)])
    return simultaneous(draws, values)
