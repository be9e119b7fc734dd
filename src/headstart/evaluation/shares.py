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


def within_share(strata: Ints, groups: Ints, share: float, seed: int) -> NDArray[np.int64]:
    """Positions of a share, halved again and again: stratified, groups whole, small shares within larger ones."""
    at = np.arange(len(strata))
    for _ in range(round(-np.log2(share))):
        at = at[folds(strata[at], groups[at], seed, 2) == 0]
    return at


def halved(strata: Ints, groups: Ints, codes: Ints, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions of some strata, and weights, 0 or about 2, that leave half of them, groups whole, as heavy as all."""
    own = np.flatnonzero(np.isin(strata, codes))
    stays = folds(strata[own], groups[own], seed, 2) == 1
    return own, np.where(stays, len(own) / stays.sum(), 0.0)


def scarcest(strata: Ints, groups: Ints, share: float, seed: int, codes: Ints) -> int:
    """How many examples the class, or other stratum, among these codes has that the share leaves with the fewest."""
    left = strata[within_share(strata, groups, share, seed)]
    return int(np.bincount(left, minlength=int(codes.max()) + 1)[codes].min())
