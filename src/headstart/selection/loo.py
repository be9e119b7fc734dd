"""Exact leave-one-out of every stage, the stage-by-stage curve, and of the controls beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.core.predictions import Floats, Ints, Targets
from headstart.core.problem import Task
from headstart.core.protocols import Features, View
from headstart.core.record import StageScore
from headstart.linear.heads import KernelRidge, Majority, Ridge
from headstart.metrics.kinds import KINDS
from headstart.selection.logme import logme
from headstart.selection.rank import sureness

ENOUGH = 1000  # examples; more would not move a ranking of stages
FEW = 300  # examples for the evidence, which 100 are enough for


@dataclass(frozen=True)
class Floor:
    """Leave-one-out accuracies that need no transfer: raw input, features of an untrained net, the best constant."""

    raw: float
    random: float
    majority: float

    @property
    def best(self) -> float:
        """The strongest of them."""
        return max(self.raw, self.random, self.majority)


def some(view: View) -> Ints:
    """Positions of at most `ENOUGH` examples, evenly spaced."""
    return np.linspace(0, len(view) - 1, min(len(view), ENOUGH)).astype(int)


def floor(raw: str, untrained: str, view: View, features: Features) -> Floor:
    """What the closed-form controls reach, as their plans have it, on the examples that `stage_curve` looks at."""
    rows = some(view)
    targets, task = view.targets[rows], view.task

    def blocks(source: str) -> list[Floats]:
        return [features.of(source, stage, view)[rows] for stage in features.stages(source)]

    def right(stated: Floats) -> float:
        return float(KINDS[task.kind].right(stated, targets).mean())

    first = blocks(raw)
    return Floor(
        raw=right(KernelRidge.fit(first, targets, task.outputs, None, kind=task.kind).loo),
        random=right(Ridge.fit(blocks(untrained), targets, task.outputs, None, kind=task.kind).loo),
        majority=right(Majority.fit(first, targets, task.outputs, None, kind=task.kind).predict(first)),
    )


def stage_curve(sources: Sequence[str], view: View, features: Features) -> tuple[StageScore, ...]:
    """Exact leave-one-out accuracy of a ridge head on each stage of each source, input to output.

    Costs one eigendecomposition a stage, of min(n, D) rows; at most `ENOUGH` examples are looked at. The evidence that
    `rank` looks at beside it is of fewer still.
    """
    rows = some(view)
    targets = view.targets[rows]

    def fitted(source: str, stage: str) -> Ridge:
        block = features.of(source, stage, view)[rows]
        return Ridge.fit([block], targets, view.task.outputs, None, kind=view.task.kind)

    return with_evidence(curve(sources, features, targets, view.task, fitted), view, features)


def curve(
    sources: Sequence[str], features: Features, targets: Targets, task: Task, fitted: Callable[[str, str], Ridge]
) -> tuple[StageScore, ...]:
    """The same from ridge heads, by source and stage, that were fitted on n examples with these targets."""
    at = [(source, stage) for source in sources for stage in features.stages(source)]
    heads = [fitted(source, stage) for source, stage in at]
    hits = np.array([KINDS[task.kind].right(head.loo, targets) for head in heads])
    return tuple(
        StageScore(source=name, stage=stage, dim=len(head.weight), accuracy=float(right.mean()), sure=float(sure))
        for (name, stage), head, right, sure in zip(at, heads, hits, sureness(hits), strict=True)
    )


def with_evidence(scores: Sequence[StageScore], view: View, features: Features) -> tuple[StageScore, ...]:
    """The curve with the log evidence of each stage, on the same at most `FEW` examples."""
    rows = np.linspace(0, len(view) - 1, min(len(view), FEW)).astype(int)
    targets, task = view.targets[rows], view.task
    blocks = (features.of(one.source, one.stage, view)[rows] for one in scores)
    evidence = (logme(block, targets, task.outputs, task.kind) for block in blocks)
    return tuple(one.model_copy(update={"logme": value}) for one, value in zip(scores, evidence, strict=True))
