"""Arrays, tensors, pictures of PIL and lists of them -> columns of a table."""

import io
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headstart.core.errors import UserError

PICTURES = "pictures"
ENDINGS = ((b"\x89PNG", ".png"), (b"\xff\xd8", ".jpg"))  # others are known by their content as well
IN_PNG = ("1", "P", "LA", "RGBA", "I", "I;16")  # modes of PIL, beside L and RGB

Encode = Callable[[np.ndarray], bytes]
"""(H, W) or (H, W, 3) uint8 -> a picture file."""


def kept(content: bytes, folder: Path) -> str:
    """The name of a picture file below the folder, by its content; written once."""
    ending = next((ending for mark, ending in ENDINGS if content.startswith(mark)), "")
    name = f"{PICTURES}/{sha256(content).hexdigest()}{ending}"
    path = folder / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        aside.write_bytes(content)
        aside.replace(path)
    return name


def array(given: Any) -> np.ndarray:
    """What NumPy makes of it; pictures of PIL, unequal arrays and strings with gaps stay n objects."""
    if not isinstance(given, list | tuple):
        return _bare(given)
    cells = [_bare(cell) if is_a(cell, "torch", "Tensor") else cell for cell in given]
    if any(is_a(cell, "PIL", "Image") for cell in cells):
        return _objects(cells)
    try:
        found = np.asarray(cells)
    except ValueError:  # of unequal shapes
        return _objects(cells)
    if found.dtype.kind == "U" and found.ndim == 1:  # NumPy would write NaN among strings as "nan"
        return _objects([None if missing(cell) else str(cell) for cell in cells])
    return found


def answers(given: Any) -> np.ndarray:
    """The same of targets: a list of lists are n lists of labels, whatever their lengths."""
    several = (list, tuple, set, frozenset)
    if isinstance(given, list | tuple) and any(isinstance(one, several) for one in given):
        return _objects([list(one) if isinstance(one, several) else one for one in given])
    return array(given)


def _bare(given: Any) -> np.ndarray:
    """An array; a tensor's values, wherever they lie and whatever learns from them."""
    try:
        return np.asarray(given.detach().cpu() if is_a(given, "torch", "Tensor") else given)
    except (TypeError, ValueError, RuntimeError) as error:
        said = str(error).splitlines()[0]
        raise UserError("what NumPy can read", f"a {type(given).__name__} ({said})", "Make an array of it.") from None


def _objects(cells: list[Any]) -> np.ndarray:
    found = np.empty(len(cells), dtype=object)
    for at, cell in enumerate(cells):
        found[at] = cell
    return found


def is_a(given: Any, package: str, name: str) -> bool:
    """Whether it is such an object; the package is not imported to ask."""
    return any((kind.__module__.partition(".")[0], kind.__name__) == (package, name) for kind in type(given).__mro__)


def missing(cell: Any) -> bool:
    """None, NaN, or what pandas has for them."""
    number = isinstance(cell, float | np.floating) and bool(np.isnan(cell))
    return cell is None or number or type(cell).__name__ in ("NAType", "NaTType")


def columns(examples: np.ndarray, folder: Path, encode: Encode) -> dict[str, Any]:
    """Examples by column, one a row.

    Args:
        examples: (n,) strings, paths or pictures; (n, H, W[, 3]) uint8; (n, C, T) series; (n, D) rows.
        folder: for what is written.
        encode: how arrays become pictures.

    Raises:
        UserError: they are something else.
    """
    if examples.ndim == 1 and examples.dtype.kind in "UO":
        return _one_by_one([None if missing(one) else one for one in examples], folder, encode)
    if shows(examples[0]):
        return {"picture": [kept(encode(one), folder) for one in examples]}
    if examples.dtype.kind not in "fiub" or examples.ndim not in (2, 3):
        raise strange(f"an array of shape {examples.shape} and type {examples.dtype}")
    if examples.ndim == 2:
        return {f"x{at}": column for at, column in enumerate(examples.T)}
    return {f"channel {at}": list(examples[:, at]) for at in range(examples.shape[1])}


def _one_by_one(cells: list[Any], folder: Path, encode: Encode) -> dict[str, Any]:
    """Texts or paths, pictures of any sizes, None where there is none; or series (C, T) of any lengths."""
    if all(one is None or isinstance(one, str | Path) for one in cells):
        return {"example": pa.array([None if one is None else str(one) for one in cells], pa.string())}
    if all(isinstance(one, np.ndarray) and one.ndim == 2 and one.dtype.kind in "fi" for one in cells) and (
        len({len(one) for one in cells}) == 1
    ):
        return {f"channel {at}": [one[at] for one in cells] for at in range(len(cells[0]))}
    if odd := [one for one in cells if not (one is None or is_a(one, "PIL", "Image") or shows(one))]:
        about = f" of shape {odd[0].shape} and type {odd[0].dtype}" if isinstance(odd[0], np.ndarray) else ""
        raise strange(f"a {type(odd[0]).__name__}{about} among them")
    return {"picture": [None if one is None else kept(_drawn(one, encode), folder) for one in cells]}


def shows(one: Any) -> bool:
    """Whether it is (H, W) or (H, W, 3) uint8."""
    if not isinstance(one, np.ndarray) or one.dtype != np.uint8:
        return False
    return one.ndim == 2 or (one.ndim == 3 and one.shape[2] == 3)


def _drawn(one: Any, encode: Encode) -> bytes:
    """A picture file; PIL's own writes what is more than (H, W) or (H, W, 3) uint8, as palettes and alpha are."""
    if isinstance(one, np.ndarray) or one.mode in ("L", "RGB"):
        return encode(np.asarray(one))
    out = io.BytesIO()
    (one if one.mode in IN_PNG else one.convert("RGB")).save(out, "PNG")
    return out.getvalue()


def strange(came: str) -> UserError:
    """What examples may be, where something else came."""
    do = "Strings; uint8 (n, H, W, 3) pictures; (n, C, T), or a list of (C, T), series; (n, D) rows of a table."
    return UserError("an array of examples", came, do)
