"""How a training example looks in an epoch: drawn anew in each step, or one of a few fixed views."""

import hashlib
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from headstart.core.plan import Train
from headstart.data.dataset import Modality

CLEAN = 0  # the number of the view that is the example itself
CLEAN_EPOCH = 1  # where views are fixed, an epoch that shows it


class Batches(Protocol):
    """Prepared input by content key."""

    def batch(self, keys: Sequence[str]) -> Tensor:
        """(b, H, W, 3) uint8."""
        ...


class Views:
    """What a phase shows of its examples.

    Args:
        phase: says whether examples are augmented, and how many fixed augmented views there are.
        prepared: where the prepared examples are.
        modality: augments them.
        seed: of the fixed views.
    """

    def __init__(self, phase: Train, prepared: Batches, modality: Modality, seed: int) -> None:
        self.prepared, self.modality, self.seed = prepared, modality, seed
        self._augment = phase.augment and modality.changes != ""
        self._fixed = phase.views if self._augment else 0

    @property
    def count(self) -> int | None:
        """Views of each example, the clean one included; None where they are drawn anew and never come back."""
        return None if self._augment and self._fixed == 0 else 1 + self._fixed

    def number(self, epoch: int) -> int:
        """The fixed view that an epoch shows; epochs count from 1, views from `CLEAN`."""
        return (epoch - 1) % (1 + self._fixed)

    @property
    def clean(self) -> Batches:
        """The examples as they are."""
        return self.prepared

    def ready(self, keys: Sequence[str], epoch: int) -> None:
        """Nothing has to be computed before these examples can be shown."""

    def shown(self, keys: Sequence[str], epoch: int, chance: int) -> Tensor:
        """(b, H, W, 3) uint8: the examples as that epoch shows them.

        Args:
            keys: content keys.
            epoch: from 1.
            chance: seed of the step, for examples that are drawn anew.
        """
        if self.count is not None:
            return self.fixed(keys, self.number(epoch))
        return self.modality.augment(self.prepared.batch(keys), chance)

    def fixed(self, keys: Sequence[str], view: int) -> Tensor:
        """(b, H, W, 3) uint8: a fixed view of each; the others in a batch do not matter."""
        prepared = self.prepared.batch(keys)
        if view == CLEAN:
            return prepared
        changed = [
            self.modality.augment(one, self._chance(key, view))
            for key, one in zip(keys, prepared.split(1), strict=True)
        ]
        return torch.cat(changed)

    def _chance(self, key: str, view: int) -> int:
        return int.from_bytes(hashlib.sha256(f"{self.seed} {view} {key}".encode()).digest()[:4], "big")
