"""Learning from the examples that a source brings and from the target's, together."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from headstart.core.errors import UserError
from headstart.core.plan import Solve
from headstart.core.predictions import Floats, Ints
from headstart.core.protocols import Features, View
from headstart.linear.tradaboost import TrAdaBoost
from headstart.sources.source import Source
from headstart.sources.stages import resolve
from headstart.training.solve import Solved, class_rows


def pooled(phase: Solve, sources: Mapping[str, Any], view: View, features: Features) -> Solved:
    """TrAdaBoost on the first source that brings examples, else on the first there is, with the target's alone.

    Raises:
        UserError: there is no source.
    """
    if not sources:
        raise UserError("a source", "none", "Name one with --source.")
    bring = [name for name, one in sources.items() if isinstance(one, Source) and one.brought is not None]
    name = (bring or list(sources))[0]
    taps = tuple((name, stage) for stage in resolve(phase.stages, features.stages(name)))
    blocks = [features.of(source, stage, view) for source, stage in taps]
    beside = _shared(sources[name], view.task.classes) if bring else None
    return Solved(TrAdaBoost.fit(blocks, view.targets, view.task.outputs, phase.penalty, beside), taps)


def _shared(source: Source, classes: tuple[str, ...]) -> tuple[Floats, Ints] | None:
    """What it brings of the target's classes, by name, in their codes."""
    assert source.brought is not None, "it brings some"
    known = {
        row: code for code, name in enumerate(classes) for row in class_rows(source.card.head_classes, (name,)) or ()
    }
    codes = np.array([known.get(int(row), -1) for row in source.brought.targets], dtype=np.int64)
    return (source.brought.features[codes >= 0], codes[codes >= 0]) if (codes >= 0).any() else None
