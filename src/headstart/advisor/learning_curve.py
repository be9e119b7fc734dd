"""The learning curve of both sides and the price of labels: closed forms on less of the folds of tier 0, nothing else.

Every choice inside an arm (source, stage, penalty) is made again within each share, so that a curve is what the arm
would have been with those labels. A class is halved in what the arm chose with all labels, and the half that stays
counts twice: what is lost is what those labels told, not the share that the class has (`linear/reweigh.py`).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import cast

import numpy as np

from headstart.advisor.ladder import Bench
from headstart.advisor.ledger import Done
from headstart.core.plan import Solve
from headstart.core.predictions import Ints
from headstart.core.protocols import Metric, Role
from headstart.data.dataset import Dataset
from headstart.evaluation.folds import FOLDS, OutOfFold, Unit, units
from headstart.evaluation.shares import EVERY, LEAST, SHARES, Learned, halved, scarcest, within_share
from headstart.evaluation.verdict import Comparison
from headstart.linear.heads import Ridge
from headstart.linear.reweigh import reweighed
from headstart.metrics.kinds import KINDS
from headstart.training.plan_learner import PlanLearner
from headstart.training.solve import AND, Fits, Taps

PRICED = 10  # classes at most: those with the worst recall
LARGEST = 20_000  # labels beyond which halving one class is not asked: it would take memory and show little

Piece = tuple[Learned, Unit, Done]


@dataclass(frozen=True)
class Curves:
    """What was measured with less to learn from.

    Attributes:
        partly: out-of-fold predictions on the first fold map, by what was learned from.
        why_none: why there is no learning curve; empty where there is one.
        seconds: that it took.
    """

    partly: Mapping[Learned, OutOfFold]
    why_none: str
    seconds: float


def learning_curves(
    bench: Bench,
    closed: Sequence[PlanLearner],
    done: Mapping[str, Sequence[Done]],
    oof: OutOfFold,
    metric: Metric,
    judged: Comparison,
    delivered: str,
) -> Curves:
    """Fit a closed form of either side on shares of each training part, and one on half of each hard class.

    Args:
        bench: data, folds, features, ledger.
        closed: the closed forms of the run.
        done: what tier 0 left, fold by fold.
        oof: what it predicted.
        metric: that decides.
        judged: who stands for either side; where that is no closed form, the best one of its side takes the place.
        delivered: whose labels are priced, if that is a ridge; else the other one's.
    """
    stand: dict[Role, str] = {"transfer": judged.transfer, "control": judged.control}
    arms = [_standing(closed, role, name, bench.data, oof, metric) for role, name in stand.items()]
    pair = [one for one in arms if one is not None]
    if len(pair) < len(arms):
        return Curves({}, "no closed form transfers", 0.0)
    usable = [share for share in SHARES if _scarcest(bench, share) >= LEAST]
    if not usable:
        left = _scarcest(bench, SHARES[-1])
        why = f"half of the labels would leave a class with {left}, and {LEAST} are the least that tells anything"
        return Curves({}, why, 0.0)
    repeated = len(bench.maps) > 1  # else half of the labels would cost a quarter of tier 0 more (1,951 photos)
    shares = usable if repeated else usable[:-1] or usable
    priced = next(
        (one for one in sorted(pair, key=lambda one: one.name != delivered) if _phase(one).estimator == "ridge"), None
    )
    parts = {} if priced is None or len(bench.data) > LARGEST else _to_halve(bench, oof, priced.name)
    pieces = chain(_on_shares(bench, pair, shares), _on_halves(bench, priced, done, parts) if priced and parts else ())
    partly: dict[Learned, OutOfFold] = {}
    seconds = 0.0
    with bench.progress.step("learning curve", FOLDS * (len(shares) * len(pair) + len(parts))) as step:
        for learned, unit, one in pieces:
            partly.setdefault(learned, OutOfFold(bench.maps[:1], bench.data.task.outputs)).put(unit, one.probabilities)
            seconds += one.seconds
            step.advance()
    return Curves(partly, "", seconds)


def _standing(
    closed: Sequence[PlanLearner], role: Role, name: str, data: Dataset, oof: OutOfFold, metric: Metric
) -> PlanLearner | None:
    """Who the verdict compares, if that is a closed form; else the best of that side; None where there is none."""
    sign = 1.0 if metric.higher_is_better else -1.0
    mine = [one for one in closed if one.role == role]
    scores = {one.name: sign * float(metric(oof.of(one.name)[0], data.targets)) for one in mine}
    return max(mine, key=lambda one: (one.name == name, scores[one.name]), default=None)


def _scarcest(bench: Bench, share: float) -> int:
    """How many labels the share leaves to the class with the fewest, over all folds."""
    least: list[int] = []
    for unit in units("", 1):
        train, _ = bench.fold(unit)
        seed = bench.seed_of(unit)
        classes = train.task.kind == "classification"
        codes = np.arange(train.task.outputs) if classes else np.unique(train.strata)
        least.append(scarcest(train.strata, train.groups, share, seed, codes))
    return min(least)


def _on_shares(bench: Bench, arms: Sequence[PlanLearner], shares: Sequence[float]) -> Iterator[Piece]:
    """Each arm as it is, on less to learn from; arms that try the same features share fits."""
    for share in shares:
        for fold in zip(*(units(one.name, 1) for one in arms), strict=True):
            for learner, unit in zip(arms, fold, strict=True):
                yield Learned(share), unit, _on_share(bench, learner, unit, share)


def _on_share(bench: Bench, learner: PlanLearner, unit: Unit, share: float) -> Done:
    def fitted() -> Done:
        started, seed = time.perf_counter(), bench.seed_of(unit)
        train, held = bench.fold(unit)
        less = train.take(within_share(train.strata, train.groups, share, seed))
        model = learner.fit(less, seed=seed, features=bench.features)
        probabilities = model.predict(held, bench.features).probabilities
        return Done(probabilities, time.perf_counter() - started, model.source, model.stages)

    return bench.ledger.once(f"{unit.name}.share{share:g}", fitted)


def _phase(learner: PlanLearner) -> Solve:
    """The closed form of a plan that is nothing else."""
    return cast(Solve, learner.plan.phases[0])


def _to_halve(bench: Bench, oof: OutOfFold, arm: str) -> Mapping[Learned, Ints]:
    """Codes of the classes to halve: all together, then each that the arm finds least, if half of it is enough."""
    task, targets = bench.data.task, bench.data.targets
    if task.kind != "classification":
        return {EVERY: np.unique(bench.data.strata)}
    names, right = task.classes, KINDS[task.kind].right(oof.of(arm)[0], targets)
    parts = [bench.fold(unit)[0].targets for unit in units("", 1)]
    least = np.min([np.bincount(part, minlength=len(names)) for part in parts], axis=0)
    codes = np.flatnonzero(least >= 2 * LEAST).tolist()
    hard = sorted(codes, key=lambda code: float(right[targets == code].mean()))[:PRICED]
    return {EVERY: np.arange(len(names))} | {Learned(halved=names[code]): np.array([code]) for code in hard}


def _on_halves(
    bench: Bench, learner: PlanLearner, done: Mapping[str, Sequence[Done]], parts: Mapping[Learned, Ints]
) -> Iterator[Piece]:
    """What the arm would have said with half of some labels: one factorisation a fold for all of them."""
    for unit in units(learner.name, 1):
        one = _with_halves(bench, learner, unit, done[learner.name][unit.fold], tuple(parts.values()))
        for learned, probabilities in zip(parts, np.split(one.probabilities, len(parts)), strict=True):
            yield learned, unit, replace(one, probabilities=probabilities, seconds=one.seconds / len(parts))


def _with_halves(bench: Bench, learner: PlanLearner, unit: Unit, chosen: Done, parts: Sequence[Ints]) -> Done:
    def changed() -> Done:
        started, seed = time.perf_counter(), bench.seed_of(unit)
        train, held = bench.fold(unit)
        taps = _taps(chosen)
        solved = Fits().get(_phase(learner), taps, train, bench.features)
        blocks, others = ([bench.features.of(*tap, part) for tap in taps] for part in (train, held))
        changes = [halved(train.strata, train.groups, codes, seed) for codes in parts]
        each = reweighed(cast(Ridge, solved.head), blocks, train.targets, others, changes)
        return Done(np.vstack(each), time.perf_counter() - started, chosen.source, chosen.stages)

    return bench.ledger.once(f"{unit.name}.halves", changed)


def _taps(chosen: Done) -> Taps:
    """The features that a fitted closed form reads: of several sources one stage each, of one source any number."""
    sources = (chosen.source or "").split(AND)
    names = sources if len(sources) > 1 else sources * len(chosen.stages)
    return tuple(zip(names, chosen.stages, strict=True))
