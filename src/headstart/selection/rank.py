"""Which source and which stage look best, and how sure that is: another draw of examples might say otherwise."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats
from headstart.core.record import StageScore

RESAMPLES = 1000


def ranked(curve: Iterable[StageScore]) -> tuple[StageScore, ...]:
    """Best first; where two are equal, the one that more redraws of the examples prefer."""
    return tuple(sorted(curve, key=lambda one: (-one.accuracy, -one.sure)))


def sureness(hits: NDArray[np.bool_], seed: int = 0) -> Floats:
    """How often each candidate would be the best of all, were the examples drawn again.

    Bootstrap over examples, all candidates judged on the same draw; a draw that several win is shared out among them.
    It says how well these examples tell the candidates apart, not how well the score foretells what training gives.

    Args:
        hits: (k, n) whether candidate k was right on example n, as leave-one-out has it.
        seed: of the draws.

    Returns:
        (k,) shares, which sum to 1.
    """
    examples = hits.shape[1]
    draws = np.random.default_rng(seed).multinomial(examples, np.full(examples, 1 / examples), size=RESAMPLES)
    right = draws @ hits.T.astype(np.int64)
    wins = right == right.max(axis=1, keepdims=True)
    return (wins / wins.sum(axis=1, keepdims=True)).mean(axis=0)
