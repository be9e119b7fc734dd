"""One study: tier 0, tier 1, the comparison, the decision, the refits, in this order."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from headstart.advisor import work as work_file
from headstart.advisor.arms import Arms, of_source
from headstart.advisor.budget import affordable_repeats, grant, last_phase, least_cost, optimistic, places
from headstart.advisor.clock import Clock
from headstart.advisor.ladder import Bench, refits, score, tier0, tune
from headstart.advisor.learning_curve import Curves, learning_curves
from headstart.advisor.ledger import Done
from headstart.advisor.rules import advice
from headstart.advisor.work import Work
from headstart.core.errors import UserError
from headstart.core.protocols import Metric, Role
from headstart.core.record import Advice, Decision, StageScore, Status
from headstart.data.dataset import Dataset
from headstart.evaluation.delivery import decide
from headstart.evaluation.evidence import Evidence, Examples, as_kept
from headstart.evaluation.figures import Figures, comparison, figures
from headstart.evaluation.folds import OutOfFold
from headstart.features.extract import sample
from headstart.metrics.scores import RIGHT
from headstart.metrics.scores import metric as metric_named
from headstart.selection.loo import floor, stage_curve
from headstart.selection.outlook import Signs, outlook
from headstart.sources.surgery import FRESH
from headstart.training.loop import DivergedError, time_step
from headstart.training.plan_learner import FittedAny, PlanLearner


@dataclass(frozen=True)
class Tier0:
    """What the closed forms have shown."""

    done: Mapping[str, Sequence[Done]]
    oof: OutOfFold
    curve: tuple[StageScore, ...]
    signs: Signs
    source: str


@dataclass(frozen=True)
class Study:
    """All that a run has found out, before it is written down."""

    arms: Arms
    work: Work
    done: Mapping[str, Sequence[Done]]
    curve: tuple[StageScore, ...]
    advice: Advice
    evidence: Evidence
    figures: Figures
    decision: Decision
    fitted: Mapping[str, FittedAny]
    out: Mapping[str, tuple[Status, str]]
    curves: Curves


def scores(bench: Bench, oof: OutOfFold, metric: Metric) -> dict[str, float]:
    """Out-of-fold score of each arm on all that it has scored."""
    found: dict[str, float] = {}
    for arm in oof.arms():
        index, mean = oof.mean(arm)
        found[arm] = float(metric(mean, bench.data.targets[index]))
    return found


def look(bench: Bench, arms: Arms, sources: Sequence[str], rounds: Callable[[float], int] | None = None) -> Tier0:
    """Tier 0: closed forms and cheap controls on all folds, and the stage-by-stage curve.

    Args:
        bench: with the fold maps.
        arms: whose closed forms are scored.
        sources: whose stages are shown.
        rounds: how many fold maps to run, given the seconds that one takes; all, if nobody asks.
    """
    started = time.perf_counter()
    oof = OutOfFold(bench.maps[:1], bench.data.task.outputs)
    done = tier0(bench, arms.closed, oof)
    count = rounds(time.perf_counter() - started) if rounds else len(bench.maps)
    if count > 1:
        oof = OutOfFold(bench.maps[:count], bench.data.task.outputs)
        done = tier0(bench, arms.closed, oof)
    curve = stage_curve(sources, bench.data, bench.features)
    raw, untrained = (next(iter(one.sources)) for one in arms.closed if one.name in ("raw", "random-features"))
    signs = Signs.of(bench.data, curve, floor(raw, untrained, bench.data, bench.features))
    return Tier0(done, oof, curve, signs, chosen_source(done, sources))


def first_tier(work: Work, bench: Bench, arms: Arms, seconds_left: Callable[[], float]) -> tuple[Work, Tier0]:
    """Tier 0 on as many fold maps as the seconds allow, decided once; work that has them keeps them."""
    decided = work

    def rounds(one: float) -> int:
        nonlocal decided
        count = work.repeats or affordable_repeats(len(bench.maps), one, seconds_left())
        decided = work.model_copy(update={"repeats": count})
        return count

    tier = look(bench, arms, work.sources, rounds)
    return decided, tier


def chosen_source(done: Mapping[str, Sequence[Done]], sources: Sequence[str]) -> str:
    """The source that the linear arm chose on the first fold's training part: gradient arms start from it."""
    linear = done.get("linear") or next((d for d in done.values() if d[0].source in sources), None)
    return linear[0].source or sources[0] if linear else sources[0]


def with_steps(work: Work, arms: Arms, tier: Tier0, data: Dataset, seconds: float) -> Work:
    """The work with a timed training step of each arm on each net that it may train.

    A step costs some three forward passes. Where even two would be too many for the seconds, three are taken for
    granted: timing a step of a large net takes longer than a small budget.
    """
    if work.climbs is not None:
        return work
    step = {arm: dict(known) for arm, known in work.step.items()}
    for learner in bound(arms, tier.source):
        known = step.setdefault(learner.name, {})
        for name, source in learner.sources.items():
            phase = last_phase(learner.plan)
            forward = work.forward.get(name.partition(f"+{FRESH}:")[0])
            if name in known:
                continue
            if forward is not None and least_cost(learner, len(data), 2 * forward) > seconds:
                known[name] = 3 * forward
            else:
                known[name] = time_step(source.net(2), source.card, phase, sample(source.input, data, phase.batch))
    return work.model_copy(update={"step": step})


def bound(arms: Arms, source: str) -> tuple[PlanLearner, ...]:
    """Gradient arms with the one source that each starts from."""
    return tuple(of_source(one, source) for one in arms.gradient)


def granted(work: Work, bench: Bench, arms: Arms, tier: Tier0, seconds_left: float) -> Work:
    """The work with its gradient arms, decided once; work that has them stays as it is."""
    if work.climbs is not None:
        return work
    accuracy = metric_named(RIGHT[bench.data.task.kind])
    so_far = scores(bench, tier.oof, accuracy)
    best = max(
        (v for k, v in so_far.items() if k in {a.name for a in arms.closed if a.role == "transfer"}), default=0.0
    )
    pruned = {}
    if optimistic(best) - best < accuracy.margin:
        why = f"even an optimistic {optimistic(best):.3f} is within the margin of the best so far, {best:.3f}"
        pruned = {one.name: why for one in arms.gradient if one.role == "transfer"}
    runners = [one for one in bound(arms, tier.source) if one.name not in pruned]
    if not any(one.role == "transfer" for one in runners):
        floor = max((v for k, v in so_far.items() if k in {"majority", "raw", "random-features"}), default=0.0)
        if optimistic(floor) < best:
            pruned |= {one.name: f"even an optimistic {optimistic(floor):.3f} is below {best:.3f}" for one in runners}
            runners = []
    climbs, out = grant(runners, len(bench.data), work.machine, seconds_left)
    return work.model_copy(update={"climbs": climbs, "not_climbed": out, "pruned": pruned})


def settled(work: Work, bench: Bench, arms: Arms, tier: Tier0, seconds_left: Callable[[], float]) -> Work:
    """The work with its gradient arms: on the chosen source, or on the cheapest where that one is unaffordable."""
    cheapest = min(work.sources, key=lambda name: work.forward[name])
    gradient = {one.name for one in arms.gradient if one.role == "transfer"}
    decided = timed = work
    for source in dict.fromkeys((tier.source, cheapest)):
        at = replace(tier, source=source)
        timed = with_steps(timed, arms, at, bench.data, seconds_left())  # beside the other's: both may be asked for
        decided = granted(timed, bench, arms, at, seconds_left())
        if gradient & {climb.arm for climb in decided.climbs or ()} or gradient <= set(decided.pruned):
            break
    return decided


@dataclass(frozen=True)
class Climbed:
    """What tier 1 left.

    Attributes:
        work: with all that was decided on the way.
        learners: arms that were scored, with resolved plans.
        done: what each piece of an arm's work left, the inner run first.
        out: arms that were not scored: (what became of them, why).
    """

    work: Work
    learners: dict[str, PlanLearner] = field(default_factory=dict)
    done: dict[str, Sequence[Done]] = field(default_factory=dict)
    out: dict[str, tuple[Status, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Tuned:
    """Arms that have chosen what their plans leave open, and those that could not."""

    arms: dict[str, tuple[PlanLearner, Done]] = field(default_factory=dict)
    failed: dict[str, tuple[Status, str]] = field(default_factory=dict)

    @property
    def learners(self) -> tuple[PlanLearner, ...]:
        """With resolved plans."""
        return tuple(learner for learner, _ in self.arms.values())


def tuned(
    bench: Bench, arms: Arms, tier: Tier0, work: Work, left: Callable[[], float], save: Callable[[Work], None]
) -> tuple[Work, Tuned]:
    """Every granted arm chooses what its plan leaves open.

    Most stop early, and are cheap to score then: what that leaves goes to arms that seemed unaffordable, and at last
    into folds. Whatever is decided stands in the work before it is done; work that says it all decides nothing.
    """
    found, n = Tuned(), len(bench.data)
    source = next((one.source for one in work.climbs or () if one.source in work.sources), tier.source)
    competing = bound(arms, source)
    while True:
        for one in work.climbs or ():
            if one.arm in found.arms or one.arm in found.failed:
                continue
            learner = next(arm for arm in bound(arms, one.source) if arm.name == one.arm)
            try:
                found.arms[one.arm] = tune(bench, learner, one)
            except DivergedError as error:  # one arm's bad rate must not cost the user the others
                found.failed[one.arm] = ("failed", str(error).splitlines()[0])
        if work.m is not None:
            return work, found
        missing = {one.name for one in work.not_climbed}
        waiting = [one for one in competing if one.name in missing]
        climbs, out = grant(waiting, n, work.machine, left(), found.learners) if found.arms else ((), ())
        if climbs:
            work = work.model_copy(update={"climbs": (*(work.climbs or ()), *climbs), "not_climbed": out})
        else:
            m, finalists = places(found.learners, n, work.machine, left())
            work = work.model_copy(update={"m": m, "finalists": finalists})
        save(work)


def climb(
    bench: Bench, arms: Arms, tier: Tier0, work: Work, left: Callable[[], float], save: Callable[[Work], None]
) -> Climbed:
    """Tier 1: every granted arm chooses what its plan leaves open, and the best of each side are scored on folds."""
    work, tried = tuned(bench, arms, tier, work, left, save)
    found = Climbed(work, out=dict(tried.failed))
    for role in ("control", "transfer"):
        mine = {name: inner for name, (one, inner) in tried.arms.items() if one.role == role}
        order = sorted(mine, key=lambda name: _least(mine[name]))
        for name in order[: work.finalists]:
            learner, inner = tried.arms[name]
            try:
                scored = score(bench, learner, work.m or 1, tier.oof)
            except DivergedError as error:
                found.out[name] = ("failed", str(error).splitlines()[0])
                continue
            found.learners[name], found.done[name] = replace(learner, step=None), [inner, *scored]
        for name in order[work.finalists :]:
            best, own = _least(mine[order[0]]), _least(mine[name])
            found.out[name] = ("pruned", f"loss {own:.3f} on the inner split, where {order[0]} has {best:.3f}")
    return found


def _least(inner: Done) -> float:
    """The least validation loss of an inner run; a plan that fixes its epochs is measured by the same."""
    return min((e["validation_loss"] for e in inner.history if e["validation_loss"] is not None), default=math.inf)


def check_competes(arms: Arms, work: Work) -> None:
    """Refuse a run in which nothing transfers, before its controls are trained."""
    granted_arms = {climb.arm for climb in work.climbs or ()}
    if not any(
        one.role == "transfer" and (one in arms.closed or one.name in granted_arms)
        for one in (*arms.closed, *arms.gradient)
    ):
        why = {out.name: out.why for out in work.not_climbed} | dict(work.pruned) | dict(arms.skipped)
        names = [one.name for one in arms.gradient if one.role == "transfer"] or list(dict(arms.skipped))
        came = "; ".join(f"{name} {why.get(name, '')}".strip() for name in names)
        raise UserError("a strategy that the minutes are enough for", came, "Give more --minutes, or add linear.")


def conclude(bench: Bench, arms: Arms, work: Work, tier: Tier0, clock: Clock, save: Callable[[Work], None]) -> Study:
    """Tier 1, verdict, decision, refits.

    Raises:
        UserError: the minutes are enough for no strategy that was asked for.
    """
    check_competes(arms, work)
    with clock.stage("train"):
        seconds = work.asked.minutes * 60
        climbed = climb(bench, arms, tier, work, lambda: seconds - clock.total, save)
        work = climbed.work
    learners = {one.name: one for one in arms.closed} | climbed.learners
    roles: dict[str, Role] = {name: one.role for name, one in learners.items()}
    metric = metric_named(work.asked.metric)
    train = Examples.of(bench.data)
    test = None if bench.test is None else Examples.of(bench.test)
    with clock.stage("evaluate"):
        task = bench.data.task
        evidence = Evidence(task.classes, roles, train, tier.oof, test, {}, kind=task.kind)
        judged = comparison(evidence, metric, work.asked.seed)
        assert judged is not None, "every run has a transfer arm and a control"
        said = advice(tier.signs, outlook(tier.signs, bench.data.modality.name, task.kind))
        decision = decide(judged, work.asked.deliver)
        work_file.replace_text(bench.ledger.folder / "decision.json", decision.model_dump_json())
        save(work)
    with clock.stage("train"):
        both = {judged.transfer, judged.control}
        final = [one for one in learners.values() if one.name in both or (test is not None and one.plan.closed_form)]
        fitted, tested = refits(bench, final, both.__contains__)
    with clock.stage("evaluate"):
        measured = learning_curves(bench, arms.closed, tier.done, tier.oof, metric, judged, decision.delivered)
        tested = {arm: as_kept(values) for arm, values in tested.items()}
        evidence = replace(evidence, tested=tested, partly=measured.partly)
        found = figures(evidence, decision.delivered, metric, work.asked.seed)
    done = dict(tier.done) | climbed.done
    return Study(arms, work, done, tier.curve, said, evidence, found, decision, fitted, climbed.out, measured)
