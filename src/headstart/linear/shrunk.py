"""Linear regression that is shrunk towards what another has learned: the penalty is on w - w0, not on w.

A prior for the coefficients in place of zero (Chelba and Acero 2006 for maximum entropy; Evgeniou and Pontil 2004 for
kernels). With X the features and X w0 the old scores, it is ridge of y - X w0 on X, so the path of penalties and its
exact leave-one-out stay what they are.
"""

from collections.abc import Sequence

import numpy as np

from headstart.core.predictions import Floats, Targets
from headstart.core.problem import Kind
from headstart.core.protocols import State
from headstart.linear.heads import Ridge, calibrated, penalties
from headstart.linear.ridge import solve_features
from headstart.metrics.kinds import KINDS

SHARES = (0.0, 0.5, 1.0)  # of the old coefficients to shrink to; leave-one-out chooses, and 0 is plain ridge


class ShrunkRidge:
    """Ridge towards old coefficients. Blocks: the (n, D) features, and behind them (n, C) old scores of them."""

    @classmethod
    def fit(
        cls,
        blocks: Sequence[Floats],
        targets: Targets,
        outputs: int,
        penalty: float | None,
        *,
        kind: Kind = "classification",
    ) -> Ridge:
        """Fit; see `Head`. Old scores of another number of outputs count for nothing."""
        *features, old = blocks
        wanted = KINDS[kind].wanted(targets, outputs)
        shares = SHARES if old.shape[1] == outputs else SHARES[:1]
        prior = [share * old.astype(np.float64) if share else np.zeros_like(wanted) for share in shares]
        solved = [solve_features(features, wanted - one, penalties(penalty)) for one in prior]
        at = int(np.argmin([one.error for one in solved]))
        share, best = shares[at], solved[at]
        sharpness, loo = calibrated(best.loo + prior[at], targets, kind)
        weight = np.vstack([best.weight, share * np.eye(old.shape[1], outputs)])
        return Ridge(weight, best.bias, sharpness, loo, best.error, float(best.penalties[best.best]), kind)

    @classmethod
    def restore(cls, state: State) -> Ridge:
        """The inverse of `Ridge.state`: what it has become is a plain linear head."""
        return Ridge.restore(state)
