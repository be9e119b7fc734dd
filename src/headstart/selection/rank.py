"""Which source and which stage look best, and how sure that is: another draw of examples might say otherwise."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats
from headstart.core.record import StageScore

RESAMPLES = 1000


def ranked(curve: Sequence[StageScore]) -> tuple[StageScore, ...]:
    """Best first, by the mean of two ranks: leave-one-out accuracy, and log evidence, which tells apart what ties.

    Of eleven ways to rank eleven sources and their stages on eleven targets with 100 labels this one lost least against
    the best in hindsight (benchmarks/bench_rank.py): between sources -0.1 points [-0.8, 0.6], the accuracy alone 0.0,
    the evidence alone 0.2, the sources' published scores 1.1, their sizes 2.8; between all stages 0.6 [0.0, 1.3], the
    accuracy alone 1.1.
    """
    places = _places([one.accuracy for one in curve])
    evidence = [one.logme for one in curve if one.logme is not None]
    if len(evidence) == len(curve):
        places = places + _places(evidence)
    order = sorted(range(len(curve)), key=lambda at: (places[at], curve[at].sure), reverse=True)
    return tuple(curve[at] for at in order)


def _places(values: Sequence[float]) -> Floats:
    """(k,) how many are smaller, and half of those that are equal."""
    each = np.array(values)
    return (each[:, None] > each).sum(axis=1) + (each[:, None] == each).sum(axis=1) / 2


def sureness(hits: Floats | NDArray[np.bool_], seed: int = 0) -> Floats:
    """How often each candidate would be the best of all, were the examples drawn again.

    Bootstrap over examples, all candidates judged on the same draw; a draw that several win is shared out among them.
    It says how well these examples tell the candidates apart, not how well the score foretells what training gives.

    Args:
        hits: (k, n) whether, or how, candidate k was right on example n, as leave-one-out has it.
        seed: of the draws.

    Returns:
        (k,) shares, which sum to 1.
    """
    examples = hits.shape[1]
    draws = np.random.default_rng(seed).multinomial(examples, np.full(examples, 1 / examples), size=RESAMPLES)
    right = draws @ hits.T
    wins = right == right.max(axis=1, keepdims=True)
    return (wins / wins.sum(axis=1, keepdims=True)).mean(axis=0)
