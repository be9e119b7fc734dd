"""Features as a table: looked up by source, stage and example."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from headstart.core.predictions import Floats
from headstart.core.protocols import View
from headstart.data.store import Store, Table


@dataclass(frozen=True)
class Layout:
    """One source's table: all stages side by side in a row.

    Attributes:
        table: rows by content key.
        columns: stage -> its columns, input to output.
    """

    table: Table
    columns: Mapping[str, slice]


class FeatureTable:
    """Cached features of several sources. A stage that was read once stays in memory."""

    def __init__(self, layouts: Mapping[str, Layout], store: Store) -> None:
        self._layouts, self.store = dict(layouts), store
        self._rows: dict[str, dict[str, int]] = {}
        self._values: dict[str, Floats] = {}

    def stages(self, source: str) -> tuple[str, ...]:
        """Stage names of a source, input to output."""
        return tuple(self._layouts[source].columns)

    def of(self, source: str, stage: str, view: View) -> Floats:
        """(n, D) float32 features of the view's examples."""
        columns = self._layouts[source].columns[stage]
        rows = self._load(source, view)
        at = [rows[key] for key in view.keys]
        return np.ascontiguousarray(self._values[source][at, columns])

    def _load(self, source: str, view: View) -> dict[str, int]:
        """Row numbers in memory, the view's examples read from disk when they are not there yet."""
        rows = self._rows.setdefault(source, {})
        new = [key for key in dict.fromkeys(view.keys) if key not in rows]
        if new:
            fresh = self._layouts[source].table.get(new).astype(np.float32, copy=False)
            old = self._values.get(source)
            self._values[source] = fresh if old is None else np.vstack([old, fresh])
            rows.update({key: len(rows) + i for i, key in enumerate(new)})
        return rows
