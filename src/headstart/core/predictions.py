"""What a fitted learner says about examples, and what the ladder keeps of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Targets = NDArray[Any]
"""(n,) label codes; (n, L) zeros and ones, one a label; (n,) numbers: as the kind of the task has it."""


@dataclass(frozen=True)
class Predictions:
    """What a model states: class probabilities, in most tasks.

    Args:
        probabilities: (n, C), rows sum to one; (n, L) of labels, each by itself; (n, 1) the numbers of a regression.
    """

    probabilities: Floats
