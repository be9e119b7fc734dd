"""Tables: the functions that a data set of rows carries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from headstart.core.predictions import Floats
from headstart.core.problem import Kind
from headstart.data.dataset import Item, Piece
from headstart.metrics.kinds import KINDS
from headstart.modalities.table.alike import caveats
from headstart.modalities.table.baselines import Cells, Marks, Values
from headstart.modalities.table.occlude import usual
from headstart.modalities.table.prepare import cells
from headstart.sources.card import Column, TableInput


@dataclass(frozen=True)
class TableModality:
    """See `headstart.data.dataset.Modality`. Nothing that changes a row surely keeps its label: none is augmented.

    Args:
        columns: of the table, in the order of their names.
        kind: of the task that its target is, which a source table is read for too.
    """

    columns: tuple[Column, ...] = ()
    kind: Kind = "classification"
    name: str = "table"
    version: str = "1"
    copied: bool = False  # rows that are nearly equal are other cases
    changes: str = ""
    untrained: tuple[str, str] = ("random:table-net", "random:table-net")

    @property
    def baseline(self) -> Marks:
        """What tells copies."""
        return Marks(self.columns)

    @property
    def controls(self) -> Mapping[str, Any]:
        """What is read without transfer."""
        return {"raw": Values(self.columns), "boosting": Cells(self.columns)}

    def fitting(self, sources: Sequence[str]) -> tuple[str, ...]:
        """Source tables are read for the same kind of task."""
        return tuple(
            f"{one}#{self.kind}" if one.startswith("table:") and not one.endswith(tuple(KINDS)) else one
            for one in sources
        )

    def suited(self, raw: Floats) -> tuple["TableModality", tuple[str, ...]]:  # noqa: ARG002 - nothing to leave out
        """Itself."""
        return self, ()

    def prepare(self, item: Item, card_input: TableInput) -> NDArray[np.float32]:
        """(2, columns) numbers and what stands there."""
        return cells(item.content, card_input)

    def sample(self, items: Sequence[Item], card_input: TableInput, count: int) -> NDArray[np.float32]:
        """Real rows, evenly spaced."""
        at = np.linspace(0, len(items) - 1, count).astype(int)
        return np.stack([self.prepare(items[i], card_input) for i in at])

    def size(self, item: Item) -> int:  # noqa: ARG002 - all alike
        """One."""
        return 1

    def caveats(self, items: Sequence[Item], card_input: TableInput) -> tuple[str, ...]:
        """Where the columns of the source differ from these."""
        return caveats(items, card_input)

    def augment(self, batch: Tensor, seed: int) -> Tensor:  # noqa: ARG002 - see `changes`
        """The batch as it is."""
        return batch

    def pieces(self, item: Item, others: Sequence[Item], folder: Path) -> tuple[Item, tuple[Piece, ...]]:  # noqa: ARG002
        """Cells."""
        return item, usual(item, others)


TABLE = TableModality()
