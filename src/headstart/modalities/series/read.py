"""Files and tables of series -> a data set."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa

from headstart.core.errors import HeadstartError, UserError
from headstart.core.problem import Kind, Task
from headstart.core.progress import Progress
from headstart.core.record import SkippedFile
from headstart.data.dataset import Dataset, Item, Part
from headstart.data.folders import Entry, below
from headstart.data.labelled import Found, Opened, Where, labelled, unlabelled, usable
from headstart.data.tables import ENDINGS, bare_rows, open_table, read_rows
from headstart.data.targets import labels, number
from headstart.modalities.series import tables
from headstart.modalities.series.files import FILES, is_plain, kind_of
from headstart.modalities.series.modality import FEW, SERIES, SeriesModality
from headstart.modalities.series.values import Values, filled, packed, unpacked

OWN = (".ts", ".npz")
PARTS = re.compile(r"(.+)_(train|test)", re.IGNORECASE)
CLASS = "target"
NOTHING = "1:"  # a series without a step
TOLD: Mapping[Kind, Callable[[str], str | None]] = {
    "classification": str,
    "multi-label": labels,
    "regression": number,
}
LONGEST = 1_000_000  # values of one series; what is larger is no example


def recognised(where: Where) -> bool:
    """Whether series lie there; cheap, and never an error."""
    path = where.path
    try:
        if path.is_dir():
            return bool(_pairs(path))
        if path.suffix.lower() in OWN or is_plain(path):
            return path.is_file()
        there = path.suffix.lower() in ENDINGS and path.is_file()
        return there and tables.holds_series(open_table(path), where.target)
    except (HeadstartError, OSError):
        return False


def read_at(where: Where, progress: Progress) -> Dataset:
    """Read labelled series.

    Args:
        where: a file of series, a table, or a folder with X_TRAIN and X_TEST.
        progress: shows the pass.

    Raises:
        UserError: there is nothing that could be learned from.
    """
    opening = _Opening()

    def opened(entries: Sequence[Entry]) -> Sequence[Opened]:
        with progress.step("reading", len(entries)):
            return opening.all(entries)

    found = labelled(where, SERIES, _rows, opened, own_forms)
    modality = SeriesModality(channels=opening.channels, few=_trained_on(found) <= FEW)
    said = list(opening.said())
    if not modality.few:
        said.append(f"more than {FEW} series to learn from: the nearest neighbour under warping (dtw) is left out")
    column = json.dumps({"channels": opening.channels, "names": _named(where)})
    return replace(found, modality=modality, warnings=(*found.warnings, *said), column=column)


def _named(where: Where) -> list[str]:
    """The channels of a long table by name; elsewhere they have none."""
    path = where.path
    if not path.is_file() or path.suffix.lower() not in ENDINGS or is_plain(path):
        return []
    table = open_table(path)
    return tables.channels_of(table, where.target, where.group) if tables.is_long(table) else []


def opened(path: Path, column: str | None) -> Iterator[Opened]:
    """The series of a file or table, to be predicted; labels that are there are not looked at.

    Args:
        path: of the file.
        column: the channels that the run has read, as `read_at` leaves them in the data set.

    Raises:
        UserError: it cannot be read.
    """
    known = json.loads(column or "{}")
    opening = _Opening(channels=known.get("channels", 0))
    for entry in entries(path, known.get("names", ())):
        try:
            yield opening.one(entry)
        except UserError as error:
            yield SkippedFile(name=entry.name, why=f"expected {error.expected}, got {error.came}")


def with_channels(column: str | None) -> SeriesModality:
    """The modality of a run, by the channels that it has read."""
    return SeriesModality(channels=json.loads(column or "{}").get("channels", 1))


def read_values(several: Iterable[Values], task: Task) -> Dataset:
    """Series without labels that lie in memory, in the order given.

    Args:
        several: (channels, steps) of each, NaN where a value is missing.
        task: what is predicted.

    Raises:
        UserError: the first series that cannot be used.
    """
    opening = _Opening()
    given = [Entry(f"series {at}", Path(), None, content=packed(one)) for at, one in enumerate(several, 1)]
    items = usable(opening.all(given), "a series")
    return unlabelled(items, task, SeriesModality(channels=opening.channels))


def entries(path: Path, names: Sequence[str] = ()) -> list[Entry]:
    """Every series of a file or table, with its label where that is beside it.

    Args:
        path: of the file.
        names: of the channels of a long table; none stands for all columns of numbers.

    Raises:
        UserError: it cannot be read.
    """
    if not path.is_file():
        raise UserError("a file of series", f"{path}, which is not there", "Check the path.")
    if path.suffix.lower() in OWN or is_plain(path):
        return FILES[path.suffix.lower()](path)
    if path.suffix.lower() not in ENDINGS:
        do = f"Known endings: {', '.join(dict.fromkeys((*FILES, *ENDINGS)))}."
        raise UserError("a file of series", str(path), do)
    table = open_table(path)
    table = tables.gathered(table, path, None, None, names) if tables.is_long(table) else table
    rows = enumerate(tables.rows(table, path, None), 1)
    return [entry or Entry(f"{path.name}:{at}", path, None, content=NOTHING) for at, entry in rows]


def unlabelled_below(path: Path) -> list[np.ndarray]:
    """(channels, steps) of every usable series of a file; of a folder: of X_TRAIN, or of every file of series in it.

    Raises:
        UserError: it is not there, or cannot be read.
    """
    files = [path]
    if path.is_dir():
        pairs = _pairs(path)
        known = (*FILES, *ENDINGS)
        files = [_one_pair(path, pairs)["train"]] if pairs else [p for p in below(path) if p.suffix.lower() in known]
    found = [filled(unpacked(entry.content or NOTHING))[0] for file in files for entry in entries(file)]
    return [values for values in found if not _unusable(values)]


def own_forms(where: Where) -> Found | None:
    """What files that only series come in hold, or a folder with X_TRAIN and X_TEST, or a long table.

    Raises:
        UserError: such a file cannot be read, or flags are given that it has no columns for.
    """
    path = where.path
    if path.is_dir():
        pairs = _pairs(path)
        if not pairs:
            return None
        _no_columns(where)
        both = _one_pair(path, pairs)
        read = [entry for part, file in both.items() for entry in _of_part(file, part)]  # which says what is wrong
        kind = where.kind or kind_of(both["train"])
        return _told(read, kind), CLASS, kind
    if path.is_file() and (path.suffix.lower() in OWN or is_plain(path)):
        _no_columns(where)
        entries = FILES[path.suffix.lower()](path)
        kind = where.kind or kind_of(path)
        return _told(entries, kind), CLASS, kind
    if path.is_file() and path.suffix.lower() in ENDINGS and tables.is_long(table := open_table(path)):
        gathered = tables.gathered(table, path, where.target, where.group)
        if where.bare and where.target is None:
            return bare_rows(gathered, path, _rows), "", "classification"
        return read_rows(gathered, path, where.target, where.group, where.kind, _rows)
    return None


def _rows(table: pa.Table, path: Path, target: str | None) -> Sequence[Entry | None]:
    return tables.rows(table, path, target)


def _of_part(file: Path, part: Part) -> list[Entry]:
    return [replace(entry, part=part) for entry in FILES[file.suffix.lower()](file)]


def _told(entries: Sequence[Entry], kind: Kind) -> list[Entry]:
    """Entries whose labels are the text of a target of that kind."""
    return [entry if entry.label is None else replace(entry, label=TOLD[kind](entry.label)) for entry in entries]


def _no_columns(where: Where) -> None:
    if (where.target, where.group, where.text) != (None, None, None):
        came = f"{where.path}, which has no columns with names"
        raise UserError("a table for --target, --group and --text", came, "Leave the flag out.")


def _pairs(folder: Path) -> dict[tuple[str, str], dict[Part, Path]]:
    """Problem and ending -> its two files, of those that are whole; endings in the order of preference."""
    found: dict[tuple[str, str], dict[Part, Path]] = {}
    for ending in FILES:
        for file in sorted(folder.glob(f"*{ending}")):
            match = PARTS.fullmatch(file.stem)
            if match:
                part: Part = "train" if match[2].lower() == "train" else "test"
                found.setdefault((match[1], ending), {})[part] = file
    return {which: {"train": two["train"], "test": two["test"]} for which, two in found.items() if len(two) == 2}


def _one_pair(folder: Path, pairs: dict[tuple[str, str], dict[Part, Path]]) -> dict[Part, Path]:
    """The pair that is meant: the one that is called like the folder, or the only one."""
    problems = {problem for problem, _ in pairs}
    meant = folder.resolve().name if folder.resolve().name in problems else min(problems)
    if len(problems) > 1 and meant != folder.resolve().name:
        do = "Give each a folder of its own."
        raise UserError("one X_TRAIN and X_TEST in a folder", f"{', '.join(sorted(problems))} in {folder}", do)
    return next(two for (problem, _), two in pairs.items() if problem == meant)


def _trained_on(data: Dataset) -> int:
    return len(data) if data.parts is None else data.parts.count("train")


@dataclass
class _Opening:
    """Turns entries into items; they all have the channels of the first.

    Attributes:
        channels: of each series.
        missing: values that were.
        torn: series that they were in.
    """

    channels: int = 0
    missing: int = 0
    torn: int = 0

    def all(self, entries: Sequence[Entry]) -> list[Opened]:
        """An item for each series that can be used."""
        return [self.one(entry) for entry in entries]

    def said(self) -> Sequence[str]:
        """What was missing."""
        if not self.missing:
            return ()
        return (f"{self.missing:,} missing values in {self.torn} series lie on the line between their neighbours",)

    def one(self, entry: Entry) -> Opened:
        """An item, or why the series cannot be used.

        Raises:
            UserError: it has other channels than those before.
        """
        values, missing = filled(unpacked(entry.content or NOTHING))
        why = _unusable(values)
        if why:
            return SkippedFile(name=entry.name, why=why)
        self.channels = self.channels or len(values)
        if len(values) != self.channels:
            came = f"{len(values)} in {entry.name}"
            raise UserError(f"series of {self.channels} channels, as before", came, "Give all the same channels.")
        self.missing += missing
        self.torn += missing > 0
        content = packed(values)
        return Item(entry.name, entry.path, sha256(content.encode()).hexdigest(), content)


def _unusable(values: np.ndarray) -> str:
    """Why a series is no example, or ""."""
    if values.shape[1] < 2:
        return "fewer than two steps"
    if values.size > LONGEST:
        return f"too long (more than {LONGEST:,} values)"
    if np.isnan(values).any():
        return "a channel without any value"
    return "" if np.isfinite(values).all() else "a value that is infinite"
