"""The ladder: every closed form first, then the few gradient arms that may still win, then the final refits."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headstart.advisor.budget import FOLD
from headstart.advisor.ledger import Done, Ledger
from headstart.advisor.work import Climb
from headstart.core.plan import Plan
from headstart.core.predictions import Floats
from headstart.core.progress import Progress, Standing
from headstart.core.protocols import Features
from headstart.data.dataset import Dataset
from headstart.evaluation.folds import FOLDS, OutOfFold, Unit, units
from headstart.metrics.scores import deciding
from headstart.training.plan_learner import INNER, FittedAny, FittedNet, PlanLearner
from headstart.training.trials import epochs_run

SEED_STEP = 7919  # units get seeds of their own, far apart


@dataclass(frozen=True)
class Bench:
    """What every arm is measured with: the same data, folds, features and seed.

    Attributes:
        data: all that is not test.
        test: the test part, or None.
        maps: (R, n) fold numbers.
        metric: that decides; None is the usual one for the kind of task.
    """

    data: Dataset
    test: Dataset | None
    maps: NDArray[np.int64]
    features: Features
    ledger: Ledger
    progress: Progress
    seed: int
    metric: str | None = None

    def fold(self, unit: Unit) -> tuple[Dataset, Dataset]:
        """Training and held-out part of a unit."""
        held = self.maps[unit.repeat] == unit.fold
        return self.data.take(np.flatnonzero(~held)), self.data.take(np.flatnonzero(held))

    def seed_of(self, unit: Unit) -> int:
        """A unit's own seed."""
        return self.seed * SEED_STEP + unit.repeat * 101 + unit.fold


def measure(bench: Bench, learner: PlanLearner, unit: Unit) -> Done:
    """One arm on one fold, from the ledger if it is there."""
    known = bench.ledger.get(unit.name)
    if known is not None:
        return known
    train, held = bench.fold(unit)
    started = time.perf_counter()
    space = bench.ledger.workspace(unit.name)
    fitted = learner.fit(train, seed=bench.seed_of(unit), features=bench.features, workspace=space)
    probabilities = fitted.predict(held, bench.features).probabilities
    done = _done(fitted, probabilities, time.perf_counter() - started)
    bench.ledger.put(unit.name, done)
    return done


def _done(fitted: FittedAny, probabilities: Floats, seconds: float) -> Done:
    history = tuple(asdict(epoch) for epoch in fitted.history) if isinstance(fitted, FittedNet) else ()
    notes = fitted.notes if isinstance(fitted, FittedNet) else ()
    plan = fitted.resolved.to_json()
    return Done(probabilities, seconds, fitted.source, fitted.stages, plan, history, notes)


def tier0(bench: Bench, learners: Sequence[PlanLearner], oof: OutOfFold) -> dict[str, list[Done]]:
    """Every closed form on every repeat and fold, fold by fold: arms that try the same features share their fits."""
    by_fold = zip(*(units(one.name, len(oof.maps)) for one in learners), strict=True)
    work = [(one, unit) for fold in by_fold for one, unit in zip(learners, fold, strict=True)]
    found: dict[str, list[Done]] = {}
    maps = f", {len(oof.maps)} fold maps" if len(oof.maps) > 1 else ""
    with bench.progress.step(f"closed forms{maps}", len(work)) as step:
        for learner, unit in work:
            step.note(learner.name)
            done = measure(bench, learner, unit)
            oof.put(unit, done.probabilities)
            found.setdefault(learner.name, []).append(done)
            bench.progress.scored(standing(bench, learner, found[learner.name], FOLDS * len(oof.maps)))
            step.advance()
    return found


def standing(bench: Bench, learner: PlanLearner, done: Sequence[Done], planned: int, of: int = 0) -> Standing:
    """How an arm stands after its first folds, map after map.

    Args:
        bench: that it is measured on.
        learner: the arm.
        done: what each fold left, in order.
        planned: folds that it gets.
        of: folds that there are; those that are planned unless said.
    """
    metric, truth = deciding(bench.metric, bench.data.task.kind), bench.data.targets
    scores: list[float] = []
    for repeat, start in enumerate(range(0, len(done), FOLDS)):
        part = done[start : start + FOLDS]
        index = [np.flatnonzero(bench.maps[repeat] == fold) for fold in range(len(part))]
        said = np.concatenate([one.probabilities for one in part])
        scores.append(float(metric(said, truth[np.concatenate(index)])))
    return Standing(
        key=learner.name, arm=learner.name, source=done[-1].source or "", role=learner.role,
        metric=metric.name, score=float(np.mean(scores)), on=f"{len(done)} of {of or planned} folds",
        seconds=sum(one.seconds for one in done), done=len(done) == planned,
    )  # fmt: skip


def tune(bench: Bench, learner: PlanLearner, climb: Climb) -> tuple[PlanLearner, Done]:
    """Choose what the plan leaves open on an inner split of fold 0's training part; the learner with it filled in."""
    trying = replace(learner, epochs=climb.epochs, most=climb.choices)
    examples = epochs_run(len(trying.choices), trying.longest) * len(bench.data) * FOLD * (1 - INNER)
    with bench.progress.step(f"{climb.arm}, choices", examples) as step:
        inner = _inner(bench, replace(trying, step=step))
    return replace(trying, plan=Plan.from_json(inner.plan or "")), inner


def score(bench: Bench, resolved: PlanLearner, m: int, oof: OutOfFold) -> list[Done]:
    """Score m folds of an arm that leaves nothing open."""
    done: list[Done] = []
    with bench.progress.step(resolved.name, resolved.longest * len(bench.data) * FOLD * m) as step:
        learning = replace(resolved, step=step)
        for unit in units(resolved.name, 1, m):
            step.note(f"fold {unit.fold + 1} of {m}")
            done.append(measure(bench, learning, unit))
            oof.put(unit, done[-1].probabilities)
            bench.progress.scored(standing(bench, resolved, done, m, FOLDS))
    return done


def _inner(bench: Bench, learner: PlanLearner) -> Done:
    name = f"{Unit(learner.name, 0, 0).name}.inner"
    known = bench.ledger.get(name)
    if known is not None:
        return known
    train, _ = bench.fold(Unit(learner.name, 0, 0))
    started = time.perf_counter()
    space = bench.ledger.workspace(name)
    resolved, fitted = learner.resolve(train, seed=bench.seed, features=bench.features, workspace=space)
    done = _done(fitted, np.empty((0, 0)), time.perf_counter() - started)
    done = replace(done, plan=resolved.plan.to_json())
    bench.ledger.put(name, done)
    return done


def final(arm: str) -> str:
    """The name of an arm's final refit in the ledger."""
    return f"{Unit(arm, 0, 0).name}.final"


def refit(bench: Bench, learner: PlanLearner) -> FittedAny:
    """Fit on all that is not test, from the ledger if it is there."""
    name = final(learner.name)
    known = bench.ledger.get_state(name)
    if known is not None:
        bench.ledger.resumed += 1
        return learner.restore(known)
    space = bench.ledger.workspace(name)
    fitted = learner.fit(bench.data, seed=bench.seed, features=bench.features, workspace=space)
    bench.ledger.put_state(name, fitted.state())
    bench.ledger.computed += 1
    return fitted


def refits(
    bench: Bench, learners: Sequence[PlanLearner], keep: Callable[[str], bool]
) -> tuple[dict[str, FittedAny], dict[str, Floats]]:
    """Refit arms and predict the test part: (arm -> fitted) for those to keep, (arm -> (n_test, C))."""
    fitted: dict[str, FittedAny] = {}
    tested: dict[str, Floats] = {}
    with bench.progress.step("final refits", len(learners)) as step:
        for learner in learners:
            step.note(learner.name)
            model = refit(bench, learner)
            if bench.test is not None:
                tested[learner.name] = model.predict(bench.test, bench.features).probabilities
            if keep(learner.name):
                fitted[learner.name] = model
            step.advance()
    return fitted, tested
