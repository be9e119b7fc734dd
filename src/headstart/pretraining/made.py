"""Made series: walks, sines, ARMA, bumps, stairs, and sums of two of them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Rows = NDArray[np.float64]
Draw = np.random.Generator

MIXED = 0.5  # share of series that are sums of two kinds
NOISE = 0.1  # of a series' deviation, at most
WARM = 50  # steps of ARMA before those that are kept


def made(count: int, steps: int, draw: Draw) -> NDArray[np.float32]:
    """(count, steps) float32, each with mean 0 and deviation 1."""
    found = np.empty((count, steps), dtype=np.float32)
    for row in found:
        one = _unit(KINDS[draw.integers(len(KINDS))](steps, draw))
        if draw.random() < MIXED:
            one = one + draw.uniform(0.1, 1.0) * _unit(KINDS[draw.integers(len(KINDS))](steps, draw))
        row[:] = _unit(one + draw.uniform(0, NOISE) * draw.normal(size=steps))
    return found


def walk(steps: int, draw: Draw) -> Rows:
    """The sum of independent moves."""
    return draw.normal(size=steps).cumsum()


def sines(steps: int, draw: Draw) -> Rows:
    """Up to three sines of half a period to a dozen."""
    at = np.arange(steps) / steps
    waves = [draw.normal() * np.sin(2 * np.pi * (draw.uniform(0.5, 12) * at + draw.random())) for _ in _some(draw, 3)]
    return np.sum(waves, axis=0)


def arma(steps: int, draw: Draw) -> Rows:
    """An autoregressive moving average of order (1, 1), stationary."""
    noise = draw.normal(size=steps + WARM)
    return np.asarray(lfilter([1.0, draw.uniform(-0.8, 0.8)], [1.0, -draw.uniform(-0.9, 0.98)], noise))[WARM:]


def bumps(steps: int, draw: Draw) -> Rows:
    """Up to five Gaussian bumps."""
    at = np.arange(steps) / steps
    one = [
        draw.normal() * np.exp(-(((at - draw.random()) / draw.uniform(0.01, 0.15)) ** 2) / 2) for _ in _some(draw, 5)
    ]
    return np.sum(one, axis=0)


def stairs(steps: int, draw: Draw) -> Rows:
    """Up to seven sudden moves, that last."""
    moves = np.zeros(steps)
    for _ in _some(draw, 7):
        moves[draw.integers(steps)] += draw.normal()
    return moves.cumsum()


def _some(draw: Draw, most: int) -> range:
    return range(int(draw.integers(1, most + 1)))


def _unit(series: Rows) -> Rows:
    spread = series.std()
    return (series - series.mean()) / spread if spread > 1e-4 * max(float(np.abs(series).max()), 1e-4) else 0 * series


KINDS: tuple[Callable[[int, Draw], Rows], ...] = (walk, sines, arma, bumps, stairs)
