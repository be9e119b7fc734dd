"""Minutes into work: which sources are affordable, and which gradient arms get how many epochs and folds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headstart.advisor.work import Climb, LeftOut
from headstart.core.protocols import Machine
from headstart.evaluation.folds import FOLDS
from headstart.training.plan_learner import INNER, PlanLearner

EXTRACT_SHARE = 0.35  # of the time may go into features; a source beyond that is left out
RESERVE = 0.04  # of the time kept for evaluation, writing and the unforeseen
FOLDS_TRIED = (5, 3, 2, 1)
HEADROOM = 0.6  # share of tier 0's errors that fine-tuning is optimistically given: benchmarks/results/elpv.json


@dataclass(frozen=True)
class Range:
    """How many epochs an arm should be tried for, and the least that makes sense."""

    wanted: int
    least: int


EPOCHS = {
    "lp-ft": Range(5, 2),
    "finetune": Range(6, 3),
    "scratch": Range(40, 15),
    "scratch-twin": Range(40, 20),
}
OTHER = Range(6, 2)


def affordable_sources(
    names: Sequence[str], n: int, forward: Mapping[str, float], seconds: float
) -> tuple[tuple[str, ...], tuple[LeftOut, ...]]:
    """Sources in order of preference until features would take more than their share; the first always stays."""
    left, kept, out = seconds * EXTRACT_SHARE, list[str](), list[LeftOut]()
    for name in names:
        cost = forward[name] * n
        if kept and cost > left:
            why = f"its features would take {cost / 60:.1f} min"
            out.append(LeftOut(name=name, minutes=cost / 60, why=why))
            continue
        kept.append(name)
        left -= cost
    return tuple(kept), tuple(out)


def climb_cost(learner: PlanLearner, n: int, machine: Machine, epochs: int, m: int) -> float:
    """Seconds of the inner runs, one a rate, of m folds and of the final refit."""
    return _passes(learner, m) * n * epochs * max(machine.step[name] for name in learner.sources)


def least_cost(learner: PlanLearner, n: int, step: float) -> float:
    """The least that an arm could cost, with steps of so many seconds an example: one fold, few epochs."""
    return _passes(learner, 1) * n * EPOCHS.get(learner.name, OTHER).least * step


def _passes(learner: PlanLearner, m: int) -> float:
    """How often an epoch's worth of data is gone through: the inner runs, one a rate, m folds and the final refit."""
    fold = 1 - 1 / FOLDS
    return len(learner.rates) * fold * (1 - INNER) + m * fold + 1


def grant(
    learners: Sequence[PlanLearner], n: int, machine: Machine, seconds: float
) -> tuple[tuple[Climb, ...], tuple[LeftOut, ...]]:
    """Share out the seconds that tier 0 left: the small control and the first arm on as many folds as fit, then others.

    Args:
        learners: in order of preference; controls count like arms, since a verdict without them is worth nothing.
        n: training examples.
        machine: timed steps.
        seconds: what is left.
    """
    left, climbs, out = seconds * (1 - RESERVE), list[Climb](), list[LeftOut]()
    arm = next((one for one in learners if one.role == "transfer"), None)
    first = [one for one in learners if one is arm or one.name == "scratch"]
    m = next((m for m in FOLDS_TRIED if _total(first, n, machine, m) <= left), 1)
    ordered = sorted(learners, key=lambda one: (one not in first, (one in first) == (one.role == "transfer")))
    for learner in ordered:
        epochs, cost = _epochs(learner, n, machine, m, left)
        if epochs is None:
            why = f"needs at least {cost / 60:.1f} min, {max(left, 0.0) / 60:.1f} are left"
            out.append(LeftOut(name=learner.name, minutes=cost / 60, why=why))
            continue
        source = next(iter(learner.sources))
        climbs.append(Climb(arm=learner.name, source=source, epochs=epochs, m=m, seconds=cost))
        left -= cost
    return tuple(climbs), tuple(out)


def _total(learners: Sequence[PlanLearner], n: int, machine: Machine, m: int) -> float:
    return sum(climb_cost(one, n, machine, EPOCHS.get(one.name, OTHER).wanted, m) for one in learners)


def _epochs(learner: PlanLearner, n: int, machine: Machine, m: int, left: float) -> tuple[int | None, float]:
    """The most epochs that fit, and their cost; None and the least cost when too few would."""
    wish = EPOCHS.get(learner.name, OTHER)
    for epochs in range(wish.wanted, wish.least - 1, -1):
        cost = climb_cost(learner, n, machine, epochs, m)
        if cost <= left:
            return epochs, cost
    return None, climb_cost(learner, n, machine, wish.least, m)


def optimistic(best: float) -> float:
    """The best score that fine-tuning could plausibly reach, given tier 0's best accuracy."""
    return best + HEADROOM * (1 - best)
