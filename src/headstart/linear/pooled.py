"""Boosted trees on the source's examples and the target's together; how much a source's example counts is measured.

Their weight is that of `WEIGHTS` which gives the least out-of-fold loss on the target's own examples: 0 where the
source misleads. TrAdaBoost (Dai et al. 2007) lets each misleading example fade instead.
"""

from collections.abc import Sequence

import numpy as np

from headstart.core.predictions import Floats, Targets
from headstart.core.problem import Kind
from headstart.core.protocols import State
from headstart.linear.boosting import Beside, Boosting

WEIGHTS = (0.0, 0.3)  # of a source's example, where one of the target's counts 1


class Pooled:
    """Boosting on both. The block is (n, D) numbers; what it has become is plain boosting."""

    @classmethod
    def fit(
        cls,
        blocks: Sequence[Floats],
        targets: Targets,
        outputs: int,
        penalty: float | None,
        beside: Beside | None = None,
        *,
        kind: Kind = "classification",
    ) -> Boosting:
        """Fit; see `Head`. Beside are the source's features and targets; without any it is boosting."""
        numbers = [np.hstack(blocks)]
        weights = WEIGHTS if beside else WEIGHTS[:1]
        tried = [
            Boosting.fit(numbers, targets, outputs, penalty, beside=beside.weighing(one) if beside and one else None,
                         kind=kind)
            for one in weights
        ]  # fmt: skip
        return min(tried, key=lambda one: one.error)

    @classmethod
    def restore(cls, state: State) -> Boosting:
        """The inverse of `Boosting.state`."""
        return Boosting.restore(state)
