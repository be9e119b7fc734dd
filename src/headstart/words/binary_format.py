"""word2vec's binary files: a line "V D", then for each word its UTF-8, a space and D float32, little-endian."""

import mmap
from pathlib import Path

import numpy as np

from headstart.core.errors import UserError
from headstart.sources.formats.checks import there
from headstart.words.text_format import AGAIN, decoded, read_header
from headstart.words.vectors import Table, distinct

LONGEST_WORD = 2_000  # bytes
LOOKED_AT = 4_096  # bytes after the header that say whether numbers are text


def is_binary(path: Path) -> bool:
    """Whether the numbers are no text: float32 have bytes that text has not."""
    with there(path).open("rb") as file:
        file.readline(LOOKED_AT)
        return any(byte < 9 for byte in file.read(LOOKED_AT))


def read(path: Path) -> tuple[tuple[str, ...], Table]:
    """Words and (V, D) numbers.

    Raises:
        UserError: the file is cut short, longer than its header says, or holds something else.
    """
    with there(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        header = read_header(file, path)
        begin, bytes_a_row = file.tell(), 4 * header.width
        if header.words * (bytes_a_row + 2) > len(data) - begin + header.words:
            raise _cut(path, header.words)
        words: list[bytes] = []
        table = np.empty((header.words, header.width), np.float32)
        for row in range(header.words):
            while data[begin : begin + 1] == b"\n":  # some writers end rows with it
                begin += 1
            end = data.find(b" ", begin, begin + LONGEST_WORD)
            if end < 0 or end + 1 + bytes_a_row > len(data):
                raise _cut(path, row)
            words.append(data[begin:end])
            begin = end + 1 + bytes_a_row
            table[row] = np.frombuffer(data[end + 1 : begin], "<f4")
        if data[begin:].strip():
            came = f"{path}: {len(data) - begin:,} bytes more"
            raise UserError(f"{header.words:,} words, as its header says", came, AGAIN)
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if len(bad):
        came = f"{path}, word {bad[0] + 1}: NaN or infinity"
        raise UserError("finite numbers", came, "If the file was written big-endian or is damaged, write it again.")
    return distinct(decoded(words, path, 1), str(path)), table


def _cut(path: Path, row: int) -> UserError:
    return UserError("a whole word2vec binary", f"{path}: cut short or damaged, at most {row:,} words", AGAIN)
