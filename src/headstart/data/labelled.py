"""Folders and tables of examples -> a data set. What cannot be used is skipped with its name and the reason."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from headstart.core.errors import UserError
from headstart.core.predictions import Ints
from headstart.core.problem import Kind, Task
from headstart.core.record import SkippedFile
from headstart.data.checks import checked
from headstart.data.dataset import Dataset, Item, Modality
from headstart.data.folders import FORMS, Entry, empty_classes, read_folder
from headstart.data.tables import ENDINGS, Rows, bare_rows, open_table, read_table
from headstart.data.targets import encode, names

UNLABELLED = "no label"
Opened = Item | SkippedFile
Found = tuple[list[Entry], str, Kind]
"""Entries, the name of what is predicted, and what kind of task that is."""


@dataclass(frozen=True)
class Where:
    """Where labelled data lies, as the user says it.

    Attributes:
        path: a folder a class, {train,test}/class, or a table.
        target: the label column of a table.
        group: a column of a table whose equal values belong together.
        test: another folder or table: the test part.
        text: the column of a table that holds texts.
        kind: of task; None is found from the target column.
        bare: whether examples may lack a label, and none is left out for what it is good for in learning.
    """

    path: Path
    target: str | None = None
    group: str | None = None
    test: Path | None = None
    text: str | None = None
    kind: Kind | None = None
    bare: bool = False


def unlabelled(items: Sequence[Item], task: Task, modality: Modality) -> Dataset:
    """Examples to predict: what they are is not known."""
    return Dataset("", tuple(items), np.full(len(items), -1), np.arange(len(items)), task, modality)


def usable(found: Iterable[Opened], noun: str) -> list[Item]:
    """Examples all of which must be usable.

    Args:
        found: the examples.
        noun: what one is called, with its article.

    Raises:
        UserError: the first that is not.
    """
    items: list[Item] = []
    for one in found:
        if isinstance(one, SkippedFile):
            raise UserError(f"{noun} that can be read", f"{one.name}: {one.why}", "Leave it out, or repair it.")
        items.append(one)
    return items


def _no_other(_where: Where) -> Found | None:
    """There are folders and tables only."""
    return None


def labelled(
    where: Where,
    modality: Modality,
    rows: Rows,
    opened: Callable[[Sequence[Entry]], Sequence[Opened]],
    other: Callable[[Where], Found | None] = _no_other,
) -> Dataset:
    """Read labelled examples; with `where.bare` those without a label too, as they are.

    Args:
        where: they lie.
        modality: what kind of data they are.
        rows: what the rows of a table hold.
        opened: an item for each entry that can be used, else the reason why not.
        other: what a form that only this kind of data has holds; None where it is no such form.

    Raises:
        UserError: there is nothing that could be learned from.
    """
    entries, name, kind = _entries(where, rows, other)
    if where.test is not None:
        entries = _with_test(entries, replace(where, kind=kind), rows, other)
    if not entries:
        raise UserError(
            FORMS, f"{where.path} without any file or row in it", "Put those of each class into its own folder."
        )
    found = opened(entries)
    both = list(zip(entries, found, strict=True))
    usable = [(e, f) for e, f in both if isinstance(f, Item) and (where.bare or e.label is not None)]
    skipped = [
        SkippedFile(name=f.name, why=UNLABELLED) if isinstance(f, Item) else f
        for e, f in both
        if not isinstance(f, Item) or not (where.bare or e.label is not None)
    ]
    told = [entry.label for entry, _ in usable if entry.label is not None]
    task = Task(name, kind, names(told, kind))
    data = _dataset(str(where.path), task, [e for e, _ in usable], [f for _, f in usable], skipped, modality)
    if where.bare:
        return replace(data, warnings=_taken_for(where, task))
    lost = _lost(where.path, entries, data)
    return checked(replace(data, warnings=(*_taken_for(where, task), *lost)))


def _taken_for(where: Where, task: Task) -> tuple[str, ...]:
    """What a target was taken for, where nobody had said it and it is not the usual."""
    if where.kind is not None or task.kind == "classification":
        return ()
    other = "--kind classification reads classes"
    return (f"{task.name} is read for {task.kind}, by what stands in it; {other}",)


def _entries(where: Where, rows: Rows, other: Callable[[Where], Found | None]) -> Found:
    """Entries, the name of what is predicted, and what kind of task that is."""
    path, target, group = where.path, where.target, where.group
    if not path.exists():
        near = [p.name for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
        raise UserError(
            FORMS, f"{path}, which does not exist", f"Beside it: {', '.join(sorted(near)[:8]) or 'nothing'}."
        )
    if (found := other(where)) is not None:
        return found
    if path.is_dir():
        if (target, group, where.text) != (None, None, None):
            raise UserError("a table for --target, --group and --text", f"the folder {path}", "Leave the flag out.")
        if where.kind not in (None, "classification"):
            raise UserError(f"a table for --kind {where.kind}", f"the folder {path}", "A folder has classes.")
        return read_folder(path, flat=where.bare), "class", "classification"
    if path.suffix.lower() not in ENDINGS:
        raise UserError(FORMS, str(path), f"Tables end in {', '.join(ENDINGS)}.")
    if where.bare and target is None:
        return bare_rows(open_table(path), path, rows), "", "classification"
    return read_table(path, target, group, where.kind, rows)


def _with_test(
    entries: Sequence[Entry], where: Where, rows: Rows, other: Callable[[Where], Found | None]
) -> list[Entry]:
    """The entries as the training part, and those of `test` beside them."""
    test = where.test
    assert test is not None, "there is one"
    if any(entry.part == "test" for entry in entries):
        raise UserError(
            "one test part", f"one inside the data and --test {test}", "Leave --test out, or move one away."
        )
    columns = {"target": None, "group": None, "text": None} if test.is_dir() else {}
    others, _, _ = _entries(replace(where, path=test, **columns), rows, other)
    if not others:
        raise UserError("examples in --test", f"{test} without any file in it", "Name a folder or table with some.")
    tested = [replace(entry, name=f"{test.name}/{entry.name}", part="test") for entry in others]
    return [*(replace(entry, part="train") for entry in entries), *tested]


def _dataset(
    path: str,
    task: Task,
    entries: Sequence[Entry],
    items: Sequence[Item],
    skipped: Iterable[SkippedFile],
    modality: Modality,
) -> Dataset:
    has_parts = any(entry.part is not None for entry in entries)
    return Dataset(
        path=path,
        items=tuple(items),
        targets=encode([entry.label for entry in entries], task),
        groups=_groups(entries, items),
        task=task,
        modality=modality,
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
    unreadable = sorted(set(names([e.label for e in entries if e.label], data.task.kind)) - set(data.task.classes))
    said = [f"folders without any file: {', '.join(empty)}"] if empty else []
    return [*said, f"classes without a readable example: {', '.join(unreadable)}"] if unreadable else said
