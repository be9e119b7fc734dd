"""Ridge leave-one-out of every stage: the stage-by-stage curve, and what it says of similarity."""

from collections.abc import Sequence

import numpy as np

from headstart.core.protocols import Features, View
from headstart.core.record import StageScore
from headstart.linear.heads import Ridge
from headstart.selection.rank import sureness

ENOUGH = 1000  # examples; more would not move a ranking of stages


def stage_curve(sources: Sequence[str], view: View, features: Features) -> tuple[StageScore, ...]:
    """Exact leave-one-out accuracy of a ridge head on each stage of each source, input to output.

    Costs one eigendecomposition a stage, of min(n, D) rows; at most `ENOUGH` examples are looked at.
    """
    rows = np.linspace(0, len(view) - 1, min(len(view), ENOUGH)).astype(int)
    targets = view.targets[rows]
    at = [(source, stage) for source in sources for stage in features.stages(source)]
    blocks = [features.of(source, stage, view)[rows] for source, stage in at]
    loo = (Ridge.fit([block], targets, view.task.outputs, None).loo for block in blocks)
    hits = np.array([scores.argmax(axis=1) == targets for scores in loo])
    return tuple(
        StageScore(source=source, stage=stage, dim=block.shape[1], accuracy=float(right.mean()), sure=float(sure))
        for (source, stage), block, right, sure in zip(at, blocks, hits, sureness(hits), strict=True)
    )
