"""Which kind of data it is, and who reads it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from headstart.core.predictions import Floats
from headstart.core.problem import Task
from headstart.core.progress import Progress
from headstart.core.registry import Registry
from headstart.data.dataset import Dataset, Item, Modality
from headstart.data.labelled import Where
from headstart.data.store import Store

Shown = bytes | str | Floats | dict[str, str]
"""A small JPEG or PNG, the beginning of a text, (channels, steps) of a series, or the cells of a row."""
Small = bytes | str | Sequence[Sequence[float]]
"""JPEG bytes, words, or some values of each channel."""


class Reader(Protocol):
    """Reads one kind of data; see CONTRIBUTING for how to add one."""

    @property
    def modality(self) -> Modality:
        """What its data sets carry."""
        ...

    @property
    def sources(self) -> tuple[str, ...]:
        """Who is tried when nobody is named."""
        ...

    @property
    def strategies(self) -> tuple[str, ...]:
        """What competes when nothing is named."""
        ...

    def recognises(self, where: Where) -> bool:
        """Whether what lies there is of this kind; cheap, and never an error."""
        ...

    def read(self, where: Where, store: Store, progress: Progress) -> Dataset:
        """Labelled examples.

        Raises:
            UserError: there is nothing that could be learned from.
        """
        ...

    def inputs(self, given: Sequence[str | Path], task: Task, column: str | None) -> Dataset:
        """Examples to predict; those of a table stand in that column.

        Raises:
            UserError: one that cannot be read.
        """
        ...

    def shown(self, item: Item) -> Shown:
        """An example as a report shows it."""
        ...

    def small(self, item: Item) -> "Small":
        """An example as one of thousands on a page: a picture of 64 pixels, few words, or the course of a series."""
        ...


READERS = Registry(
    kind="kind of data",
    builtin={
        "series": "headstart.modalities.series.reader:SeriesReader",
        "table": "headstart.modalities.table.reader:TableReader",
        "text": "headstart.modalities.text.reader:TextReader",
        "image": "headstart.modalities.image.reader:ImageReader",
    },
    group="headstart.modalities",
)


def reader(name: str) -> Reader:
    """The reader of a kind of data.

    Raises:
        UserError: nobody knows that kind.
    """
    make: Callable[[], Reader] = READERS.load(name)
    return make()


def kind_of(where: Where) -> str:
    """The kind of data that lies there; where nobody recognises anything, pictures, whose reader says what is wrong."""
    return next((name for name in READERS.names() if reader(name).recognises(where)), "image")


def read(where: Where, store: Store, progress: Progress) -> Dataset:
    """Labelled examples of whatever kind lies there.

    Raises:
        UserError: there is nothing that could be learned from.
    """
    return reader(kind_of(where)).read(where, store, progress)
