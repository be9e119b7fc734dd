"""Picture files: which can be read, and why the others cannot. Verified once, by decoding; remembered by content."""

import hashlib
import warnings
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
IGNORED = {".ds_store", "thumbs.db", "desktop.ini"}
THREADS = 2


def hidden(path: Path) -> bool:
    """Files that systems leave in folders: not worth a word."""
    return path.name.startswith(".") or path.name.casefold() in IGNORED


def verify(
    named: Sequence[tuple[str, Path]], store: Store | None, progress: Progress
) -> tuple[dict[str, Item], tuple[SkippedFile, ...]]:
    """Items by name for the files that decode, and the others with their reasons.

    Args:
        named: (name for people, path).
        store: remembers what was verified, so that the same content is never decoded for this again.
        progress: shows the pass.
    """
    notes = None if store is None else store.notes("image-files-1")
    items: dict[str, Item] = {}
    skipped: list[SkippedFile] = []
    learned: dict[str, str] = {}

    def look(entry: tuple[str, Path]) -> tuple[str, Path, str, str]:
        name, path = entry
        try:
            content = path.read_bytes()
        except OSError as error:
            return name, path, "", f"cannot be read ({error.strerror})"
        key = hashlib.sha256(content).hexdigest()
        known = None if notes is None else notes.get(key)
        if known is None:
            known = learned[key] = state(path) if content else "empty"
            if content and store is not None:
                store.counters["decoded"] += 1
        return name, path, key, known

    with progress.step("reading", len(named)) as step, ThreadPoolExecutor(THREADS) as pool:
        for name, path, key, said in pool.map(look, named):
            if said == GOOD:
                items[name] = Item(name, path, key)
            else:
                skipped.append(SkippedFile(name=name, why=said))
            step.advance()
    if notes is not None:
        notes.put(learned)
    return items, tuple(skipped)


def state(path: Path) -> str:
    """`GOOD`, or why a picture cannot be used."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                width, height = file.size
            if width * height > LARGEST:
                return f"too large ({width} x {height} pixels)"
            open_rgb(path)
    except UnidentifiedImageError:
        return "not a picture"
    except Image.DecompressionBombError:
        return "too large (more pixels than is safe)"
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        return f"damaged ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
    return GOOD
