"""Vectors as text, a word and its D numbers a line: GloVe's files, and word2vec's, which begin with a line "V D".

The numbers are parsed some thousand lines at a time; only where a chunk is not as it should be are its lines looked at
one by one, to say which it is.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from headstart.core.errors import UserError
from headstart.sources.formats.checks import shown, there
from headstart.words.vectors import Table, distinct

LINES = 20_000  # parsed at once
WIDEST = 10_000  # numbers in a row; real tables have 25 to 1,024
LONGEST = 1 << 18  # bytes of a line
AGAIN = "Download or write the file again."


@dataclass(frozen=True)
class Header:
    """What the first line of a word2vec file says."""

    words: int
    width: int


def read_glove(path: Path) -> tuple[tuple[str, ...], Table]:
    """Words and (V, D) numbers of a file without a header.

    Raises:
        UserError: the file is no such table; the line is named.
    """
    with there(path).open("rb") as file:
        first = file.readline(LONGEST).split()
        if len(first) == 2 and all(part.isdigit() for part in first):
            do = f"This is word2vec's text: write word2vec:{path}"
            raise UserError("GloVe text, a word and its numbers a line", f"{path} with a header", do)
        if not 2 <= len(first) <= WIDEST + 1:
            came = f"{path}, line 1: {max(len(first) - 1, 0)} numbers"
            raise UserError(f"a word and 1 to {WIDEST:,} numbers", came, AGAIN)
        file.seek(0)
        return _rows(file, path, len(first) - 1, 1)


def read_word2vec(path: Path) -> tuple[tuple[str, ...], Table]:
    """Words and (V, D) numbers of a text file with a header.

    Raises:
        UserError: the file is no such table, or not the one that its header speaks of.
    """
    with there(path).open("rb") as file:
        header = read_header(file, path)
        words, table = _rows(file, path, header.width, 2)
    if len(words) != header.words:
        raise UserError(f"{header.words:,} words, as the header of {path} says", f"{len(words):,}", AGAIN)
    return words, table


def read_header(file: BinaryIO, path: Path) -> Header:
    """The line "V D" that a word2vec file begins with.

    Raises:
        UserError: there is none.
    """
    parts = file.readline(LONGEST).split()
    good = len(parts) == 2 and all(part.isdigit() and len(part) < 12 for part in parts)
    if not good or not int(parts[0]) or not 1 <= int(parts[1]) <= WIDEST:
        do = f"If it is GloVe text, write glove:{path}"
        raise UserError(
            "word2vec's header, two numbers V D",
            f"{path}: {shown(b' '.join(parts[:3]).decode('utf-8', 'replace'))}",
            do,
        )
    return Header(int(parts[0]), int(parts[1]))


def _rows(file: BinaryIO, path: Path, width: int, first: int) -> tuple[tuple[str, ...], Table]:
    words: list[bytes] = []
    tables: list[Table] = []
    for lines in _chunks(file):
        found = [line.partition(b" ") for line in lines]
        numbers = _quick([rest for _, _, rest in found], width)
        if numbers is None:
            pairs = [_slow(line, path, first + len(words) + at, width) for at, line in enumerate(lines)]
            words += [word for word, _ in pairs]
            numbers = np.array([row for _, row in pairs], np.float32)
        else:
            words += [word for word, _, _ in found]
        bad = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
        if len(bad):
            at = first + len(words) - len(lines) + int(bad[0])
            raise UserError("finite numbers", f"{path}, line {at}: NaN or infinity", "Remove that line.")
        tables.append(numbers)
    if not tables:
        raise UserError("a table of word vectors", f"{path}: no rows", AGAIN)
    return distinct(decoded(words, path, first), str(path)), np.concatenate(tables)


def _chunks(file: BinaryIO) -> Iterator[list[bytes]]:
    """Lines without their ends; a tab is a space, as some writers have it, and an empty last line is none."""
    while lines := list(islice(file, LINES)):
        cleaned = [line.strip(b" \t\r\n").replace(b"\t", b" ") for line in lines]
        while cleaned and not cleaned[-1]:
            cleaned.pop()
        if cleaned:
            yield cleaned


def _quick(rests: Sequence[bytes], width: int) -> Table | None:
    """The numbers of many lines at once; None where a line has more or fewer, or something else than numbers."""
    if any(rest.count(b" ") != width - 1 for rest in rests):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            flat = np.fromstring(b" ".join(rests).decode("ascii"), dtype=np.float32, sep=" ")
        except (DeprecationWarning, ValueError):
            return None
    return flat.reshape(-1, width) if len(flat) == len(rests) * width else None


def _slow(line: bytes, path: Path, at: int, width: int) -> tuple[bytes, list[float]]:
    """One line, whose word may have spaces in it as a few of GloVe's largest table do."""
    word, *rest = line.split() or [b""]
    while len(rest) > width and not _is_number(rest[0]):
        word, rest = word + b" " + rest[0], rest[1:]
    if len(rest) != width:
        raise UserError(f"{width} numbers in a row", f"{path}, line {at}: {len(rest)}", AGAIN)
    strange = next((part for part in rest if not _is_number(part)), None)
    if strange is not None:
        came = f"{path}, line {at}: {shown(strange.decode('utf-8', 'replace'))}"
        raise UserError(f"a word and {width} numbers", came, AGAIN)
    return word, [float(part) for part in rest]


def _is_number(part: bytes) -> bool:
    try:
        float(part)
    except ValueError:
        return False
    return True


def decoded(words: Sequence[bytes], path: Path, first: int) -> list[str]:
    """Words in UTF-8.

    Raises:
        UserError: one is not; its line is named, counted from `first`.
    """
    try:
        return [word.decode("utf-8") for word in words]
    except UnicodeDecodeError:
        at = next(i for i, word in enumerate(words) if not _is_utf8(word))
        came = f"{path}: row {at + first} holds other bytes ({shown(words[at][:20])})"
        raise UserError("words in UTF-8", came, "Save the words as UTF-8.") from None


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
