"""What a distance is taken between: the features of two sets, drawn by one seed, refused when they do not compare."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from headstart.core.errors import UserError
from headstart.core.predictions import Floats, Ints
from headstart.linear.path import Array

ENOUGH = 1000  # rows of a set: every distance costs the square or the cube of them
FEWEST = 2  # rows of a set: one says nothing of how rows differ


@dataclass(frozen=True)
class Sample:
    """Examples of one data set, independent of each other: of a group of near-duplicates, one.

    Twins within a set make any two sets look different; twins across sets make them look alike.

    Attributes:
        features: (n, D) of one stage of one source.
        targets: (n,) label codes, for `otdd`; two sets need not share their labels.
    """

    features: Floats
    targets: Ints | None = None

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or (self.targets is not None and self.targets.shape != self.features.shape[:1]):
            came = None if self.targets is None else self.targets.shape
            raise ValueError(f"expected (n, D) features and (n,) targets, got {self.features.shape} and {came}")

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: Ints) -> "Sample":
        """The examples at these row numbers."""
        return Sample(self.features[rows], None if self.targets is None else self.targets[rows])

    def at_most(self, rows: int, seed: int) -> "Sample":
        """All of it, or that many rows at random, in their order."""
        if len(self) <= rows:
            return self
        return self.take(np.sort(np.random.default_rng(seed).permutation(len(self))[:rows]))


Distance: TypeAlias = Callable[[Sample, Sample, int], float]
"""A number that grows with the difference of two samples; the seed chooses rows where there are more than enough."""


def drawn(first: Sample, second: Sample, most: int, seed: int) -> tuple[Sample, Sample]:
    """At most that many rows of each of two samples that can be compared.

    Raises:
        UserError: their features have different widths, are too few or not finite.
    """
    widths = first.features.shape[1], second.features.shape[1]
    if widths[0] != widths[1]:
        raise UserError(
            "two sets of features of the same width", f"{widths[0]} and {widths[1]}", "Take both from one stage."
        )
    if min(len(first), len(second)) < FEWEST:
        raise UserError(
            f"at least {FEWEST} examples of each set", f"{len(first)} and {len(second)}", "Give more examples."
        )
    some, others = first.at_most(most, seed), second.at_most(most, seed)
    bad = sum(int((~np.isfinite(s.features).all(axis=1)).sum()) for s in (some, others))
    if bad:
        raise UserError("finite features", f"{bad} examples with infinite or missing ones", "Leave them out.")
    return some, others


def pooled(first: Sample, second: Sample) -> Array:
    """(n + m, D) features of two samples one above the other, float64, centred for the sake of rounding."""
    rows = np.vstack([first.features, second.features]).astype(np.float64)
    return rows - rows.mean(axis=0)
