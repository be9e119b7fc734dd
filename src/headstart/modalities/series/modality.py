"""Series: the functions that a data set of time series carries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from headstart.core.predictions import Floats
from headstart.data.dataset import Item, Piece
from headstart.modalities.series.baselines import RAW, SHAPES, Stretched, Whole
from headstart.modalities.series.occlude import stretches
from headstart.modalities.series.prepare import prepared, steps
from headstart.modalities.series.values import unpacked
from headstart.sources.card import SeriesInput

FEW = 500  # series up to which each is compared with each by warping
CHANNELS = "+channels:"  # as `headstart.sources.load` reads it


@dataclass(frozen=True)
class SeriesModality:
    """See `headstart.data.dataset.Modality`. Nothing that changes a series surely keeps its label: none is augmented.

    Attributes:
        channels: of every series.
        few: whether there are few enough to compare each with each by warping.
    """

    channels: int = 1
    few: bool = True
    name: str = "series"
    version: str = "1"
    copied: bool = False  # series of one class are as alike as copies are: 6 of 50 in GunPoint
    changes: str = ""
    baseline: Stretched = RAW

    @property
    def controls(self) -> Mapping[str, Whole]:
        """Random convolutions; and the nearest neighbour under warping, where series are few."""
        return {"minirocket": SHAPES, "dtw": SHAPES} if self.few else {"minirocket": SHAPES}

    @property
    def untrained(self) -> tuple[str, str]:
        """The small convolutional net, for both."""
        name, *_ = self.fitting(("random:series-cnn",))
        return name, name

    def fitting(self, sources: Sequence[str]) -> tuple[str, ...]:
        """Sources that read as many channels as there are."""
        several = self.channels > 1
        return tuple(f"{one}{CHANNELS}{self.channels}" if several and CHANNELS not in one else one for one in sources)

    def suited(self, raw: Floats) -> tuple["SeriesModality", tuple[str, ...]]:  # noqa: ARG002 - nothing to leave out
        """Itself."""
        return self, ()

    def prepare(self, item: Item, card_input: SeriesInput) -> NDArray[np.float32]:
        """(channels, length) values, NaN where there is padding."""
        return prepared(item.content, card_input)

    def sample(self, items: Sequence[Item], card_input: SeriesInput, count: int) -> NDArray[np.float32]:
        """Real series, evenly spaced: how long they are is what a step takes."""
        at = np.linspace(0, len(items) - 1, count).astype(int)
        return np.stack([self.prepare(items[i], card_input) for i in at])

    def size(self, item: Item) -> int:
        """Characters that hold its values."""
        return len(item.content)

    def caveats(self, items: Sequence[Item], card_input: SeriesInput) -> tuple[str, ...]:
        """How many series are longer than the input."""
        most = steps(card_input, self.channels)
        longer = sum(unpacked(item.content).shape[1] > most for item in items)
        return (
            (f"{longer} of {len(items)} series have more than {most} steps: averaged down to them",) if longer else ()
        )

    def augment(self, batch: Tensor, seed: int) -> Tensor:  # noqa: ARG002 - see `changes`
        """The batch as it is."""
        return batch

    def pieces(self, item: Item, others: Sequence[Item], folder: Path) -> tuple[Item, tuple[Piece, ...]]:  # noqa: ARG002
        """Windows."""
        return item, stretches(item)


SERIES = SeriesModality()
