"""Minutes into work: which sources are affordable, and which gradient arms get how many epochs and folds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from headstart.advisor.work import Climb, LeftOut
from headstart.core.plan import Plan, Train
from headstart.core.protocols import Machine
from headstart.evaluation.folds import FOLDS
from headstart.training.plan_learner import INNER, PlanLearner
from headstart.training.trials import NORMS, RATES, epochs_run

EXTRACT_SHARE = 0.35  # of the time may go into features; a source beyond that is left out
RESERVE = 0.08  # of the time kept for evaluation, learning curves, writing and the unforeseen
REPEATS_SHARE = 0.4  # of the time that is left may go into repeating tier 0 on further fold maps
FOLDS_TRIED = (5, 3, 2, 1)
IN_VIEW = (3, 2, 1)  # folds that are kept affordable while arms are granted: beyond them another arm is worth more
FOLD = 1 - 1 / FOLDS  # of the examples are learned from where one fold is scored
FEW_CHOICES, ALL_CHOICES = 2, len(RATES) * len(NORMS)
HEADROOM = 0.6  # share of tier 0's errors that fine-tuning is optimistically given: benchmarks/results/elpv.json


def affordable_repeats(maps: int, one: float, left: float) -> int:
    """How many of the fold maps tier 0 should run, when the first took so many seconds and so many are left."""
    return 1 + max(0, min(maps - 1, int(left * REPEATS_SHARE / max(one, 1e-9))))


@dataclass(frozen=True)
class Range:
    """How long an arm should be tried, and the least that makes sense.

    Attributes:
        wanted, least: epochs.
        steps: that are wanted where so many epochs have fewer, because examples are few; a sixth of them makes sense.
    """

    wanted: int
    least: int
    steps: int

    def at(self, n: int, batch: int) -> "Range":
        """The range for n examples."""
        epoch = math.ceil(n / batch)
        wanted, least = math.ceil(self.steps / epoch), math.ceil(self.steps / (6 * epoch))
        return Range(max(self.wanted, wanted), max(self.least, least), self.steps)


EPOCHS = {
    "lp-ft": Range(5, 2, 200),
    "finetune": Range(6, 3, 300),
    "contrastive": Range(3, 1, 24),
    "scratch": Range(40, 15, 600),
    "scratch-twin": Range(40, 20, 600),
}
OTHER = Range(6, 2, 200)


def wish(learner: PlanLearner, n: int) -> Range:
    """How long a learner should be tried on n examples."""
    return EPOCHS.get(learner.name, OTHER).at(n, last_phase(learner.plan).batch)


def last_phase(plan: Plan) -> Train:
    """The phase in which most of the net learns, and whose epochs are open: the last one."""
    return [phase for phase in plan.phases if isinstance(phase, Train)][-1]


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


def trial_cost(learner: PlanLearner, n: int, step: float) -> float:
    """Seconds of choosing what the plan leaves open, on fold 0's inner split; validation is a third of a step."""
    passes = epochs_run(len(learner.choices), learner.longest)
    return FOLD * ((1 - INNER) + INNER / 3) * n * passes * step


def score_cost(learner: PlanLearner, n: int, step: float, m: int) -> float:
    """Seconds of m folds and of the final refit."""
    return (m * FOLD + 1) * n * learner.longest * step


def climb_cost(learner: PlanLearner, n: int, machine: Machine, epochs: int, m: int) -> float:
    """Seconds of everything that an arm would do."""
    one, step = replace(learner, epochs=epochs), dearest(learner, machine)
    return trial_cost(one, n, step) + score_cost(one, n, step, m)


def least_cost(learner: PlanLearner, n: int, step: float) -> float:
    """The least that an arm could cost, with steps of so many seconds an example: one choice, one fold, few epochs."""
    one = replace(learner, epochs=wish(learner, n).least, most=1)
    return trial_cost(one, n, step) + score_cost(one, n, step, 1)


def dearest(learner: PlanLearner, machine: Machine) -> float:
    """Seconds of a step, an example, on the dearest net that it may train."""
    return machine.dearest(learner.name, learner.sources)


@dataclass(frozen=True)
class Offer:
    """What arms would do: all are tried, and of either side some are scored.

    Attributes:
        arms: to be tried, with epochs and choices.
        m: folds that are scored.
        tuned: arms that were tried: their plans say how long they train.
        finalists: arms of each side that are scored.
    """

    arms: tuple[PlanLearner, ...]
    m: int
    tuned: tuple[PlanLearner, ...] = ()
    finalists: int = 1

    def seconds(self, n: int, machine: Machine) -> float:
        """Its cost, should the dearest of each side win."""
        trials = sum(trial_cost(one, n, dearest(one, machine)) for one in self.arms)
        return trials + sum(self._scored(role, n, machine) for role in ("transfer", "control"))

    def _scored(self, role: str, n: int, machine: Machine) -> float:
        mine = [one for one in (*self.arms, *self.tuned) if one.role == role]
        costs = sorted(score_cost(one, n, dearest(one, machine), self.m) for one in mine)
        return sum(costs[-self.finalists :])


def grant(
    learners: Sequence[PlanLearner], n: int, machine: Machine, seconds: float, tuned: Sequence[PlanLearner] = ()
) -> tuple[tuple[Climb, ...], tuple[LeftOut, ...]]:
    """Turn seconds into work: arms that are tried against each other, so that the best of each side can be scored.

    First the cheapest control and the first arm, with as many folds in view as fit; then further arms; then more
    choices for each.

    Args:
        learners: in order of preference; controls count like arms, since a verdict without them is worth nothing.
        n: training examples.
        machine: timed steps.
        seconds: what is left.
        tuned: arms that were tried before.

    Returns:
        The arms, and what did not fit.
    """
    left, out = seconds * (1 - RESERVE), list[LeftOut]()
    few = [replace(one, epochs=wish(one, n).wanted, most=FEW_CHOICES) for one in learners]
    first = [*[one for one in few if one.role == "transfer"][:1], *_cheapest(few, "control", n, machine)]
    planned = Offer(() if tuned else tuple(first), 1, tuple(tuned))
    offer = Offer((), _folds(planned, IN_VIEW, n, machine, left), tuple(tuned))
    for one in sorted(few, key=lambda one: (one not in first, (one in first) == (one.role == "transfer"))):
        fitting = _fitting(offer, one, n, machine, left)
        if fitting is None:
            spent = offer.seconds(n, machine)
            least = least_cost(one, n, dearest(one, machine))
            why = f"needs at least {least / 60:.1f} min, {max(left - spent, 0.0) / 60:.1f} are left"
            out.append(LeftOut(name=one.name, minutes=least / 60, why=why))
            continue
        offer = fitting
    return tuple(_climb(one, offer.m, n, machine) for one in _richer(offer, n, machine, left).arms), tuple(out)


def places(tuned: Sequence[PlanLearner], n: int, machine: Machine, seconds: float) -> tuple[int, int]:
    """On how many folds arms that have chosen are scored, and how many of each side: folds come first.

    Args:
        tuned: arms that were tried.
        n: training examples.
        machine: timed steps.
        seconds: what is left.
    """
    left, alone = seconds * (1 - RESERVE), Offer((), 1, tuple(tuned))
    offer = replace(alone, m=_folds(alone, FOLDS_TRIED, n, machine, left))
    more = (replace(offer, finalists=count) for count in range(len(tuned), 1, -1))
    return offer.m, next((one for one in more if one.seconds(n, machine) <= left), offer).finalists


def _folds(offer: Offer, tried: Sequence[int], n: int, machine: Machine, left: float) -> int:
    return next((m for m in tried if replace(offer, m=m).seconds(n, machine) <= left), 1)


def _cheapest(arms: Sequence[PlanLearner], role: str, n: int, machine: Machine) -> list[PlanLearner]:
    """The arm of a side that costs least, if the side has one: a small net beside a large source, or its own twin."""
    mine = (one for one in arms if one.role == role)
    return sorted(mine, key=lambda one: least_cost(one, n, dearest(one, machine)))[:1]


def _fitting(offer: Offer, arm: PlanLearner, n: int, machine: Machine, left: float) -> Offer | None:
    """The offer with one arm more, for as many epochs as fit; None where too few would."""
    for epochs in range(arm.epochs, wish(arm, n).least - 1, -1):
        for most in range(arm.most, 0, -1):
            larger = replace(offer, arms=(*offer.arms, replace(arm, epochs=epochs, most=most)))
            if larger.seconds(n, machine) <= left:
                return larger
    return None


def _richer(offer: Offer, n: int, machine: Machine, left: float) -> Offer:
    """The offer with more choices for each arm, as far as they fit."""
    for at, one in enumerate(offer.arms):
        for most in range(ALL_CHOICES, one.most, -1):
            arms = (*offer.arms[:at], replace(one, most=most), *offer.arms[at + 1 :])
            if (larger := replace(offer, arms=arms)).seconds(n, machine) <= left:
                offer = larger
                break
    return offer


def _climb(arm: PlanLearner, m: int, n: int, machine: Machine) -> Climb:
    seconds = climb_cost(arm, n, machine, arm.epochs, m)
    return Climb(
        arm=arm.name, source=next(iter(arm.sources)), epochs=arm.epochs, choices=len(arm.choices), seconds=seconds
    )


def optimistic(best: float) -> float:
    """The best score that fine-tuning could plausibly reach, given tier 0's best accuracy."""
    return best + HEADROOM * (1 - best)
