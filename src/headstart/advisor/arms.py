"""Which competitors a run has: the strategies asked for, and the controls they are held against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from headstart.core.plan import Plan, Solve
from headstart.core.problem import Task
from headstart.data.dataset import Modality
from headstart.data.store import Store
from headstart.sources.source import Source
from headstart.sources.surgery import FRESH
from headstart.strategies.catalog import DEFAULT, STRATEGIES, plan
from headstart.training.plan_learner import PlanLearner
from headstart.training.solve import Fits, class_rows


@dataclass(frozen=True)
class Arms:
    """The competitors of a run.

    Attributes:
        closed: closed forms, in seconds.
        gradient: arms that train, in order of preference, not yet bound to one source.
        skipped: (name, why) of strategies that do not apply.
    """

    closed: tuple[PlanLearner, ...]
    gradient: tuple[PlanLearner, ...]
    skipped: tuple[tuple[str, str], ...]


def strategies(asked: Sequence[str]) -> tuple[str, ...]:
    """The names asked for, or those that compete by default; checked.

    Raises:
        UserError: an unknown name, with did-you-mean.
    """
    names = tuple(asked) or DEFAULT
    for name in names:
        STRATEGIES.load(name)
    return names


def arms(
    names: Sequence[str],
    *,
    sources: Mapping[str, Source],
    modality: Modality,
    untrained: Mapping[str, Source],
    task: Task,
    stage: str | None,
    store: Store,
) -> Arms:
    """Learners for all strategies and controls.

    Args:
        names: strategies.
        sources: the candidates to transfer from.
        modality: says what the controls read, and which untrained nets they have.
        untrained: those nets.
        task: what is to be learned.
        stage: replaces the stages of every closed-form plan, when asked for.
        store: for prepared pixels.
    """
    skipped: list[tuple[str, str]] = []
    wanted: list[PlanLearner] = []
    fits = Fits()
    for name in names:
        one = at_stage(plan(name), stage)
        able = {at: source for at, source in sources.items() if not one.co_tunes or source.own_head()}
        if one.needs_classes and task.kind != "classification":
            skipped.append((name, f"it needs examples of one class each, and this is {task.kind}"))
            continue
        if name == "zero-shot" and not any(class_rows(s.card.head_classes, task.classes) for s in sources.values()):
            skipped.append((name, "no source knows the target's classes by name"))
            continue
        if name == "experts" and len(sources) < 2:
            skipped.append((name, "one source only"))
            continue
        if not able:
            skipped.append((name, "no source has a linear classifier whose classes have names"))
            continue
        wanted.append(PlanLearner(name, "transfer", one, able, store, fits=fits))
    features, small = modality.untrained
    inputs = {"raw": modality.baseline}
    own = {name: {read.name: read} for name, read in modality.controls.items()}
    closed_controls = {"majority": inputs, "raw": inputs, **own, "random-features": {features: untrained[features]}}
    controls = tuple(PlanLearner(name, "control", plan(name), read, store) for name, read in closed_controls.items())
    twins = {one.name: one for one in (source.reinitialised() for source in sources.values())}
    trained = (
        PlanLearner("scratch", "control", plan("scratch"), {small: untrained[small]}, store),
        PlanLearner("scratch-twin", "control", plan("scratch-twin"), twins, store),
    )
    closed = [one for one in wanted if one.plan.closed_form]
    gradient = [one for one in wanted if not one.plan.closed_form]
    return Arms((*closed, *controls), (*gradient, *trained), tuple(skipped))


def of_source(learner: PlanLearner, source: str) -> PlanLearner:
    """A gradient arm bound to one source, or to its untrained twin; controls with a net of their own stay."""
    names = {source, f"{source}+{FRESH}:first"}
    mine = {name: one for name, one in learner.sources.items() if name in names}
    return replace(learner, sources=mine) if mine else learner


def at_stage(strategy: Plan, stage: str | None) -> Plan:
    """The plan with its closed forms on that stage."""
    if stage is None or not strategy.closed_form:
        return strategy
    phases = tuple(replace(p, stages=(stage,)) if isinstance(p, Solve) else p for p in strategy.phases)
    return replace(strategy, phases=phases)
