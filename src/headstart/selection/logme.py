"""LogME: how probable the labels are under a linear model of the features, all its weights averaged out."""

from dataclasses import dataclass

import numpy as np

from headstart.core.predictions import Floats, Targets
from headstart.core.problem import Kind
from headstart.metrics.kinds import KINDS
from headstart.selection.spectrum import Array, Spectrum, spectrum

SMALLEST, LARGEST = 1e-16, 1e8  # a/b over the largest eigenvalue: beyond them nothing changes, or b would be infinite
STEP = 0.5  # of log(a/b); the evidence is made of terms that take about 1 to change
HALVINGS = 40  # of two steps: to 1e-12


@dataclass(frozen=True)
class Evidence:
    """The Bayesian linear model y = Fw + noise at its most probable precisions, each target by itself.

    Attributes:
        alpha: (C,) precision of the prior of the weights.
        beta: (C,) precision of the noise.
        value: (C,) log N(y; 0, I/beta + FF'/alpha) / n, nats an example.
    """

    alpha: Array
    beta: Array
    value: Array


def logme(features: Floats, targets: Targets, outputs: int, kind: Kind = "classification") -> float:
    """The largest log evidence of one-hot labels, per example, mean over the classes that are there; or of numbers.

    You, Liu, Wang and Long 2021, arXiv 2102.11005: max over a, b of log p(y | F, a, b) / n, w ~ N(0, I/a) and
    y ~ N(Fw, I/b). O(n D min(n, D)) once for all classes.

    Good at few examples and many features, where the evidence pays for every weight and nothing is held out: it sees
    noise, and is smooth where accuracies of n examples tie. Bad at stages of very different widths, among which it
    leans to the widest: averaged over all positions, its top pick among the stages of real nets lost 9 to 17 points
    (benchmarks/bench_logme.py); over grids, which make them about as wide as each other, 0.6 (bench_rank.py). Bad at
    features that no linear model can use, and wherever a gap is to be read as one of accuracy: it is one of the squared
    error of one-hot labels. Comparable only on the same examples.

    The published code leaves out (D - k) log a, k the rank, so that with fewer examples than features its score grows
    with their number and their scale; it stops after 11 rounds and mixes precisions of two rounds. This is the
    evidence itself, for any n and D (benchmarks/bench_logme.py has both).

    Args:
        features: (n, D), not centred.
        targets: of the n examples; numbers are centred and scaled first.
        outputs: how many there are.
        kind: of task.

    Raises:
        ValueError: the features are not finite.
    """
    wanted = KINDS[kind].seen(targets, outputs)
    if kind == "regression":
        wanted = (wanted - wanted.mean()) / max(float(wanted.std()), np.finfo(float).tiny)
    present = wanted.any(axis=0)  # no features tell anything of a class without examples
    return float(evidence(features, wanted[:, present]).value.mean()) if present.any() else 0.0


def evidence(features: Floats, targets: Floats) -> Evidence:
    """The largest evidence of real-valued targets, each by itself; there is no intercept, so centre them if need be.

    Given a/b the best b has a closed form, which leaves a line, searched over its whole length and then bisected. The
    published fixed point needs 55 rounds in the median and up to 1,600 (random maps at n = 50), and where there are two
    maxima it may end at the lower (tests/numbers/test_logme.py has such).

    Args:
        features: (n, D).
        targets: (n, C).

    Raises:
        ValueError: the features are not finite, or a target is zero everywhere: the less noise, the more probable,
            without end.
    """
    if not np.any(targets, axis=0).all():
        raise ValueError("expected targets that are not zero everywhere, got one that is")
    known = spectrum(features, targets)
    scale = known.values.max() or 1.0  # features that are all zero: any scale will do
    line = np.log(scale) + np.arange(np.log(SMALLEST), np.log(LARGEST) + STEP, STEP)
    at = np.array([_profile(known, np.exp([point]))[1] for point in line]).argmax(axis=0)
    low, high = line[np.maximum(at - 1, 0)], line[np.minimum(at + 1, len(line) - 1)]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        rises = _slope(known, np.exp(middle)) > 0
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    ratio = np.exp((low + high) / 2)
    beta, value = _profile(known, ratio)
    return Evidence(ratio * beta, beta, value)


def _profile(known: Spectrum, ratio: Array) -> tuple[Array, Array]:
    """(C,) best precision of the noise, and log evidence an example at it, for (1,) or (C,) ratios a/b.

    The covariance is (1 + s/ratio) / b along an eigenvector of eigenvalue s, so that the fit leaves
    sum z^2 / (1 + s/ratio), the squares of the residual and of the weights together, and n / b equals it.
    """
    spread = known.values / ratio[:, None]
    left = known.beyond + (known.squares.T / (1 + spread)).sum(axis=1)
    beta = known.n / left
    return beta, (np.log(beta / (2 * np.pi)) - 1 - np.log1p(spread).sum(axis=1) / known.n) / 2


def _slope(known: Spectrum, ratio: Array) -> Array:
    """(C,) slope of the log evidence along log(a/b), for (C,) ratios."""
    kept = known.values / (known.values + ratio[:, None])
    squares = known.squares.T * (1 - kept)
    left = known.beyond + squares.sum(axis=1)
    return kept.sum(axis=1) - known.n * (squares * kept).sum(axis=1) / left
