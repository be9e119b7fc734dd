"""The user's own sources, by name: weights that were checked once and copied into the cache. Loads no framework.

One small file an entry, under `added/` in the cache, its weights beside it: several processes may add at once, and none
can lose another's; clearing the cache leaves both.
"""

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from headstart.core.errors import UserError, unknown_name
from headstart.data.place import cache_root

FOLDER = "added"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Added(BaseModel):
    """An entry.

    Attributes:
        name: the source is `file:NAME`.
        file: of the weights, in the cache's folder of weights: their sha256 and the ending.
        sha256: of that file.
        architecture: timm's name.
        licence: as the user stated it; None when it is not known.
        trained_on: the source task; None when it is not known.
        n: how many examples that had.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    file: str
    sha256: str
    architecture: str
    licence: str | None = None
    trained_on: str | None = None
    n: int | None = None

    @property
    def path(self) -> Path:
        """Where the weights lie."""
        return cache_root() / FOLDER / self.file


def entries() -> tuple[Added, ...]:
    """Everything that was added, by name; `entry` says what is wrong with one that is damaged, and not in here."""
    found: list[Added] = []
    for path in sorted((cache_root() / FOLDER).glob("*.json")):
        with suppress(UserError):
            found.append(_read(path))
    return tuple(found)


def entry(name: str) -> Added:
    """One entry.

    Raises:
        UserError: nothing was added under that name; near ones are offered.
    """
    path = _place(name)
    if not path.is_file():
        raise unknown_name("source that was added, or file:ARCH@PATH", name, [f"{e.name}" for e in entries()])
    return _read(path)


def check_name(name: str) -> None:
    """Refuse a name that could not be told from a path or an architecture.

    Raises:
        UserError: letters, digits, dots, dashes and underscores only.
    """
    if not NAME.fullmatch(name):
        raise UserError("a name of letters, digits, '.', '_' and '-'", repr(name), "Choose another with --name.")


def put(path: Path, new: Added) -> Added:
    """Copy a file that was checked into the cache, then make its entry; both appear whole.

    Args:
        path: the file to copy.
        new: its entry.

    Raises:
        UserError: other weights have that name.
    """
    place = _place(new.name)
    if place.is_file() and _read(place).sha256 != new.sha256:
        do = "Choose another with --name, or remove that one first."
        raise UserError("a name that is not taken", f"{new.name}, which other weights have", do)
    new.path.parent.mkdir(parents=True, exist_ok=True)
    aside = new.path.with_name(f".{new.file}.{os.getpid()}")
    shutil.copyfile(path, aside)
    aside.replace(new.path)
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f".{place.stem}.{os.getpid()}")
    aside.write_text(new.model_dump_json(indent=2), encoding="utf-8")
    aside.replace(place)
    return new


def _place(name: str) -> Path:
    check_name(name)
    return cache_root() / FOLDER / f"{name}.json"


def _read(path: Path) -> Added:
    try:
        found = Added.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        said = str(error).splitlines()[0]
        raise UserError(
            "an entry of an added source", f"{path} ({said})", "Remove it, and add the file again."
        ) from None
    if Path(found.file).name != found.file or found.name != path.stem:
        raise UserError("an entry of an added source", f"{path}, which names another file", "Remove it, and add again.")
    return found
