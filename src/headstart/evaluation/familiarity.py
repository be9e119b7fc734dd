"""Whether an example is like those that were learned from, and which of them are nearest.

Sun et al. 2022, "Out-of-distribution detection with deep nearest neighbors" (arXiv 2204.06507): the distance to the
K-th nearest training example in the space of the model's own features, each divided by its length. An example is unlike
them if it is farther from its neighbours than all but a hundredth of the training examples are from theirs. A model
states probabilities of anything; this says when not to believe them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel
from safetensors.numpy import load_file, save_file

from headstart.core.exhibits import Exhibit
from headstart.core.predictions import Floats

NAME = "familiar"  # .safetensors and .json beside a run's model
MOST = 1000  # examples that are kept
NEIGHBOUR = 5  # the K-th whose distance counts
ALARMS = 0.01  # of the training examples themselves would be called unlike the others
ROUNDING = 1e-4  # of a similarity, as two bytes a feature leave it
SHOWN = 3  # of the nearest are named


@dataclass(frozen=True)
class Neighbour:
    """A training example near another one.

    Attributes:
        name: of the example.
        label: that it has.
        similarity: of their features: cosine, 1 for equal ones.
    """

    name: str
    label: str
    similarity: float


class _Kept(BaseModel, frozen=True):
    names: tuple[str, ...]
    labels: tuple[str, ...]
    shown: tuple[Exhibit, ...]
    far: float


@dataclass(frozen=True)
class Familiar:
    """Some of the examples that a model was trained on, as it sees them.

    Attributes:
        units: (m, D) features of unit length.
        names: of the examples.
        labels: that they have.
        shown: what a person sees of each.
        far: similarity to the K-th neighbour below which an example is unlike these.
    """

    units: Floats
    names: tuple[str, ...]
    labels: tuple[str, ...]
    shown: tuple[Exhibit, ...]
    far: float

    @staticmethod
    def of(features: Floats, names: Sequence[str], labels: Sequence[str], shown: Sequence[Exhibit]) -> "Familiar":
        """From (m, D) features of at least two training examples."""
        units = _kept(_units(features))
        among = units @ units.T
        np.fill_diagonal(among, -np.inf)  # nobody is a neighbour of his own
        far = float(np.quantile(_kth(among), ALARMS)) - ROUNDING
        return Familiar(units, tuple(names), tuple(labels), tuple(shown), far)

    def near(self, features: Floats) -> list[tuple[bool, tuple[Neighbour, ...]]]:
        """Of (n, D) features: whether each is unlike these examples, and the nearest of them, the nearest first."""
        if not len(features):
            return []
        alike = _units(features) @ self.units.T
        unlike = _kth(alike) < self.far
        order = np.argsort(-alike, axis=1, kind="stable")[:, :SHOWN]
        near = [
            tuple(Neighbour(self.names[at], self.labels[at], round(float(row[at]), 4)) for at in few)
            for row, few in zip(alike, order, strict=True)
        ]
        return list(zip(unlike.tolist(), near, strict=True))

    def exhibit(self, name: str) -> Exhibit | None:
        """What a person sees of an example; None of others than these."""
        return self.shown[self.names.index(name)] if name in self.names else None

    def write(self, folder: Path) -> None:
        """Beside a run's model: two bytes a feature."""
        save_file({"units": self.units.astype(np.float16)}, folder / f"{NAME}.safetensors")
        kept = _Kept(names=self.names, labels=self.labels, shown=self.shown, far=self.far)
        (folder / f"{NAME}.json").write_text(kept.model_dump_json(), encoding="utf-8")

    @staticmethod
    def read(folder: Path) -> "Familiar | None":
        """What was written there; None where nothing was.

        Raises:
            ValueError: it is damaged.
        """
        facts = folder / f"{NAME}.json"
        if not facts.exists():
            return None
        kept = _Kept.model_validate_json(facts.read_text(encoding="utf-8"))
        units = _units(load_file(folder / f"{NAME}.safetensors")["units"])
        if not len(units) == len(kept.names) == len(kept.labels) == len(kept.shown):
            raise ValueError(f"{NAME}.json of other examples than {NAME}.safetensors")
        return Familiar(units, kept.names, kept.labels, kept.shown, kept.far)


def _units(features: Floats) -> Floats:
    rows = np.nan_to_num(features.astype(np.float32), copy=False)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))


def _kept(units: Floats) -> Floats:
    """As they come back from their file, so that what is compared with them is compared alike."""
    return _units(units.astype(np.float16))


def _kth(alike: Floats) -> Floats:
    """(n,) similarity to the K-th nearest, or to the farthest where there are fewer."""
    place = min(NEIGHBOUR, alike.shape[1] - 1)
    return -np.partition(-alike, place - 1, axis=1)[:, place - 1]
