"""Which kind of data it is, and who reads it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from headstart.core.errors import UserError
from headstart.core.predictions import Floats
from headstart.core.problem import Task
from headstart.core.progress import Progress
from headstart.core.record import SkippedFile
from headstart.core.registry import Registry
from headstart.data.dataset import Dataset, Item, Modality
from headstart.data.folders import below
from headstart.data.labelled import Opened, Where
from headstart.data.store import Store
from headstart.data.tables import ENDINGS

Shown = bytes | str | Floats | dict[str, str]
"""A small JPEG or PNG, the beginning of a text, (channels, steps) of a series, or the cells of a row."""
Small = bytes | str | Sequence[Sequence[float]]
"""JPEG bytes, words, or some values of each channel."""
AMONG_OTHERS = "a table among other files; name it by itself to have its rows"


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

    @property
    def literal(self) -> bool:
        """Whether a string is an example itself, and not the path of one."""
        ...

    @property
    def alone(self) -> bool:
        """Whether an example is a file of its own, so that a table in a folder of them is about them."""
        ...

    def unlabelled(self, given: str | Path, at: int, column: str | None) -> Iterator[Opened]:
        """Examples to predict: one, or those of a table, which stand in that column; of each that cannot be used why.

        Args:
            given: the path of a file, or an example as a string.
            at: how many have been given before, and one: the name of a string.
            column: of a table, as the data set of the run had it.

        Raises:
            UserError: a file that cannot be used at all.
        """
        ...

    def asked(self, items: Sequence[Item], task: Task, column: str | None) -> Dataset:
        """Such examples as a data set without labels."""
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


def opened(who: Reader, given: Iterable[str | Path | SkippedFile], column: str | None) -> Iterator[Opened]:
    """Examples to predict, one after the other as they are wanted; of each that cannot be used the reason why.

    Args:
        who: reads them.
        given: files, folders with files at any depth, or examples as strings; what is skipped already stays so.
        column: of tables that examples stand in.
    """
    for at, one in enumerate(given, 1):
        if isinstance(one, SkippedFile):
            yield one
            continue
        literal = isinstance(one, str) and who.literal
        for file in [one] if literal else _files(Path(one), alone=who.alone):
            if isinstance(file, SkippedFile):
                yield file
                continue
            some = False
            try:
                for found in who.unlabelled(file, at, column):
                    some = True
                    yield found
                if not some:
                    yield SkippedFile(name=str(file), why="no example in it")
            except UserError as error:
                why = f"expected {error.expected}, got {error.came}. {error.do}"
                yield SkippedFile(name=f"example {at}" if literal else str(file), why=why)


def _files(path: Path, *, alone: bool) -> Sequence[Path | SkippedFile]:
    """The file, or all that are in the folder; of an empty one itself. Among files that stand alone tables do not."""
    try:
        found = below(path) if path.is_dir() else ()
    except (OSError, ValueError):  # a name that no file can have, which opening it will say
        found = ()
    tables = {one for one in found if one.suffix.lower() in ENDINGS}
    if not alone or len(tables) == len(found):
        return found or [path]
    return [SkippedFile(name=str(one), why=AMONG_OTHERS) if one in tables else one for one in found]


def kind_of(where: Where) -> str:
    """The kind of data that lies there; where nobody recognises anything, pictures, whose reader says what is wrong."""
    return next((name for name in READERS.names() if reader(name).recognises(where)), "image")


def read(where: Where, store: Store, progress: Progress) -> Dataset:
    """Labelled examples of whatever kind lies there.

    Raises:
        UserError: there is nothing that could be learned from.
    """
    return reader(kind_of(where)).read(where, store, progress)
