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
RESERVE = 0.04  # of the time kept for evaluation, writing and the unforeseen
REPEATS_SHARE = 0.4  # of the time that is left may go into repeating tier 0 on further fold maps
FOLDS_TRIED = (5, 3, 2, 1)
FOLD = 1 - 1 / FOLDS  # of the examples are learned from where one fold is scored
FEW_CHOICES, ALL_CHOICES = 2, len(RATES) * len(NORMS)
HEADROOM = 0.6  # share of tier 0's errors that fine-tuning is optimistically given: benchmarks/results/elpv.json


def affordable_repeats(maps: int, one: float, left: float) -> int:
    """How many of the fold maps tier 0 should run, when the first took so many seconds and so many are left."""
    return 1 + min(maps - 1, int(left * REPEATS_SHARE / max(one, 1e-9)))


@dataclass(frozen=True)
class Range:
    """How long an arm should be tried, and the least that makes sense.

    Attributes:
        wanted, least: epochs.
        steps: that are wanted where so many epochs have fewer, because examples are few.
    """

    wanted: int
    least: int
    steps: int

    def at(self, n: int, batch: int) -> "Range":
        """The range for n examples."""
        longer = max(1.0, self.steps / (self.wanted * math.ceil(n / batch)))
        return Range(math.ceil(self.wanted * longer), math.ceil(self.least * longer), self.steps)


EPOCHS = {
    "lp-ft": Range(5, 2, 200),
    "finetune": Range(6, 3, 300),
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
    """What a set of arms would do: all are tried, of either side some are scored.

    Attributes:
        arms: with epochs and choices.
        m: folds that are scored.
        finalists: arms of each side that are scored.
    """

    arms: tuple[PlanLearner, ...]
    m: int
    finalists: int = 1

    def seconds(self, n: int, machine: Machine) -> float:
        """Its cost, should the dearest of each side win."""
        trials = sum(trial_cost(one, n, dearest(one, machine)) for one in self.arms)
        return trials + sum(self._scored(role, n, machine) for role in ("transfer", "control"))

    def _scored(self, role: str, n: int, machine: Machine) -> float:
        costs = [score_cost(one, n, dearest(one, machine), self.m) for one in self.arms if one.role == role]
        return sum(sorted(costs)[-self.finalists :])


def grant(
    learners: Sequence[PlanLearner], n: int, machine: Machine, seconds: float
) -> tuple[tuple[Climb, ...], int, tuple[LeftOut, ...]]:
    """Turn the seconds that tier 0 left into work.

    First the cheapest control and the first arm on as many folds as fit; then further arms, which are tried against
    each other and of which the best is scored; then more choices for each; then more arms that are scored.

    Args:
        learners: in order of preference; controls count like arms, since a verdict without them is worth nothing.
        n: training examples.
        machine: timed steps.
        seconds: what is left.

    Returns:
        The arms, how many of each side are scored, and what did not fit.
    """
    left, out = seconds * (1 - RESERVE), list[LeftOut]()
    few = [replace(one, epochs=wish(one, n).wanted, most=FEW_CHOICES) for one in learners]
    first = [*[one for one in few if one.role == "transfer"][:1], *_cheapest(few, "control", n, machine)]
    m = next((m for m in FOLDS_TRIED if Offer(tuple(first), m).seconds(n, machine) <= left), 1)
    offer = Offer((), m)
    for one in sorted(few, key=lambda one: (one not in first, (one in first) == (one.role == "transfer"))):
        fitting = _fitting(offer, one, n, machine, left)
        if fitting is None:
            spent = offer.seconds(n, machine)
            least = least_cost(one, n, dearest(one, machine))
            why = f"needs at least {least / 60:.1f} min, {max(left - spent, 0.0) / 60:.1f} are left"
            out.append(LeftOut(name=one.name, minutes=least / 60, why=why))
            continue
        offer = fitting
    offer = _richer(offer, n, machine, left)
    climbs = tuple(_climb(one, offer.m, n, machine) for one in offer.arms)
    return climbs, offer.finalists, tuple(out)


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
    """The offer with more choices for each arm, then with more arms that are scored, as far as they fit."""
    for at, one in enumerate(offer.arms):
        for most in range(ALL_CHOICES, one.most, -1):
            arms = (*offer.arms[:at], replace(one, most=most), *offer.arms[at + 1 :])
            if (larger := replace(offer, arms=arms)).seconds(n, machine) <= left:
                offer = larger
                break
    more = [replace(offer, finalists=count) for count in range(len(offer.arms), 1, -1)]
    return next((one for one in more if one.seconds(n, machine) <= left), offer)


def _climb(arm: PlanLearner, m: int, n: int, machine: Machine) -> Climb:
    seconds = climb_cost(arm, n, machine, arm.epochs, m)
    facts = {"epochs": arm.epochs, "choices": len(arm.choices), "m": m, "seconds": seconds}
    return Climb.model_validate({"arm": arm.name, "source": next(iter(arm.sources)), **facts})


def optimistic(best: float) -> float:
    """The best score that fine-tuning could plausibly reach, given tier 0's best accuracy."""
    return best + HEADROOM * (1 - best)
