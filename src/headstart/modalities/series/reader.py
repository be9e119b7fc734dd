"""Who reads series."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from headstart.core.problem import Task
from headstart.core.progress import Progress
from headstart.data.dataset import Dataset, Item
from headstart.data.labelled import Opened, Where, unlabelled
from headstart.data.store import Store
from headstart.modalities.series.modality import SERIES
from headstart.modalities.series.read import opened, read_at, recognised, with_channels
from headstart.modalities.series.values import Values, filled, unpacked
from headstart.strategies.catalog import DEFAULT

DRAWN, CHANNELS = 48, 3  # steps of each channel, and channels, where a series is drawn small


class SeriesReader:
    """See `headstart.modalities.catalog.Reader`."""

    modality = SERIES
    strategies = DEFAULT
    literal = False
    alone = False
    sources = ("wheel:fracast-0",)

    def recognises(self, where: Where) -> bool:
        """Files of series, tables of numbered steps or of readings, and folders with X_TRAIN and X_TEST."""
        return where.text is None and recognised(where)

    def read(self, where: Where, store: Store, progress: Progress) -> Dataset:  # noqa: ARG002 - nothing to decode
        """Labelled series."""
        return read_at(where, progress)

    def unlabelled(self, given: str | Path, at: int, column: str | None) -> Iterator[Opened]:  # noqa: ARG002
        """All series of a file or table."""
        return opened(Path(given), column)

    def asked(self, items: Sequence[Item], task: Task, column: str | None) -> Dataset:
        """Series to predict."""
        return unlabelled(items, task, with_channels(column))

    def shown(self, item: Item) -> Values:
        """All of it, without the padding."""
        return filled(unpacked(item.content))[0]

    def small(self, item: Item) -> list[list[float]]:
        """Its course: evenly spaced steps of the first channels."""
        values = unpacked(item.content)[:CHANNELS]
        steps = np.linspace(0, values.shape[1] - 1, min(DRAWN, values.shape[1])).round().astype(int)
        return [[float(f"{value:.3g}") for value in channel[steps]] for channel in values]
