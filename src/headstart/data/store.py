"""The cache: content-addressed tables of features and pixels, and small notes. Append-only, crash-safe, shared.

A table is a folder of shards: `N.npy` with rows, `N.parquet` with the content keys of those rows. The index of a shard
is renamed into place after its rows, so a shard either exists as a whole or not at all; several processes may append,
each to a shard of its own.
"""

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from headstart.core.errors import UserError
from headstart.data.place import cache_root

LIMIT_ENVIRONMENT = "HEADSTART_CACHE_GB"
LIMIT_GB = 20.0
TABLES = ("features", "prepared")
REGAINABLE = (*TABLES, "notes", "weights", "converted", "handed")


class Table:
    """Rows of one shape by content key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)  # least recently used tables are dropped first
        self._seen: set[str] = set()
        self._at: dict[str, tuple[str, int]] = {}
        self._open: dict[str, NDArray[Any]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look for shards that others have appended."""
        for index in sorted(self.folder.glob("*.parquet")):
            if index.stem in self._seen:
                continue
            self._seen.add(index.stem)
            try:
                with pq.ParquetFile(index) as file:  # `read_table` would import pandas: half a second
                    keys = file.read(columns=["key"])["key"].to_pylist()
                rows = len(self._shard(index.stem))
            except (OSError, ValueError, EOFError):  # dropped by others, or damaged: computed again
                continue
            if rows == len(keys):
                self._at.update({key: (index.stem, row) for row, key in enumerate(keys)})

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Distinct keys that have no row, in order."""
        return [key for key in dict.fromkeys(keys) if key not in self._at]

    def append(self, keys: Sequence[str], rows: NDArray[Any]) -> None:
        """Add a shard: (k, ...) rows for k keys."""
        name = uuid.uuid4().hex
        aside = self.folder / f".{name}"
        with aside.open("wb") as file:
            np.save(file, rows, allow_pickle=False)
        aside.replace(self.folder / f"{name}.npy")
        pq.write_table(pa.table({"key": list(keys)}), aside)
        aside.replace(self.folder / f"{name}.parquet")
        self._seen.add(name)
        self._at.update({key: (name, row) for row, key in enumerate(keys)})

    def get(self, keys: Sequence[str]) -> NDArray[Any]:
        """(k, ...) rows of these keys, in order.

        Raises:
            KeyError: a key has no row, or there is no key at all, so that nothing says how wide a row is.
        """
        if not keys:
            raise KeyError("no keys")
        places = [self._at[key] for key in keys]
        by_shard: dict[str, list[int]] = {}
        for position, (shard, _) in enumerate(places):
            by_shard.setdefault(shard, []).append(position)
        shards = [self._shard(shard) for shard in by_shard]
        out = np.empty((len(places), *shards[0].shape[1:]), dtype=np.result_type(*shards))
        for shard, positions in by_shard.items():
            out[positions] = self._shard(shard)[[places[p][1] for p in positions]]
        return out

    def _shard(self, name: str) -> NDArray[Any]:
        if name not in self._open:
            self._open[name] = np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        return self._open[name]


class Notes:
    """Small facts by content key, one JSON file a kind, written whole by rename."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._facts = {}

    def get(self, key: str) -> Any | None:
        """The fact, or None."""
        return self._facts.get(key)

    def put(self, facts: Mapping[str, Any]) -> None:
        """Add facts, keeping those that others have added meanwhile."""
        if not facts:
            return
        self._facts = {**Notes(self.path)._facts, **self._facts, **facts}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex}")
        aside.write_text(json.dumps(self._facts), encoding="utf-8")
        aside.replace(self.path)


class Store:
    """The cache as one run sees it.

    Attributes:
        counters: what this run decoded, computed and read.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_root()
        self.counters: Counter[str] = Counter()
        self._in_use: set[Path] = set()

    def table(self, kind: str, *what: str) -> Table:
        """The table of everything that `what` determines."""
        folder = self.root / kind / hashlib.sha256("\0".join(what).encode()).hexdigest()[:32]
        self._in_use.add(folder)
        return Table(folder)

    def notes(self, kind: str) -> Notes:
        """Facts of one kind."""
        return Notes(self.root / "notes" / f"{kind}.json")

    def size(self) -> int:
        """Bytes on disk of all that can be had again."""
        return sum(_bytes(self.root / kind) for kind in REGAINABLE)

    def trim(self) -> None:
        """Drop the least recently used tables until the cache is within its limit; never one that this run opened.

        Raises:
            UserError: the limit in the environment is not a number.
        """
        limit, total = limit_bytes(), self.size()
        tables = [table for kind in TABLES for table in (self.root / kind).glob("*") if table not in self._in_use]
        for table in sorted(tables, key=_used):
            if total <= limit:
                return
            total -= _bytes(table)
            shutil.rmtree(table, ignore_errors=True)

    def clear(self) -> None:
        """Drop everything that can be had again. Runs that live here, and whatever else does, stay."""
        for kind in REGAINABLE:
            shutil.rmtree(self.root / kind, ignore_errors=True)


def limit_bytes() -> float:
    """How large the cache may grow: HEADSTART_CACHE_GB, else 20 GB.

    Raises:
        UserError: it is not a number.
    """
    stated = os.environ.get(LIMIT_ENVIRONMENT, str(LIMIT_GB))
    try:
        limit = float(stated)
    except ValueError:
        limit = -1.0
    if not 0 <= limit < float("inf"):
        raise UserError(f"a number of gigabytes in {LIMIT_ENVIRONMENT}", repr(stated), "Set it to one, or unset it.")
    return limit * 1e9


def _used(table: Path) -> float:
    """When a table was last opened; long ago if another process has dropped it."""
    try:
        return table.stat().st_mtime
    except OSError:
        return 0.0


def _bytes(folder: Path) -> int:
    """Bytes in a folder, whatever other processes drop meanwhile."""
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += file.stat().st_size if file.is_file() else 0
    return total
