"""The one fold map of a run: who is scored by a model that did not see them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats, Ints
from headstart.data.split import FOLDS, folds

FEW = 1000  # below this many examples the folds are repeated, so that the fold map's luck averages out
REPEATS_OF_FEW = 4


def repeats(n: int) -> int:
    """How many fold maps n examples get."""
    return REPEATS_OF_FEW if n < FEW else 1


def fold_maps(strata: Ints, groups: Ints, seed: int, rounds: int | None = None) -> NDArray[np.int64]:
    """(R, n) fold numbers of R seeded maps; `repeats` says how many where `rounds` does not."""
    return np.stack([folds(strata, groups, seed * 1000 + r) for r in range(rounds or repeats(len(strata)))])


@dataclass(frozen=True)
class Unit:
    """The smallest piece of work that is finished as a whole: one arm on one fold."""

    arm: str
    repeat: int
    fold: int

    @property
    def name(self) -> str:
        """As a file name."""
        return f"{self.arm}.r{self.repeat}f{self.fold}".replace(":", "_").replace("/", "_")


def units(arm: str, rounds: int, count: int = FOLDS) -> tuple[Unit, ...]:
    """All units of an arm on `rounds` maps and the first `count` folds of each."""
    return tuple(Unit(arm, r, f) for r in range(rounds) for f in range(count))


class OutOfFold:
    """Out-of-fold predictions of every arm; rows that an arm has not scored are NaN."""

    def __init__(self, maps: NDArray[np.int64], classes: int) -> None:
        self.maps, self.classes = maps, classes
        self._of: dict[str, Floats] = {}

    def put(self, unit: Unit, probabilities: Floats) -> None:
        """The predictions of a unit for the examples of its fold, in order."""
        index = np.flatnonzero(self.maps[unit.repeat] == unit.fold)
        self.fill(unit.arm, np.full(len(index), unit.repeat), index, probabilities)

    def fill(self, arm: str, rounds: Ints, index: Ints, probabilities: Floats) -> None:
        """Predictions for single (repeat, example) cells; kept as precisely as the file keeps them (float32)."""
        table = self._of.setdefault(arm, np.full((*self.maps.shape, self.classes), np.nan))
        table[rounds, index] = probabilities.astype(np.float32)

    def arms(self) -> tuple[str, ...]:
        """Arms in the order they came."""
        return tuple(self._of)

    def of(self, arm: str) -> Floats:
        """(R, n, C), NaN where not scored."""
        return self._of[arm]

    def scored(self, arm: str) -> NDArray[np.bool_]:
        """(R, n) what an arm has scored."""
        return ~np.isnan(self._of[arm][..., 0])

    def mean(self, arm: str) -> tuple[NDArray[np.int64], Floats]:
        """Positions that were scored at least once and their probabilities averaged over repeats: (k,), (k, C)."""
        some = self.scored(arm).any(axis=0)
        at = np.flatnonzero(some)
        return at, np.nanmean(self._of[arm][:, some], axis=0)
