"""Less to learn from: nested shares of a training part, or half of one class. What a learning curve is drawn from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Ints
from headstart.data.split import folds

SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
LEAST = 2  # labels of every class: leave-one-out, which chooses penalties and stages, learns nothing from one


@dataclass(frozen=True, order=True)
class Learned:
    """What a model has learned from: a share of each fold's training part, or one in which labels were halved.

    Attributes:
        share: of the training part.
        halved: the class of which half was left out, the other half counting twice; `EVERY` for all classes.
    """

    share: float = 1.0
    halved: str = ""


ALL = Learned()
EVERY = Learned(0.5, "every class")


def within_share(targets: Ints, groups: Ints, share: float, seed: int) -> NDArray[np.int64]:
    """Positions of a share, halved again and again: stratified, groups whole, small shares within larger ones."""
    at = np.arange(len(targets))
    for _ in range(round(-np.log2(share))):
        at = at[folds(targets[at], groups[at], seed, 2) == 0]
    return at


def halved(targets: Ints, groups: Ints, codes: Ints, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions of some classes, and weights, 0 or about 2, that leave half of them, groups whole, as heavy as all."""
    own = np.flatnonzero(np.isin(targets, codes))
    stays = folds(targets[own], groups[own], seed, 2) == 1
    return own, np.where(stays, len(own) / stays.sum(), 0.0)


def scarcest(targets: Ints, groups: Ints, share: float, seed: int, classes: int) -> int:
    """How many examples the class has that the share leaves with the fewest."""
    return int(np.bincount(targets[within_share(targets, groups, share, seed)], minlength=classes).min())
