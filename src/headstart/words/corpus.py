"""A corpus: texts from a file, a folder or a column of a table, and their words as numbers."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
from numpy.typing import NDArray

from headstart.core.errors import UserError, did_you_mean
from headstart.sources.formats.checks import said

Codes = NDArray[np.int32]

WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*|'[^\W_]+")  # well-known is one word; don't is don and 't, as GloVe has 's
TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
CURLY = "\N{RIGHT SINGLE QUOTATION MARK}"
BREAK = -1  # between texts: no context reaches over it


@dataclass(frozen=True, eq=False)
class Corpus:
    """Texts as word numbers.

    Attributes:
        words: N different words, by first appearance.
        codes: (T,) number of each word of the running text, -1 after each text.
        texts: how many.
        sha256: of the words as they were read.
    """

    words: tuple[str, ...]
    codes: Codes
    texts: int
    sha256: str

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(N,) how often each word occurs."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.words))

    @property
    def tokens(self) -> int:
        """Words of running text."""
        return len(self.codes) - self.texts


def read(path: Path, column: str | None = None, *, lower: bool = True) -> Corpus:
    """The corpus in a .txt file (a text a paragraph), a folder of them, or a column of a table (a text a row).

    Args:
        path: of the file or folder.
        column: of a .csv, .tsv, .jsonl or .parquet.
        lower: in lower case, as a table of word vectors may be.

    Raises:
        UserError: nothing readable is there, or nothing that is a word.
    """
    corpus = encode(texts(path, column), lower=lower)
    if not corpus.words:
        raise UserError("a corpus", f"{path}: not one word", "Give a file, a folder of .txt, or a table with --text.")
    return corpus


def encode(every: Iterable[str], *, lower: bool = True) -> Corpus:
    """The words of texts, numbered."""
    numbers: dict[str, int] = {}
    parts: list[Codes] = []
    for text in every:
        found = WORD.findall((text.lower() if lower else text).replace(CURLY, "'"))
        parts.append(np.array([*(numbers.setdefault(word, len(numbers)) for word in found), BREAK], np.int32))
    codes = np.concatenate(parts) if parts else np.empty(0, np.int32)
    digest = hashlib.sha256("\n".join(numbers).encode("utf-8", "replace") + codes.tobytes()).hexdigest()
    return Corpus(tuple(numbers), codes, len(parts), digest)


def texts(path: Path, column: str | None) -> Iterator[str]:
    """The texts of a corpus, one after the other.

    Raises:
        UserError: it cannot be read, or a column is lacking.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*.txt") if file.is_file())
        if not files:
            raise UserError("a folder with .txt files", f"{path}: none", "Name another folder, or a file.")
    elif path.suffix.lower() in TABLES and path.is_file():
        yield from _column(path, column)
        return
    elif path.is_file():
        files = [path]
    else:
        raise UserError(
            "a corpus: a .txt file, a folder of them, or a table", f"{path}: nothing there", "Check the path."
        )
    if column is not None:
        raise UserError("--text only for a table", f"{path}", f"Leave it out, or give one of {', '.join(TABLES)}.")
    for file in files:
        yield from re.split(r"\n\s*\n", _decoded(file))


def _decoded(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("text in UTF-8", f"{file}: other bytes at {error.start:,}", "Save it as UTF-8.") from None


def _column(path: Path, column: str | None) -> Iterator[str]:
    try:
        table = _parse(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError("a readable table", f"{path} ({said(error)})", "Check the file.") from None
    names = table.column_names
    if column is None:
        raise UserError(
            "--text COLUMN for a table", f"none; {path} has {', '.join(names)}", "Name the column of texts."
        )
    if column not in names:
        raise UserError(f"a column of {path} for --text", repr(column), did_you_mean(column, names))
    values = table[names.index(column)]
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        raise UserError("a column of text", f"{column!r} of type {values.type}", "Name another column with --text.")
    for chunk in values.chunks:
        yield from (text for text in chunk.to_pylist() if text)


def _parse(path: Path) -> pa.Table:
    ending = path.suffix.lower()
    if ending == ".parquet":
        return pyarrow.parquet.read_table(path)
    if ending == ".jsonl":
        return pyarrow.json.read_json(path)
    delimiter = pyarrow.csv.ParseOptions(delimiter="\t" if ending == ".tsv" else ",", newlines_in_values=True)
    return pyarrow.csv.read_csv(path, parse_options=delimiter)
