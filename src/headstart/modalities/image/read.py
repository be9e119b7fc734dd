"""Folders and tables of pictures -> a data set. What cannot be used is skipped with its name and the reason."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from headstart.core.errors import UserError
from headstart.core.predictions import Ints
from headstart.core.problem import Task
from headstart.core.progress import Progress, Silent
from headstart.core.record import SkippedFile
from headstart.data.dataset import Dataset, Item
from headstart.data.store import Store
from headstart.modalities.image.checks import checked
from headstart.modalities.image.files import verify
from headstart.modalities.image.folder import FORMS, Entry, empty_classes, read_folder
from headstart.modalities.image.modality import IMAGE
from headstart.modalities.image.table import ENDINGS, read_table

UNLABELLED = "no label"


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
    root = Path(path)
    entries, name = _entries(root, target, group)
    if test is not None:
        entries = _with_test(entries, Path(test), target, group)
    if not entries:
        raise UserError(FORMS, f"{path} without any file in it", "Put the pictures of each class into its own folder.")
    found = verify([(entry.name, entry.path) for entry in entries], store, progress or Silent())
    usable = [(e, f) for e, f in zip(entries, found, strict=True) if isinstance(f, Item) and e.label is not None]
    skipped = [
        SkippedFile(name=f.name, why=UNLABELLED) if isinstance(f, Item) else f
        for e, f in zip(entries, found, strict=True)
        if not isinstance(f, Item) or e.label is None
    ]
    data = _dataset(str(path), name, [e for e, _ in usable], [f for _, f in usable], skipped)
    return checked(replace(data, warnings=tuple(_lost(root, entries, data))))


def read_files(paths: Sequence[str | Path], task: Task) -> Dataset:
    """Pictures without labels, to be predicted, in the order given; every one must be readable.

    Raises:
        UserError: the first file that is missing or cannot be decoded.
    """
    if not paths:
        raise UserError("at least one picture", "none", "Name the files to predict.")
    items: list[Item] = []
    for one in verify([(str(path), Path(path)) for path in paths], None, Silent()):
        if isinstance(one, SkippedFile):
            raise UserError("pictures that can be read", f"{one.name}: {one.why}", "Leave it out, or repair it.")
        items.append(one)
    return Dataset("", tuple(items), np.full(len(items), -1), np.arange(len(items)), task, IMAGE)


def _entries(path: Path, target: str | None, group: str | None) -> tuple[list[Entry], str]:
    """Entries and the name of what is predicted."""
    if not path.exists():
        near = [p.name for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
        raise UserError(
            FORMS, f"{path}, which does not exist", f"Beside it: {', '.join(sorted(near)[:8]) or 'nothing'}."
        )
    if path.is_dir():
        if target is not None or group is not None:
            raise UserError("a table for --target and --group", f"the folder {path}", "Leave the flag out.")
        return read_folder(path), "class"
    if path.suffix.lower() not in ENDINGS:
        raise UserError(FORMS, str(path), f"Tables end in {', '.join(ENDINGS)}.")
    return read_table(path, target, group)


def _with_test(entries: Sequence[Entry], test: Path, target: str | None, group: str | None) -> list[Entry]:
    """The entries as the training part, and those of `test` beside them."""
    if any(entry.part == "test" for entry in entries):
        raise UserError(
            "one test part", f"one inside the data and --test {test}", "Leave --test out, or move one away."
        )
    others, _ = _entries(test, *((None, None) if test.is_dir() else (target, group)))
    if not others:
        raise UserError("pictures in --test", f"{test} without any file in it", "Name a folder or table with some.")
    tested = [replace(entry, name=f"{test.name}/{entry.name}", part="test") for entry in others]
    return [*(replace(entry, part="train") for entry in entries), *tested]


def _dataset(
    path: str, target: str, entries: Sequence[Entry], items: Sequence[Item], skipped: Iterable[SkippedFile]
) -> Dataset:
    labels = [entry.label or "" for entry in entries]
    classes = tuple(sorted(set(labels)))
    codes = {label: code for code, label in enumerate(classes)}
    has_parts = any(entry.part is not None for entry in entries)
    return Dataset(
        path=path,
        items=tuple(items),
        targets=np.array([codes[label] for label in labels], dtype=np.int64),
        groups=_groups(entries, items),
        task=Task(target, "classification", classes),
        modality=IMAGE,
        parts=tuple(entry.part or "train" for entry in entries) if has_parts else None,
        skipped=tuple(skipped),
    )


def _groups(entries: Sequence[Entry], items: Sequence[Item]) -> Ints:
    """(n,) ids: equal content stays together, and so does what the user's own groups hold."""
    nodes: dict[tuple[str, str], int] = {}
    links: list[tuple[int, int]] = []
    for entry, item in zip(entries, items, strict=True):
        content = nodes.setdefault(("content", item.key), len(nodes))
        own = content if entry.group is None else nodes.setdefault(("group", entry.group), len(nodes))
        links.append((content, own))
    if not links:
        return np.zeros(0, dtype=np.int64)
    ends = np.array(links)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(nodes), len(nodes)))
    component = connected_components(graph, directed=False)[1]
    return component[ends[:, 0]].astype(np.int64)


def _lost(root: Path, entries: Sequence[Entry], data: Dataset) -> list[str]:
    """Warnings about classes of which nothing is left."""
    empty = empty_classes(root) if root.is_dir() else ()
    unreadable = sorted({entry.label for entry in entries if entry.label} - set(data.task.classes))
    said = [f"folders without any file: {', '.join(empty)}"] if empty else []
    return [*said, f"classes without a readable picture: {', '.join(unreadable)}"] if unreadable else said
