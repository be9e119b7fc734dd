"""What a fitted learner says about examples, and what the ladder keeps of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class Predictions:
    """Class probabilities.

    Args:
        probabilities: (n, C), rows sum to one.
    """

    probabilities: Floats

    def labels(self) -> Ints:
        """(n,) codes of the most probable class; ties go to the lower code."""
        return self.probabilities.argmax(axis=1)
