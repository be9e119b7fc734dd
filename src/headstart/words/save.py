"""Word vectors into a file, in the form that its ending asks for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from headstart.core.errors import UserError
from headstart.words import native_format
from headstart.words.vectors import Table

DIGITS = "%.6g"  # float32 has little more
Write = Callable[[Path, Sequence[str], Table], None]


def glove(path: Path, words: Sequence[str], table: Table) -> None:
    """A word and its numbers a line."""
    _text(path, "", words, table)


def word2vec(path: Path, words: Sequence[str], table: Table) -> None:
    """The same after a line "V D"."""
    _text(path, f"{table.shape[0]} {table.shape[1]}\n", words, table)


def binary(path: Path, words: Sequence[str], table: Table) -> None:
    """word2vec's binary form."""
    _check(words)
    with path.open("wb") as file:
        file.write(f"{table.shape[0]} {table.shape[1]}\n".encode())
        for word, row in zip(words, table, strict=True):
            file.write(word.encode() + b" " + np.asarray(row, "<f4").tobytes() + b"\n")


def _text(path: Path, header: str, words: Sequence[str], table: Table) -> None:
    _check(words)
    line = " ".join([DIGITS] * table.shape[1])
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(header)
        file.writelines(f"{word} {line % tuple(row)}\n" for word, row in zip(words, table.tolist(), strict=True))


def _check(words: Sequence[str]) -> None:
    spaced = next((word for word in words if len(word.split()) != 1 or word != word.strip()), None)
    if spaced is not None:
        do = "Write .safetensors: it keeps any word."
        raise UserError("words without spaces, which these forms cannot hold", repr(spaced), do)


WRITERS: Mapping[str, Write] = {".safetensors": native_format.write, ".txt": glove, ".vec": word2vec, ".bin": binary}


def save(path: Path, words: Sequence[str], table: Table) -> Path:
    """Write a table.

    Args:
        path: ends in .safetensors (exact), .vec (word2vec's text), .bin (word2vec's binary, exact) or .txt (GloVe's).
        words: V.
        table: (V, D).

    Raises:
        UserError: another ending, or a word that the form cannot hold.
    """
    if path.suffix.lower() not in WRITERS:
        raise UserError(f"a file that ends in {', '.join(WRITERS)}", str(path), "Choose one of these endings.")
    path.parent.mkdir(parents=True, exist_ok=True)
    WRITERS[path.suffix.lower()](path, words, table)
    return path
