"""MiniRocket: how often fixed convolutions exceed what they give on a training series (Dempster et al. 2021).

84 kernels of nine weights, -1 or 2, at dilations spread over the length; for each the share of positive values (PPV)
beside some biases, which are quantiles of its output on one training series each. See arXiv 2012.08791. The numbers
are those of aeon's transform when it is given the same parameters.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats, Ints, Targets
from headstart.core.problem import Kind
from headstart.core.protocols import State
from headstart.linear.heads import Ridge
from headstart.linear.series_blocks import matrices, resampled

Rows = NDArray[np.float32]

TAPS = 9
KERNELS = np.array(list(combinations(range(TAPS), 3)))  # where the three weights of 2 stand; the others are -1
FEATURES = 9_996  # as published: 119 a kernel
MOST_DILATIONS = 32
CHANNELS = 9  # that a kernel sees together, at most
AT_ONCE = 2**16  # values whose convolution is compared at once: what a cache holds
SEED = 0


@dataclass(frozen=True)
class Convolutions:
    """What is fitted to the training series.

    Attributes:
        steps: of the series, which are stretched to them.
        dilations: (d,).
        counts: (d,) biases of each kernel at that dilation.
        seen: (d * 84,) how many channels each kernel at each dilation sees.
        channels: which ones, one behind the other.
        biases: (features,).
    """

    steps: int
    dilations: Ints
    counts: Ints
    seen: Ints
    channels: Ints
    biases: Rows

    def __call__(self, series: Rows) -> Rows:
        """(n, channels, steps) series -> (n, features) shares."""
        found = np.empty((len(series), len(self.biases)), dtype=np.float32)
        at_once = max(AT_ONCE // series.shape[2], 1)
        for start in range(0, len(series), at_once):
            rows = slice(start, start + at_once)
            under = {dilation: _under(series[rows], dilation) for dilation in self.dilations.tolist()}
            for one in self.kernels():
                output = one.inside(one.output(*under[one.dilation]))
                for column in range(one.columns.start, one.columns.stop):
                    found[rows, column] = np.count_nonzero(output > self.biases[column], axis=1) / output.shape[1]
        return found

    def kernels(self) -> Iterator["Kernel"]:
        """Every kernel at every dilation."""
        starts = np.concatenate([[0], np.cumsum(self.seen)])
        column = 0
        for number, (dilation, count) in enumerate(zip(self.dilations.tolist(), self.counts.tolist(), strict=True)):
            for kernel in range(len(KERNELS)):
                at = number * len(KERNELS) + kernel
                border = TAPS // 2 * dilation if (number + kernel) % 2 else 0
                mine = self.channels[starts[at] : starts[at + 1]]
                yield Kernel(kernel, dilation, mine, border, slice(column, column + count))
                column += count


@dataclass(frozen=True)
class Kernel:
    """One kernel at one dilation.

    Attributes:
        kernel: its number.
        dilation: steps between its weights.
        channels: that it sees together.
        border: steps at each end where it would reach beyond the series, if those are left out.
        columns: of its features.
    """

    kernel: int
    dilation: int
    channels: Ints
    border: int
    columns: slice

    def output(self, shifted: Rows, total: Rows) -> Rows:
        """(n, steps): the sum under its weights, from what stands under each tap and the sum of that."""
        a, b, c = (shifted[tap] for tap in KERNELS[self.kernel])
        return (3 * (a + b + c) - total)[:, self.channels].sum(axis=1)

    def inside(self, output: Rows) -> Rows:
        """Without the ends, where those are left out."""
        return output[:, self.border : output.shape[1] - self.border]


def fitted(series: Rows, features: int = FEATURES, seed: int = SEED) -> Convolutions:
    """Convolutions for (n, channels, steps) series of at least nine steps: dilations, channels and biases.

    Args:
        series: to learn from; labels are not looked at.
        features: about how many.
        seed: of the channels that a kernel sees, and of the series that its biases are taken from.
    """
    count, channels, steps = series.shape
    draw = np.random.default_rng(seed)
    dilations, counts = spread(steps, features // len(KERNELS))
    pairs = len(KERNELS) * len(dilations)
    seen = (2 ** draw.uniform(0, np.log2(min(channels, CHANNELS) + 1), pairs)).astype(np.int64)
    which = np.concatenate([draw.choice(channels, number, replace=False) for number in seen])
    found = Convolutions(steps, dilations, counts, seen, which, np.zeros(int(counts.sum()) * len(KERNELS), np.float32))
    share = np.arange(1, len(found.biases) + 1) * ((np.sqrt(5) + 1) / 2) % 1  # spread as evenly as numbers can be
    for one, example in zip(found.kernels(), draw.integers(count, size=pairs), strict=True):
        output = one.output(*_under(series[example : example + 1], one.dilation))
        found.biases[one.columns] = np.quantile(output[0], share[one.columns])
    return found


def spread(steps: int, features: int) -> tuple[Ints, Ints]:
    """Dilations from 1 up to where a kernel spans the series, evenly in their logarithm, and biases for each."""
    most = min(features, MOST_DILATIONS)
    exponents = np.linspace(0, np.log2((steps - 1) / (TAPS - 1)), most)
    dilations, counts = np.unique((2**exponents).astype(np.int64), return_counts=True)
    counts = (counts * (features / most)).astype(np.int64)
    counts[: features - counts.sum()] += 1
    return dilations, counts


def _under(series: Rows, dilation: int) -> tuple[Rows, Rows]:
    """(9, n, channels, steps) what stands under each tap of a kernel, 0 beyond the ends; and the sum over taps."""
    border = TAPS // 2 * dilation
    wide = np.zeros((*series.shape[:2], series.shape[2] + 2 * border), dtype=series.dtype)
    wide[:, :, border : border + series.shape[2]] = series
    shifted = np.stack([wide[:, :, tap * dilation : tap * dilation + series.shape[2]] for tap in range(TAPS)])
    return shifted, shifted.sum(axis=0)


@dataclass(frozen=True)
class MiniRocket:
    """Ridge on MiniRocket's features.

    Blocks are (n, 2) numbers of channels and steps, and (n, D) values, see `headstart.linear.series_blocks`.
    """

    convolutions: Convolutions
    head: Ridge

    @property
    def loo(self) -> Floats:
        """(n, C), of the ridge; the biases know every series."""
        return self.head.loo

    @property
    def error(self) -> float:
        """Of the ridge."""
        return self.head.error

    @classmethod
    def fit(
        cls,
        blocks: Sequence[Floats],
        targets: Targets,
        outputs: int,
        penalty: float | None,
        *,
        kind: Kind = "classification",
    ) -> "MiniRocket":
        """Fit; see `Head`. Series of unequal length are stretched to the longest."""
        series = matrices(blocks)
        rows = resampled(series, max(TAPS, *(one.shape[1] for one in series)))
        convolutions = fitted(rows)
        return cls(convolutions, Ridge.fit([convolutions(rows)], targets, outputs, penalty, kind=kind))

    def predict(self, blocks: Sequence[Floats]) -> Floats:
        """(n, C) probabilities, or numbers."""
        return self.head.predict([self.convolutions(resampled(matrices(blocks), self.convolutions.steps))])

    def state(self) -> State:
        """What the convolutions are, and weight and bias of the ridge."""
        one, head = self.convolutions, self.head.state()
        arrays: dict[str, Any] = {
            "dilations": one.dilations, "counts": one.counts, "seen": one.seen, "channels": one.channels,
            "biases": one.biases,
        }  # fmt: skip
        return State({**arrays, **head.arrays}, {**head.meta, "steps": one.steps})

    @classmethod
    def restore(cls, state: State) -> "MiniRocket":
        """The inverse of `state`."""
        a = state.arrays
        whole = {name: a[name].astype(np.int64) for name in ("dilations", "counts", "seen", "channels")}
        biases = a["biases"].astype(np.float32)
        convolutions = Convolutions(
            int(state.meta["steps"]), whole["dilations"], whole["counts"], whole["seen"], whole["channels"], biases
        )
        return cls(convolutions, Ridge.restore(state))
