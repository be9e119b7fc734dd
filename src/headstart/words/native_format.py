"""headstart's own form: the numbers as safetensors, the words beside them, one a line.

The safetensors file states the hash of the words, so that the two cannot be mixed up.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from headstart.core.errors import UserError
from headstart.sources.formats.checks import said, there
from headstart.words.text_format import decoded
from headstart.words.vectors import Table, distinct

TENSOR, HASH, LICENCE = "table", "words_sha256", "licence"


def beside(path: Path) -> Path:
    """Where the words of a file of numbers are."""
    return path.with_suffix(".words.txt")


def write(path: Path, words: Sequence[str], table: Table) -> None:
    """Two files: `path` and `beside(path)`.

    Raises:
        UserError: a word has a line break in it.
    """
    broken = next((word for word in words if len(word.splitlines()) != 1), None)
    if broken is not None:
        raise UserError("words without line breaks", repr(broken), "Remove that word.")
    text = ("\n".join(words) + "\n").encode()
    beside(path).write_bytes(text)
    metadata = {HASH: hashlib.sha256(text).hexdigest()}
    save_file({TENSOR: np.ascontiguousarray(table, np.float32)}, path, metadata=metadata)


def read(path: Path) -> tuple[tuple[str, ...], Table]:
    """Words and (V, D) numbers; these as a memory map.

    Raises:
        UserError: one of the files is lacking or damaged, or they do not belong together.
    """
    table, stated = _table(path)
    text = there(beside(path)).read_bytes()
    if hashlib.sha256(text).hexdigest() != stated:
        do = "Copy both files again, from where they were written."
        raise UserError(f"the words that {path} was written with", f"others in {beside(path)}", do)
    words = decoded(text.removesuffix(b"\n").split(b"\n"), beside(path), 1)
    if len(words) != len(table):
        raise UserError(f"{len(table):,} words", f"{beside(path)}: {len(words):,}", "Write the table again.")
    if not np.isfinite(table).all():
        raise UserError("finite numbers", f"{path}: NaN or infinity", "Write the table again.")
    return distinct(words, str(beside(path))), table


def _table(path: Path) -> tuple[Table, str]:
    try:
        with safe_open(there(path), "numpy") as file:  # checks sizes and offsets
            names, metadata = list(file.keys()), file.metadata() or {}
            shape, kind = (
                (file.get_slice(TENSOR).get_shape(), file.get_slice(TENSOR).get_dtype())
                if names == [TENSOR]
                else ([], "")
            )
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError("a file of safetensors", f"{path}: {said(error)}", "Copy or write it again.") from None
    if names != [TENSOR] or kind != "F32" or len(shape) != 2 or HASH not in metadata:
        do = "Write it with headstart, or use word2vec: or glove: for other files."
        raise UserError(f"one float32 tensor {TENSOR!r} of V rows with the hash of its words", f"another in {path}", do)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        begin = json.loads(file.read(length))[TENSOR]["data_offsets"][0]
    return np.memmap(path, "<f4", "r", 8 + length + begin, tuple(shape)), metadata[HASH]
