"""Picture files: which can be read, and why the others cannot. Verified once, by decoding; remembered by content."""

import hashlib
import struct
import warnings
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from headstart.core.progress import Progress
from headstart.core.record import SkippedFile
from headstart.data.dataset import Item
from headstart.data.store import Store
from headstart.modalities.image.prepare import open_rgb

LARGEST = 178_000_000  # pixels; a picture that claims more is not decoded
GOOD = "good"
THREADS = 2
KEPT_EVERY = 2000  # files after which what was learned is written down, so that a kill does not lose it all
NOTHING = "empty"
GONE = (OSError, ValueError)  # ValueError: a NUL in a table's path
# What decoders raise on damaged content.
DAMAGE = (
    OSError,
    Image.DecompressionBombError,
    ValueError,
    SyntaxError,
    EOFError,
    MemoryError,
    LookupError,
    TypeError,
    ArithmeticError,
    struct.error,
    zlib.error,
)


def verify(
    named: Sequence[tuple[str, Path]], store: Store | None, progress: Progress
) -> tuple[Item | SkippedFile, ...]:
    """For every file an item if it decodes, else the reason why it is left out; in order.

    Args:
        named: (name for people, path).
        store: remembers what was verified, so that the same content is never decoded for this again.
        progress: shows the pass.
    """
    notes = None if store is None else store.notes("image-files-1")
    learned: dict[str, str] = {}
    found: list[Item | SkippedFile] = []

    def look(path: Path) -> tuple[str, str, bool]:
        try:
            key = content_key(path)
        except GONE as error:
            return "", _gone(error), False
        known = learned.get(key) if notes is None else learned.get(key) or notes.get(key)
        return key, known or state(path), known is None

    with (
        warnings.catch_warnings(),  # around the threads, not in them: filters are shared
        progress.step("reading", len(named)) as step,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        warnings.simplefilter("ignore")  # decoders warn of odd metadata; what matters is whether the picture comes out
        for (name, path), (key, said, decoded) in zip(named, pool.map(look, (p for _, p in named)), strict=True):
            found.append(Item(name, path, key) if said == GOOD else SkippedFile(name=name, why=said))
            if decoded:
                learned[key] = said
                if store is not None:
                    store.counters["decoded"] += 1
            if notes is not None and len(learned) >= KEPT_EVERY:
                notes.put(learned)
                learned = {}
            step.advance()
    if notes is not None:
        notes.put(learned)
    return tuple(found)


def unverified(path: Path, name: str) -> Item | SkippedFile:
    """A file that is looked at once: whether it decodes shows when it is prepared."""
    try:
        if path.stat().st_size == 0:
            return SkippedFile(name=name, why=NOTHING)
        return Item(name, path, content_key(path))
    except GONE as error:
        return SkippedFile(name=name, why=_gone(error))


def _gone(error: Exception) -> str:
    return f"cannot be read ({getattr(error, 'strerror', None) or error})"


def content_key(path: Path) -> str:
    """sha256 of the file's bytes, read in pieces.

    >>> import tempfile; file = Path(tempfile.mkdtemp()) / "empty"
    >>> _ = file.write_bytes(b""); content_key(file)[:12]
    'e3b0c44298fc'
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state(path: Path) -> str:
    """`GOOD`, or why a picture cannot be used. The size is judged by the header, before anything is decoded."""
    try:
        if path.stat().st_size == 0:
            return NOTHING
        with Image.open(path) as file:
            width, height = file.size
        if width * height > LARGEST:
            return f"too large ({width} x {height} pixels)"
        open_rgb(path)
    except DAMAGE as error:
        return why(error)
    return GOOD


def why(error: Exception) -> str:
    """Why a picture cannot be used, from what its decoder raised."""
    if isinstance(error, UnidentifiedImageError):
        return "not a picture"
    if isinstance(error, Image.DecompressionBombError):
        return f"too large (more than {LARGEST:,} pixels)"
    return f"damaged ({(str(error).splitlines() or [type(error).__name__])[0]})"
