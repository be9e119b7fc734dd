"""Who reads texts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from headstart.core.errors import HeadstartError
from headstart.core.problem import Task
from headstart.core.progress import Progress
from headstart.data.dataset import Dataset, Item
from headstart.data.folders import below
from headstart.data.labelled import Opened, Where, unlabelled
from headstart.data.store import Store
from headstart.data.tables import ENDINGS, is_file, open_table, text_columns
from headstart.modalities.text.modality import TEXT
from headstart.modalities.text.read import FILES, opened, read_at
from headstart.strategies.catalog import DEFAULT

LOOKED_AT = 200  # files and rows
SHOWN = 280  # characters


class TextReader:
    """See `headstart.modalities.catalog.Reader`."""

    modality = TEXT
    strategies = (*DEFAULT[:-2], "contrastive", *DEFAULT[-2:])
    literal = True
    alone = False
    sources = ("wheel:all-minilm-l6-v2", "wheel:paraphrase-minilm-l3-v2")

    def recognises(self, where: Where) -> bool:
        """A folder mostly of text files, or a table with strings that are not the names of files."""
        if where.text is not None:
            return True
        if where.path.is_dir():
            some = [path.suffix.lower() in FILES for path in below(where.path)[:LOOKED_AT]]
            return 2 * sum(some) > len(some)
        return where.path.suffix.lower() in ENDINGS and where.path.is_file() and self._in_table(where)

    def _in_table(self, where: Where) -> bool:
        try:
            table = open_table(where.path).slice(0, LOOKED_AT)
        except HeadstartError:  # reading it will say so
            return False
        columns = text_columns(table, where.target)
        paths = any(is_file(where.path.parent, one) for name in columns for one in table[name].to_pylist())
        spoken = any(" " in (one or "") for name in columns for one in table[name].to_pylist())
        return spoken and not paths

    def read(self, where: Where, store: Store, progress: Progress) -> Dataset:  # noqa: ARG002 - nothing to decode
        """Labelled texts."""
        return read_at(where, progress)

    def unlabelled(self, given: str | Path, at: int, column: str | None) -> Iterator[Opened]:
        """A string is a text; a path is a file with one, or a table whose texts come row by row."""
        return opened(given, at, column)

    def asked(self, items: Sequence[Item], task: Task, column: str | None) -> Dataset:  # noqa: ARG002
        """Texts to predict."""
        return unlabelled(items, task, TEXT)

    def shown(self, item: Item) -> str:
        """Its beginning."""
        text = " ".join(item.content.split())
        return text if len(text) <= SHOWN else f"{text[:SHOWN].rsplit(' ', 1)[0]} …"

    def small(self, item: Item) -> str:
        """The same: it is short enough for thousands."""
        return self.shown(item)
