"""Folders and tables of pictures -> a data set. What cannot be used is skipped with its name and the reason."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headstart.core.errors import UserError
from headstart.core.problem import Task
from headstart.core.progress import Progress, Silent
from headstart.core.record import SkippedFile
from headstart.data.dataset import Dataset, Item, Part
from headstart.data.store import Store
from headstart.modalities.image.files import hidden, verify
from headstart.modalities.image.modality import IMAGE
from headstart.modalities.image.table import ENDINGS, read_table

PARTS: dict[str, Part] = {"train": "train", "val": "train", "valid": "train", "validation": "train", "test": "test"}
FORMS = "a folder with one sub-folder a class, {train,test}/class, or a CSV, Parquet or JSONL table"


@dataclass(frozen=True)
class Entry:
    """One picture as the data names it, before it is opened."""

    name: str
    path: Path
    label: str
    part: Part | None = None
    group: str | None = None


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
        test: another folder or table of the same form: the test part.
        store: remembers which files decode.
        progress: shows the pass.

    Raises:
        UserError: there is nothing that could be learned from.
    """
    entries, name = _entries(Path(path), target, group)
    if test is not None:
        others, _ = _entries(Path(test), target, group)
        entries = [replace(entry, part="train") for entry in entries]
        entries += [replace(entry, name=f"{Path(test).name}/{entry.name}", part="test") for entry in others]
    if not entries:
        raise UserError(FORMS, f"{path} without any file in it", "Put the pictures of each class into its own folder.")
    items, skipped = verify([(e.name, e.path) for e in entries], store, progress or Silent())
    usable = [entry for entry in entries if entry.name in items]
    data = _dataset(str(path), name, usable, items, skipped)
    return _checked(data)


def read_files(paths: Sequence[str | Path], task: Task) -> Dataset:
    """Pictures without labels, to be predicted; every one must be readable.

    Raises:
        UserError: the first file that is missing or cannot be decoded.
    """
    if not paths:
        raise UserError("at least one picture", "none", "Name the files to predict.")
    named = [(str(path), Path(path)) for path in dict.fromkeys(map(str, paths))]
    items, skipped = verify(named, None, Silent())
    if skipped:
        first = skipped[0]
        raise UserError("pictures that can be read", f"{first.name}: {first.why}", "Leave it out, or repair it.")
    unknown = np.full(len(named), -1)
    kept = tuple(items[name] for name, _ in named)
    return Dataset("", kept, unknown, np.arange(len(named)), task, IMAGE)


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
        return _folder(path), "class"
    if path.suffix.lower() not in ENDINGS:
        raise UserError(FORMS, str(path), f"Tables end in {', '.join(ENDINGS)}.")
    rows = read_table(path, target, group)
    parts: list[Part | None] = [None if row.part is None else _part(row.part, path) for row in rows.rows]
    entries = [
        Entry(row.name, row.path, row.label, part, row.group) for row, part in zip(rows.rows, parts, strict=True)
    ]
    return entries, rows.target


def _part(value: str, path: Path) -> Part:
    if value.casefold() not in PARTS:
        raise UserError("train or test in the split column", f"{value!r} in {path}", f"Known: {', '.join(PARTS)}.")
    return PARTS[value.casefold()]


def _folder(root: Path) -> list[Entry]:
    folders = _folders(root)
    if not folders:
        files = sum(1 for p in root.iterdir() if p.is_file() and not hidden(p))
        raise UserError(
            FORMS, f"{root} with {files} files and no sub-folder", "Put each class into its own sub-folder."
        )
    by_part: dict[Path, Part | None] = {folder: PARTS.get(folder.name.casefold()) for folder in folders}
    if "train" in by_part.values() and all(by_part.values()) and all(_folders(folder) for folder in folders):
        return [
            entry for folder in folders for inner in _folders(folder) for entry in _class(root, inner, by_part[folder])
        ]
    return [entry for folder in folders for entry in _class(root, folder, None)]


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not hidden(p))


def _class(root: Path, folder: Path, part: Part | None) -> list[Entry]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not hidden(p))
    return [Entry(str(p.relative_to(root).as_posix()), p, folder.name, part) for p in files]


def _dataset(
    path: str, target: str, entries: Sequence[Entry], items: dict[str, Item], skipped: tuple[SkippedFile, ...]
) -> Dataset:
    classes = tuple(sorted({entry.label for entry in entries}))
    codes = {label: code for code, label in enumerate(classes)}
    groups: dict[str, int] = {}
    numbers = [
        groups.setdefault(f"g{e.group}" if e.group is not None else f"k{items[e.name].key}", len(groups))
        for e in entries
    ]
    has_parts = any(entry.part is not None for entry in entries)
    return Dataset(
        path=path,
        items=tuple(items[entry.name] for entry in entries),
        targets=np.array([codes[entry.label] for entry in entries], dtype=np.int64),
        groups=np.array(numbers, dtype=np.int64),
        task=Task(target, "classification", classes),
        modality=IMAGE,
        parts=tuple(entry.part or "train" for entry in entries) if has_parts else None,
        skipped=skipped,
    )


Check = Callable[[Dataset], Dataset]


def _checked(data: Dataset) -> Dataset:
    """The data without what cannot be used, and with warnings that say so."""
    for check in CHECKS:
        data = check(data)
    if len(data.task.classes) < 2:
        found = ", ".join(data.task.classes) or "none"
        first = f"; first skipped: {data.skipped[0].name} ({data.skipped[0].why})" if data.skipped else ""
        raise UserError(
            "at least two classes with two readable pictures each",
            f"{len(data.task.classes)} ({found}; {len(data.skipped)} files skipped{first})",
            "Add pictures, or check the folder layout.",
        )
    return data


def _without_leaks(data: Dataset) -> Dataset:
    """Drop from the training part what the test part has too."""
    if data.parts is None or "test" not in data.parts:
        return data
    tested = {item.key for item, part in zip(data.items, data.parts, strict=True) if part == "test"}
    leak = [part == "train" and item.key in tested for item, part in zip(data.items, data.parts, strict=True)]
    return _drop(data, np.array(leak), "also in the test part", "training pictures are also in the test part")


def _without_single_examples(data: Dataset) -> Dataset:
    """Drop classes of one example: it cannot be both learned from and scored."""
    training = [i for i, part in enumerate(data.parts or ["train"] * len(data)) if part == "train"]
    counts = np.bincount(data.targets[training], minlength=len(data.task.classes))
    single = [name for name, count in zip(data.task.classes, counts, strict=True) if count < 2]
    lone = np.isin(data.targets, [data.task.classes.index(name) for name in single])
    found = _drop(
        data, lone, "its class has fewer than two examples", f"classes with one example left out: {', '.join(single)}"
    )
    return _relabelled(found)


def _with_conflicts_named(data: Dataset) -> Dataset:
    """Name equal pictures with different labels: one of them is wrong."""
    by_key: dict[str, set[int]] = {}
    for item, code in zip(data.items, data.targets.tolist(), strict=True):
        by_key.setdefault(item.key, set()).add(code)
    torn = [item.name for item in data.items if len(by_key[item.key]) > 1]
    if not torn:
        return data
    said = f"{len(torn)} equal pictures carry different labels: {', '.join(torn[:6])}{', ...' if len(torn) > 6 else ''}"
    return replace(data, warnings=(*data.warnings, said))


CHECKS: tuple[Check, ...] = (_without_leaks, _without_single_examples, _with_conflicts_named)


def _drop(data: Dataset, which: np.ndarray, why: str, warning: str) -> Dataset:
    if not which.any():
        return data
    dropped = tuple(SkippedFile(name=data.items[i].name, why=why) for i in np.flatnonzero(which))
    left = data.take(np.flatnonzero(~which))
    return replace(left, skipped=(*data.skipped, *dropped), warnings=(*data.warnings, f"{len(dropped)} {warning}"))


def _relabelled(data: Dataset) -> Dataset:
    """Label codes without gaps, after classes were dropped."""
    used = sorted(set(data.targets.tolist()))
    if len(used) == len(data.task.classes):
        return data
    classes = tuple(data.task.classes[code] for code in used)
    return replace(data, targets=np.searchsorted(used, data.targets), task=replace(data.task, classes=classes))
