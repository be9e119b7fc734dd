"""Learning from the examples that a source brings and from the target's, together."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from headstart.core.errors import UserError
from headstart.core.plan import Solve
from headstart.core.problem import Task
from headstart.core.protocols import Features, View
from headstart.linear.boosting import Beside
from headstart.linear.pooled import Pooled
from headstart.sources.source import Source
from headstart.sources.stages import resolve
from headstart.training.solve import Solved, class_rows


def pooled(phase: Solve, sources: Mapping[str, Any], view: View, features: Features) -> Solved:
    """Boosting on the first source that brings examples, else on the first there is, with the target's alone.

    Raises:
        UserError: there is no source.
    """
    if not sources:
        raise UserError("a source", "none", "Name one with --source.")
    bring = [name for name, one in sources.items() if isinstance(one, Source) and one.brought is not None]
    name = (bring or list(sources))[0]
    taps = tuple((name, stage) for stage in resolve(phase.stages, features.stages(name)))
    blocks = [features.of(source, stage, view) for source, stage in taps]
    beside = _shared(sources[name], view.task) if bring else None
    outputs, kind = view.task.outputs, view.task.kind
    return Solved(Pooled.fit(blocks, view.targets, outputs, phase.penalty, beside, kind=kind), taps)


def _shared(source: Source, task: Task) -> Beside | None:
    """What it brings of the same task: examples of the target's classes, by name, in their codes."""
    brought = source.brought
    if brought is None or brought.task.kind != task.kind:
        return None
    if task.kind != "classification":
        return Beside(brought.features, brought.targets) if brought.task.classes == task.classes else None
    rows = [class_rows(brought.task.classes, (name,)) for name in task.classes]
    known = {row: code for code, found in enumerate(rows) for row in found or ()}
    codes = np.array([known.get(int(row), -1) for row in brought.targets], dtype=np.int64)
    return Beside(brought.features[codes >= 0], codes[codes >= 0]) if (codes >= 0).any() else None
