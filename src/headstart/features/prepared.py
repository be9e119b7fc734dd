"""Prepared examples for training: decoded or tokenised once into the cache, then read by row."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from headstart.core.progress import Progress, Silent
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.features.decode import batches, decode
from headstart.sources.card import Input

LIMIT = 4_000_000_000  # bytes of prepared examples kept on disk; above that they are prepared each time
BATCH = 64


class Prepared:
    """The examples of a data set as one source's input wants them.

    Args:
        data: the examples.
        card_input: how they are prepared.
        store: where the prepared rows are kept.
    """

    def __init__(self, data: Dataset, card_input: Input, store: Store, progress: Progress | None = None) -> None:
        self._items = {item.key: item for item in data.items}
        self._modality, self._input, self._store = data.modality, card_input, store
        self._kept = len(self._items) * card_input.bytes <= LIMIT
        if self._kept:
            self._table = store.table("prepared", self._modality.name, self._modality.version, card_input.prepared)
            self._fill(progress or Silent())

    def _fill(self, progress: Progress) -> None:
        todo = [self._items[key] for key in self._table.missing(self._items)]
        if not todo:
            return
        with progress.step("preparing examples", len(todo)) as step:
            for part, (rows,) in batches(todo, BATCH, self._modality, [self._input], self._store):
                self._table.append([item.key for item in part], rows)
                step.advance(len(part))

    def batch(self, keys: Sequence[str]) -> Tensor:
        """(b, ...) of these content keys, in order: (b, H, W, 3) uint8 pixels, (b, t) token numbers."""
        if self._kept:
            return torch.from_numpy(self._table.get(keys))
        rows = decode([self._items[key] for key in keys], self._modality, self._input, self._store)
        return torch.from_numpy(np.ascontiguousarray(rows))
