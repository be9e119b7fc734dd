"""Who reads tables of numbers and categories."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from headstart.core.errors import HeadstartError, UserError
from headstart.core.problem import Task
from headstart.core.progress import Progress
from headstart.data.dataset import Dataset, Item
from headstart.data.labelled import Opened, Where, unlabelled
from headstart.data.store import Store
from headstart.data.tables import ENDINGS, is_file, open_table
from headstart.modalities.table.columns import is_text, numbered, read
from headstart.modalities.table.modality import TABLE, TableModality
from headstart.modalities.table.read import known, opened, read_at

LOOKED_AT = 500  # rows
SHOWN = 12  # cells


class TableReader:
    """See `headstart.modalities.catalog.Reader`."""

    modality = TABLE
    literal = True
    alone = False
    strategies = ("zero-shot", "shrunk", "pooled", "linear", "earlier", "all-stages", "lp-ft", "finetune")

    @property
    def sources(self) -> tuple[str, ...]:
        """None ships: tables have nothing in common but what their columns say.

        Raises:
            UserError: always, with what to do.
        """
        do = "Name a larger table with the same columns: --from SOURCE.csv, or --source table:SOURCE.csv@COLUMN."
        raise UserError("a source table", "none", do)

    def recognises(self, where: Where) -> bool:
        """A table mostly of numbers and categories, without texts and names of files."""
        if where.text is not None or where.path.suffix.lower() not in ENDINGS or not where.path.is_file():
            return False
        try:
            table = open_table(where.path).slice(0, LOOKED_AT)
        except HeadstartError:  # reading it will say so
            return False
        inputs = [name for name in table.column_names if name not in (where.target, where.group)]
        columns = {name: read(table[name]) for name in inputs}
        strings = [cells for kind, cells in columns.values() if kind == "category"]
        files = any(is_file(where.path.parent, str(one)) for cells in strings for one in cells if one is not None)
        if files or any(is_text(cells) for cells in strings):
            return False
        spoken = any(" " in str(one) for cells in strings for one in cells)
        if not columns or not len(table) or (spoken and len(strings) == len(columns)):
            return False  # short texts, with nothing beside them
        telling = [name for name, (kind, cells) in columns.items() if kind and not numbered(name, cells)]
        return len(telling) > len(inputs) / 2

    def read(self, where: Where, store: Store, progress: Progress) -> Dataset:  # noqa: ARG002 - nothing to decode
        """Labelled rows."""
        return read_at(where, progress)

    def unlabelled(self, given: str | Path, at: int, column: str | None) -> Iterator[Opened]:
        """A string is a row in JSON, a path a table of rows."""
        return opened(given, at, column)

    def asked(self, items: Sequence[Item], task: Task, column: str | None) -> Dataset:
        """Rows to predict."""
        return unlabelled(items, task, TableModality(tuple(known(column))))

    def shown(self, item: Item) -> dict[str, str]:
        """Its first cells."""
        there = [(name, cell) for name, cell in json.loads(item.content).items() if cell is not None]
        return {name: cell if isinstance(cell, str) else f"{cell:g}" for name, cell in there[:SHOWN]}

    def small(self, item: Item) -> str:
        """The same, in a line."""
        return ", ".join(f"{name} {cell}" for name, cell in self.shown(item).items())
