"""A glance: every closed form by its own exact leave-one-out, one fit for each set of features. What `advise` shows.

The ladder's folds are fairer to arms that choose, and twenty times the work; here the interval of an arm pays for what
it was chosen from. Leave-one-out knows no groups: of near-copies one is looked at, and where groups are large, so that
this would leave too little, the ladder's folds say it.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from headstart.advisor.arms import Arms
from headstart.advisor.ladder import Bench
from headstart.advisor.ledger import Done
from headstart.advisor.study import Tier0, chosen_source, look
from headstart.core.plan import Solve
from headstart.core.predictions import Floats
from headstart.core.protocols import Metric
from headstart.core.record import StageScore
from headstart.evaluation.folds import OutOfFold
from headstart.evaluation.verdict import chosen_interval, score_interval
from headstart.linear.heads import Ridge
from headstart.metrics.intervals import Interval
from headstart.metrics.kinds import KINDS
from headstart.selection.loo import Floor, curve, with_evidence
from headstart.selection.outlook import Signs
from headstart.training.plan_learner import FittedSolve, PlanLearner
from headstart.training.solve import AND, Fits, Solved, candidates, error

APART = 0.9  # of the examples at least: what one of each group must leave for leave-one-out to speak for all
ALIKE = ("own-head", "majority")  # estimators that leaving one example out changes nothing of, or makes nonsense of


@dataclass(frozen=True)
class Glance:
    """What one fit of everything has shown.

    Attributes:
        tier: as the ladder would have it; with leave-one-out in place of folds where no groups forbid it.
        scores: arm -> its score.
    """

    tier: Tier0
    scores: Mapping[str, Interval]


def glance(bench: Bench, arms: Arms, sources: Sequence[str], metric: Metric) -> Glance:
    """Fit each closed form once on all that is not test, one example of each group."""
    _, first = np.unique(bench.data.groups, return_index=True)
    if len(first) < APART * len(bench.data):
        return by_folds(bench, arms, sources, metric)
    bench = replace(bench, data=bench.data.take(np.sort(first)))
    data, fits = bench.data, Fits()
    oof = OutOfFold(np.zeros((1, len(data)), dtype=np.int64), data.task.outputs)
    done: dict[str, Sequence[Done]] = {}
    scores: dict[str, Interval] = {}
    with bench.progress.step("leave-one-out", len(arms.closed)) as step:
        for one in arms.closed:
            step.note(one.name)
            started = time.perf_counter()
            tables, pick, solved = _left_out(bench, one, fits)
            each = [table[None] for table in tables]
            scores[one.name] = chosen_interval(each, pick, data.targets, data.groups, metric, bench.seed)
            oof.fill(one.name, np.zeros(len(data), dtype=np.int64), np.arange(len(data)), tables[pick])
            seconds = time.perf_counter() - started
            done[one.name] = [Done(tables[pick], seconds, AND.join(solved.sources), solved.stages)]
            step.advance()
        stages = _curve(bench, sources, fits)
    signs = Signs.of(data, stages, _floor(bench, oof))
    return Glance(Tier0(done, oof, stages, signs, chosen_source(done, sources)), scores)


def by_folds(bench: Bench, arms: Arms, sources: Sequence[str], metric: Metric) -> Glance:
    """The same from the ladder's folds, which groups do not cross."""
    tier, data = look(bench, arms, sources), bench.data
    scores = {
        one.name: score_interval(tier.oof.of(one.name), data.targets, data.groups, metric, bench.seed, refits=True)
        for one in arms.closed
    }
    return Glance(tier, scores)


def _left_out(bench: Bench, learner: PlanLearner, fits: Fits) -> tuple[Sequence[Floats], int, Solved]:
    """(n, C) leave-one-out probabilities of all that an arm chooses from, which it chose, and that one."""
    (phase,) = (phase for phase in learner.plan.phases if isinstance(phase, Solve))
    if phase.estimator in ALIKE:
        fitted = learner.fit(bench.data, seed=bench.seed, features=bench.features)
        assert isinstance(fitted, FittedSolve)
        return [fitted.predict(bench.data, bench.features).probabilities], 0, fitted.solved
    tried = candidates(phase, tuple(learner.sources), bench.data, bench.features, fits)
    pick = min(range(len(tried)), key=lambda at: error(tried[at]))
    return [one.head.loo for one in tried], pick, tried[pick]


def _curve(bench: Bench, sources: Sequence[str], fits: Fits) -> tuple[StageScore, ...]:
    phase = Solve("ridge")

    def fitted(source: str, stage: str) -> Ridge:
        return cast(Ridge, fits.get(phase, ((source, stage),), bench.data, bench.features).head)

    stages = curve(sources, bench.features, bench.data.targets, bench.data.task, fitted)
    return with_evidence(stages, bench.data, bench.features)


def _floor(bench: Bench, oof: OutOfFold) -> Floor:
    def right(arm: str) -> float:
        return float(KINDS[bench.data.task.kind].right(oof.of(arm)[0], bench.data.targets).mean())

    return Floor(raw=right("raw"), random=right("random-features"), majority=right("majority"))
