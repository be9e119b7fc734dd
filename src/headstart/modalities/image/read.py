"""Folders and tables of pictures -> a data set."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from headstart.core.errors import UserError
from headstart.core.problem import Task
from headstart.core.progress import Progress, Silent
from headstart.core.record import SkippedFile
from headstart.data.dataset import Dataset
from headstart.data.folders import Entry
from headstart.data.labelled import Opened, Where, labelled, unlabelled, usable
from headstart.data.store import Store
from headstart.data.tables import ENDINGS, open_table
from headstart.modalities.image.files import NOTHING, unverified, verify
from headstart.modalities.image.modality import IMAGE
from headstart.modalities.image.table import pictures


def read(
    path: str | Path,
    *,
    target: str | None = None,
    group: str | None = None,
    test: str | Path | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read labelled pictures.

    Args:
        path: a folder a class, {train,test}/class, or a table with a column of paths.
        target: the label column of a table.
        group: a column of a table whose equal values belong together.
        test: another folder or table: the test part.
        store: remembers which files decode.
        progress: shows the pass.

    Raises:
        UserError: there is nothing that could be learned from.
    """
    where = Where(Path(path), target, group, None if test is None else Path(test))
    return read_at(where, store, progress or Silent())


def read_at(where: Where, store: Store | None, progress: Progress) -> Dataset:
    """Read labelled pictures that lie there."""

    def opened(entries: Sequence[Entry]) -> Sequence[Opened]:
        return verify([(entry.name, entry.path) for entry in entries], store, progress)

    return labelled(where, IMAGE, pictures, opened)


def opened(path: Path) -> Iterator[Opened]:
    """A picture file, or those that a table names, to be predicted; whether one decodes shows when it is prepared.

    Raises:
        UserError: a table that cannot be read, or that names no picture.
    """
    if path.suffix.lower() not in ENDINGS:
        yield unverified(path, str(path))
        return
    for row, entry in enumerate(pictures(open_table(path), path, None), 1):
        yield SkippedFile(name=f"{path}:{row}", why=NOTHING) if entry is None else unverified(entry.path, entry.name)


def read_files(paths: Sequence[str | Path], task: Task, store: Store | None = None) -> Dataset:
    """Pictures without labels, to be predicted, in the order given; every one must be readable.

    Args:
        paths: of the files.
        task: what is predicted.
        store: remembers which files decode.

    Raises:
        UserError: the first file that is missing or cannot be decoded.
    """
    if not paths:
        raise UserError("at least one picture", "none", "Name the files to predict.")
    found = verify([(str(path), Path(path)) for path in paths], store, Silent())
    return unlabelled(usable(found, "a picture"), task, IMAGE)
