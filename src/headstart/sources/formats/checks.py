"""What every reader of foreign weights asks of a file and of what it found there, and how it says no.

Names in a file are foreign text as well: they are shown short, and without anything that a terminal would obey.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstart.core.errors import UserError

Array = Tensor | NDArray[Any]
ArrayT = TypeVar("ArrayT", Tensor, NDArray[Any])

NUMBERS = {"float16", "bfloat16", "float32", "float64", "bool", "uint8", "int8", "int16", "int32", "int64"}
PLAIN = re.compile(r"[\w./:+-]{1,80}", re.ASCII)
FEW = 3  # names shown in a message
OTHER_THINGS = {  # what a download often leaves under the name of a weight file
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"<?xml": "a web page",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself",
}


def sha256(path: Path) -> str:
    """Of the whole file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def there(path: Path) -> Path:
    """The same path, if it is a file with something in it that may be weights.

    Raises:
        UserError: nothing is there, or something else.
    """
    if not path.is_file():
        came = "a folder" if path.is_dir() else "nothing there"
        raise UserError("a file of weights", f"{path}: {came}", "Name the file itself.")
    with path.open("rb") as file:
        head = file.read(64).lstrip().lower()
    if not path.stat().st_size:
        raise UserError("a file of weights", f"{path}: an empty file", "Download it again.")
    other = next((what for mark, what in OTHER_THINGS.items() if head.startswith(mark)), None)
    if other is not None:
        raise UserError("a file of weights", f"{path}: {other}", "Download the file itself.")
    return path


def sound(path: Path, arrays: Mapping[str, ArrayT]) -> dict[str, ArrayT]:
    """The same arrays, if there are any and all hold finite numbers.

    Raises:
        UserError: nothing is there, or an array holds no numbers, or not only finite ones; it is named.
    """
    if not arrays:
        raise UserError("at least one tensor", f"{path}: none", "Save the weights again, from the trained net.")
    for name, array in arrays.items():
        kind = str(array.dtype).removeprefix("torch.")
        if kind not in NUMBERS:
            came = f"{path}: {shown(name)} of type {kind}"
            raise UserError("tensors of plain numbers", came, "Save the weights again as float32.")
        if not _finite(array):
            came = f"{path}: {shown(name)} holds NaN or infinity"
            raise UserError("finite weights", came, "The training that made it broke down; use another checkpoint.")
    return dict(arrays)


def _finite(array: Array) -> bool:
    if isinstance(array, Tensor):
        return bool(torch.isfinite(array).all())
    return bool(np.isfinite(array).all())


def shown(name: object) -> str:
    """A name out of a file, as it may be printed.

    >>> shown("layer1.0.weight"), shown("a" + chr(10)).startswith("'a"), len(shown("n" * 1000))
    ('layer1.0.weight', True, 80)
    """
    text = name if isinstance(name, str) and PLAIN.fullmatch(name) else ascii(name)
    return text if len(text) <= 80 else f"{text[:77]}..."


def few(names: Iterable[object]) -> str:
    """The first names, sorted, and how many more there are.

    >>> few(["d", "b", "a", "c"])
    'a, b, c and 1 more'
    """
    every = sorted(map(shown, names))
    more = f" and {len(every) - FEW} more" if len(every) > FEW else ""
    return ", ".join(every[:FEW]) + more


def said(error: Exception) -> str:
    """What a library said of a file, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return "".join(c if c.isprintable() else "?" for c in text)[:160]
