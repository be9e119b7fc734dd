"""Folders of text files and tables with a column of texts -> a data set."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from headstart.core.errors import UserError
from headstart.core.problem import Task
from headstart.core.progress import Progress
from headstart.core.record import SkippedFile
from headstart.data.dataset import Dataset, Item
from headstart.data.folders import Entry
from headstart.data.labelled import Opened, Where, labelled, unlabelled, usable
from headstart.data.tables import ENDINGS, check_column, open_table, text_columns, values
from headstart.modalities.text.modality import TEXT

FILES = (".txt", ".md")
LOOKED_AT = 1000  # rows
LARGEST = 10_000_000  # bytes of one text; what is larger is no example


def read_at(where: Where, progress: Progress) -> Dataset:
    """Read labelled texts.

    Args:
        where: a folder of text files a class, {train,test}/class, or a table with a column of texts.
        progress: shows the pass.

    Raises:
        UserError: there is nothing that could be learned from.
    """
    read_from: list[str] = []

    def rows(table: pa.Table, path: Path, target: str | None) -> Sequence[Entry | None]:
        column = where.text or text_column(table, path, target)
        check_column(table, path, "--text", column)
        read_from.append(column)
        found = enumerate(values(table, column), 1)
        return [Entry(f"{path.name}:{row}", path, None, content=text) if text else None for row, text in found]

    def opened(entries: Sequence[Entry]) -> Sequence[Opened]:
        with progress.step("reading", len(entries)) as step:
            found: list[Opened] = []
            for entry in entries:
                found.append(_opened(entry))
                step.advance()
        return found

    found = labelled(where, TEXT, rows, opened)
    return replace(found, column=read_from[0]) if read_from else found


def read_inputs(given: Sequence[str | Path], task: Task, column: str | None = None) -> Dataset:
    """Texts without labels, to be predicted, in the order given.

    Args:
        given: strings are texts; a path is a file with one text, or a table whose texts come row by row.
        task: what is predicted.
        column: of tables that holds the texts.

    Raises:
        UserError: nothing was given, or the first file that cannot be read.
    """
    found = [item for at, one in enumerate(given, 1) for item in opened(one, at, column)]
    if not found:
        raise UserError("at least one text", "none", "Give the texts, or name the files to predict.")
    return unlabelled(usable(found, "a text"), task, TEXT)


def opened(given: str | Path, at: int, column: str | None) -> Iterator[Opened]:
    """The texts of a string, a file or a table; of each that cannot be used the reason why.

    Args:
        given: see `read_inputs`.
        at: names a string.
        column: of a table.

    Raises:
        UserError: a table that cannot be read, or without texts.
    """
    text = isinstance(given, str)
    for entry in [Entry(f"text {at}", Path(), None, content=given)] if text else _of_file(Path(given), column):
        yield _opened(entry)


def text_column(table: pa.Table, path: Path, target: str | None) -> str:
    """The text column with the most characters a row.

    Raises:
        UserError: there is none.
    """
    names = text_columns(table, target)
    if not names:
        came = f"none among {', '.join(table.column_names)}"
        raise UserError(f"a column of texts in {path}", came, "Name it with --text COLUMN.")
    return max(names, key=lambda name: sum(len(text or "") for text in table[name].slice(0, LOOKED_AT).to_pylist()))


def _of_file(path: Path, column: str | None) -> list[Entry]:
    if path.suffix.lower() not in ENDINGS:
        return [Entry(str(path), path, None)]
    table = open_table(path)
    if column is None or column not in table.column_names:
        others = text_columns(table, None)
        if column is not None and len(others) > 1:
            do = f"Call the column {column}: several hold texts ({', '.join(others)})."
            raise UserError(f"a column {column!r} in {path}", "none", do)
        column = text_column(table, path, None)
    found = enumerate(values(table, column), 1)
    return [Entry(f"{path}:{row}", path, None, content=text or "") for row, text in found]


def _opened(entry: Entry) -> Opened:
    content, why = (entry.content, "") if entry.content is not None else _of_text_file(entry.path)
    if not why and not content.strip():
        why = "empty"
    if why:
        return SkippedFile(name=entry.name, why=why)
    try:
        return Item(entry.name, entry.path, sha256(content.encode()).hexdigest(), content)
    except UnicodeEncodeError:
        return SkippedFile(name=entry.name, why="not Unicode")


def _of_text_file(path: Path) -> tuple[str, str]:
    """What stands in a file, and why it cannot be used."""
    try:
        if path.suffix.lower() not in FILES:
            return "", f"not a text file ({', '.join(FILES)})"
        if path.stat().st_size > LARGEST:
            return "", f"too large (more than {LARGEST:,} bytes)"
        return path.read_text(encoding="utf-8-sig"), ""
    except UnicodeDecodeError:
        return "", "not UTF-8"
    except (OSError, ValueError) as error:  # ValueError: a NUL in a path
        return "", f"cannot be read ({getattr(error, 'strerror', None) or error})"
