"""Every number of a record that is computed from predictions. `fit` states them; `verify` recomputes them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from headstart.core.predictions import Floats
from headstart.core.problem import Kind
from headstart.core.protocols import Metric
from headstart.core.record import On
from headstart.evaluation import class_weights
from headstart.evaluation.evidence import Evidence
from headstart.evaluation.verdict import Comparison, chosen_interval, compare, paired_gain, score_interval
from headstart.metrics.intervals import Interval
from headstart.metrics.kinds import KINDS
from headstart.metrics.scores import of_kind

WITHIN = 0.9  # of what is predicted is not farther off than is stated


@dataclass(frozen=True)
class Figures:
    """What follows from the evidence and from which model was delivered.

    Attributes:
        score: of the delivered model, on the test if there is one.
        on, n: where that was measured, on how many examples.
        scores: every metric, there.
        arms: arm -> out-of-fold score and the number of examples.
        tested: arm -> test score.
        audit: gain on the test, opened once after the decision.
        reading: of the delivered model's probabilities, from out-of-fold predictions.
        off: numbers: what is predicted is at most so far off, in `WITHIN` of all cases out of fold.
        error_before, error_after: calibration error without and with it; None where no probabilities are stated.
    """

    comparison: Comparison | None
    score: Interval
    on: On
    n: int
    scores: Mapping[str, float]
    arms: Mapping[str, tuple[Interval, int]]
    tested: Mapping[str, Interval]
    audit: Interval | None
    reading: class_weights.Reading
    error_before: float | None
    error_after: float | None
    off: float | None


def comparison(evidence: Evidence, metric: Metric, seed: int) -> Comparison | None:
    """The verdict's comparison; looks at out-of-fold predictions only."""
    return _compared(class_weights.weighed(replace(evidence, tested={}), metric, seed), metric, seed)


def _compared(weighed: Evidence, metric: Metric, seed: int) -> Comparison | None:
    train = weighed.train
    return compare(weighed.roles, weighed.oof, train.truth, train.groups, metric, seed)


def figures(evidence: Evidence, delivered: str, metric: Metric, seed: int) -> Figures:
    """All figures, given which arm is delivered."""
    weighed = class_weights.weighed(evidence, metric, seed)
    judged = _compared(weighed, metric, seed)
    reading = class_weights.of_arm(evidence, delivered, metric)
    on, probabilities, truth = _where(evidence, delivered)
    refits = on == "out-of-fold"
    scaled = np.stack([reading.stated(table) for table in probabilities])
    answers = KINDS[evidence.kind]
    named = _where(weighed, delivered)[1] if metric.judges == "classes" else scaled
    audit = None
    if judged and weighed.test and {judged.transfer, judged.control} <= set(weighed.tested):
        pair = weighed.tested[judged.transfer], weighed.tested[judged.control]
        audit = paired_gain(*pair, weighed.test.truth, weighed.test.groups, metric, seed)
    return Figures(
        comparison=judged,
        score=_delivered(weighed, delivered, named, metric, seed, refits=refits),
        on=on,
        n=len(truth),
        scores=_every_metric(named, scaled, truth, evidence.kind),
        arms={arm: _arm(weighed, arm, metric, seed) for arm in weighed.oof.arms()},
        tested={arm: _tested(weighed, arm, metric, seed) for arm in weighed.tested},
        audit=audit,
        reading=reading,
        error_before=answers.calibration_error(probabilities.mean(axis=0), truth),
        error_after=answers.calibration_error(scaled.mean(axis=0), truth),
        off=_off(evidence, delivered) if evidence.kind == "regression" else None,
    )


def _off(evidence: Evidence, arm: str) -> float:
    """The quantile of out-of-fold errors, a new example counted among them (cross-conformal, Vovk 2015)."""
    tables, index = _scored(evidence, arm)
    errors = np.sort(np.abs(tables[..., 0] - evidence.train.truth[index]).mean(axis=0))
    return float(errors[min(int(np.ceil(WITHIN * (len(errors) + 1))), len(errors)) - 1])


def _delivered(evidence: Evidence, arm: str, said: Floats, metric: Metric, seed: int, *, refits: bool) -> Interval:
    """The delivered model's score: plain on the test, paid for having been chosen out of fold."""
    if not refits and evidence.test is not None:
        return score_interval(said, evidence.test.truth, evidence.test.groups, metric, seed, refits=False)
    _, index = _scored(evidence, arm)
    cells = evidence.oof.scored(arm)
    rivals = [
        other
        for other in evidence.oof.arms()
        if evidence.roles[other] == evidence.roles[arm] and (evidence.oof.scored(other) >= cells).all()
    ]
    rounds = np.flatnonzero(cells.any(axis=1))
    tables = [said if other == arm else evidence.oof.of(other)[rounds][:, index] for other in rivals]
    train = evidence.train
    return chosen_interval(tables, rivals.index(arm), train.truth[index], train.groups[index], metric, seed)


def _where(evidence: Evidence, arm: str) -> tuple[Literal["test", "out-of-fold"], Floats, np.ndarray]:
    """(R, n, C) predictions of an arm on the test, else on all that it has scored out of fold."""
    if evidence.test is not None and arm in evidence.tested:
        return "test", evidence.tested[arm][None], evidence.test.truth
    tables, index = _scored(evidence, arm)
    return "out-of-fold", tables, evidence.train.truth[index]


def _scored(evidence: Evidence, arm: str) -> tuple[Floats, np.ndarray]:
    scored = evidence.oof.scored(arm)
    rounds = np.flatnonzero(scored.any(axis=1))
    index = np.flatnonzero(scored[rounds].all(axis=0))
    return evidence.oof.of(arm)[rounds][:, index], index


def _arm(evidence: Evidence, arm: str, metric: Metric, seed: int) -> tuple[Interval, int]:
    tables, index = _scored(evidence, arm)
    train = evidence.train
    return score_interval(tables, train.truth[index], train.groups[index], metric, seed, refits=True), len(index)


def _tested(evidence: Evidence, arm: str, metric: Metric, seed: int) -> Interval:
    if evidence.test is None:
        raise ValueError("there is no test part")
    return score_interval(evidence.tested[arm], evidence.test.truth, evidence.test.groups, metric, seed, refits=False)


def _every_metric(named: Floats, stated: Floats, truth: np.ndarray, kind: Kind) -> dict[str, float]:
    """Scores of the classes that are named, and of the probabilities that are stated, (R, n, C) each."""
    values = {
        score.name: float(np.mean([score(t, truth) for t in (stated if score.judges == "probabilities" else named)]))
        for score in of_kind(kind)
    }
    error = KINDS[kind].calibration_error(stated.mean(axis=0), truth)
    return values if error is None else {**values, "calibration_error": error}
