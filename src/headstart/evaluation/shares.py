"""Less to learn from: nested shares of a training part, or half of one class. What a learning curve is drawn from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Ints
from headstart.data.split import folds

EIGHTHS = 8
SHARES = (1 / 8, 1 / 4, 1 / 2)
LEAST = 2  # labels of every class: leave-one-out, which chooses penalties and stages, learns nothing from one


@dataclass(frozen=True, order=True)
class Learned:
    """What a model has learned from: a share of each fold's training part, or all of it but half of one class."""

    share: float = 1.0
    halved: str = ""


ALL = Learned()


def within_share(targets: Ints, groups: Ints, share: float, seed: int) -> NDArray[np.bool_]:
    """(n,) true for a share, in eighths, of the examples: stratified, groups whole; a smaller one lies in a larger."""
    return folds(targets, groups, seed, EIGHTHS) < EIGHTHS * share


def half_of(targets: Ints, groups: Ints, code: int, seed: int) -> NDArray[np.int64]:
    """Positions of about half of the examples of a class, groups whole."""
    own = np.flatnonzero(targets == code)
    return own[folds(np.zeros_like(own), groups[own], seed, 2) == 0]


def scarcest(targets: Ints, groups: Ints, share: float, seed: int, classes: int) -> int:
    """How many examples the class has that the share leaves with the fewest."""
    return int(np.bincount(targets[within_share(targets, groups, share, seed)], minlength=classes).min())
