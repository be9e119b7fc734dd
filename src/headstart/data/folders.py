"""Folders of examples, one a file: a folder a class, or {train,test}/class."""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from headstart.core.errors import UserError
from headstart.data.dataset import Part

PARTS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "train",
    "valid": "train",
    "validation": "train",
    "test": "test",
    "testing": "test",
}
IGNORED = {".ds_store", "thumbs.db", "desktop.ini", "__macosx"}
FORMS = "a folder with one sub-folder a class, {train,test}/class, or a CSV, Parquet or JSONL table"


@dataclass(frozen=True)
class Entry:
    """One example as the data names it, before it is opened.

    Args:
        name: what a person calls it.
        path: where it should be: a file of its own, or a table.
        label: its class; None where the data names none.
        part: as the data says.
        group: equal values belong together.
        content: the example itself, where it stands in a table.
    """

    name: str
    path: Path
    label: str | None
    part: Part | None = None
    group: str | None = None
    content: str | None = None


def read_folder(root: Path, *, flat: bool = False) -> list[Entry]:
    """Every file below the class folders; files beside them have no label.

    Args:
        root: the folder.
        flat: whether there may be no classes, in it or in its parts.

    Raises:
        UserError: there are no sub-folders, or a train folder without classes in it.
    """
    folders = _folders(root)
    if not folders and not flat:
        files = len(_files(root))
        raise UserError(
            FORMS, f"{root} with {files} files and no sub-folder", "Put each class into its own sub-folder."
        )
    parts: dict[Path, Part | None] = {folder: PARTS.get(folder.name.casefold()) for folder in folders}
    if "train" not in parts.values() or not all(parts.values()):
        return _classes(root, root, None)
    bare = [] if flat else [folder.name for folder in folders if not _folders(folder)]
    if bare:
        raise UserError(
            f"class folders in each of {', '.join(folder.name for folder in folders)}",
            f"{bare[0]} without sub-folders",
            f"Sort its files into class folders, or move {bare[0]} elsewhere.",
        )
    return [entry for folder in folders for entry in _classes(root, folder, parts[folder])]


def hidden(path: Path) -> bool:
    """Files and folders that systems leave behind: not worth a word."""
    return path.name.startswith(".") or path.name.casefold() in IGNORED


def below(folder: Path) -> list[Path]:
    """Every file in a folder, at any depth, in order."""

    def seen(path: Path) -> bool:
        return _is_file(path) and not any(hidden(folder / part) for part in path.relative_to(folder).parts)

    return sorted(path for path in folder.rglob("*") if seen(path))


def empty_classes(root: Path) -> tuple[str, ...]:
    """Sub-folders in which there is no file at all."""
    return tuple(folder.name for folder in _folders(root) if not below(folder))


def label_of(name: str) -> str:
    r"""A class name as one spelling: file systems differ in how they compose accents.

    >>> label_of("cafe\u0301 ") == "caf\u00e9"
    True
    """
    return unicodedata.normalize("NFC", name).strip()


def _classes(root: Path, inside: Path, part: Part | None) -> list[Entry]:
    loose = [Entry(_name(root, path), path, None, part) for path in _files(inside)]
    return loose + [
        Entry(_name(root, path), path, label_of(folder.name), part)
        for folder in _folders(inside)
        for path in below(folder)
    ]


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in _inside(root) if path.is_dir() and not hidden(path))


def _files(root: Path) -> list[Path]:
    return sorted(path for path in _inside(root) if _is_file(path) and not hidden(path))


def _is_file(path: Path) -> bool:
    """Also a link that leads nowhere: it is said to be unreadable, not passed over."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _inside(root: Path) -> list[Path]:
    try:
        return list(root.iterdir())
    except OSError as error:
        raise UserError("a folder that can be listed", f"{root} ({error.strerror})", "Check its permissions.") from None
