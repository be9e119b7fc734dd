"""One member out of a zip or a tar, by its exact name, after the hash of the whole archive was checked.

Nothing is ever written: the archive's own paths are names to compare with, not places. Sizes are limited as stated and
as they turn out; links, devices and encrypted members are refused.
"""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from headstart.core.errors import UserError, did_you_mean
from headstart.sources.formats.checks import said, sha256, shown

LARGEST = 500_000_000  # bytes of a member; weights in packages are far smaller
WHOLE = 4  # a compressed tar may hold so many times the largest member
STEP = 1 << 20
OPENERS: dict[bytes, Callable[[Path], Any]] = {  # by the first bytes of the file
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError,
    RuntimeError, ValueError,
)  # fmt: skip


def member(path: Path, name: str, *, wanted: str, largest: int = LARGEST) -> bytes:
    """The bytes of one member.

    Args:
        path: of the archive: zip (a wheel is one), tar, or tar compressed by gzip, bzip2 or xz.
        name: of the member, exactly as the archive has it.
        wanted: sha256 of the whole archive, in hexadecimal.
        largest: bytes that the member may have.

    Raises:
        UserError: another archive than the one that was verified, a damaged one, no such member, or one that is not a
            plain file within the limit.
    """
    found = sha256(_file(path))
    if found != wanted.lower():
        do = "The archive is not the one that was verified; it was not opened."
        raise UserError(f"{path.name} with sha256 {wanted}", found, do)
    _check_name(path, name)
    take = _from_zip if zipfile.is_zipfile(path) else _from_tar
    try:
        data = take(path, name, largest)
    except UserError:
        raise
    except DAMAGED as error:
        raise UserError("a whole zip or tar", f"{path}: damaged ({said(error)})", "Download it again.") from None
    if len(data) > largest:
        raise _too_large(path, name, largest)
    return data


def _file(path: Path) -> Path:
    if not path.is_file():
        raise UserError("an archive", f"{path}: {'a folder' if path.is_dir() else 'nothing there'}", "Name the file.")
    return path


def _check_name(path: Path, name: str) -> None:
    """A member's name stays within its archive."""
    inside = PurePosixPath(name)
    outside = inside.is_absolute() or PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts
    if not name or outside or ".." in inside.parts:
        do = "It was not opened; do not use this archive."
        raise UserError(f"a member inside {path.name}", f"{shown(name)}, which leads out of it", do)


def _from_zip(path: Path, name: str, largest: int) -> bytes:
    with zipfile.ZipFile(path) as archive:
        every = archive.infolist()
        info = _only(path, name, [one.filename for one in every], every)
        mode = info.external_attr >> 16
        if info.is_dir() or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)) or info.flag_bits & 1:
            raise _not_plain(path, name)
        if info.file_size > largest:
            raise _too_large(path, name, largest)
        with archive.open(info) as file:
            return file.read(largest + 1)


def _from_tar(path: Path, name: str, largest: int) -> bytes:
    with path.open("rb") as file:
        start = file.read(8)
    opener = next((opener for mark, opener in OPENERS.items() if start.startswith(mark)), None)
    if opener is not None:
        _check_whole(path, opener, WHOLE * largest)
    with (opener or io.FileIO)(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        every = archive.getmembers()
        info = _only(path, name, [one.name for one in every], every)
        if not info.isreg() or info.issparse():
            raise _not_plain(path, name)
        if info.size > largest:
            raise _too_large(path, name, largest)
        file = archive.extractfile(info)
        return b"" if file is None else file.read(largest + 1)


def _check_whole(path: Path, opener: Callable[[Path], Any], most: int) -> None:
    """Read a compressed tar once, keeping nothing: it may be a thousand times its size."""
    total = 0
    with opener(path) as stream:
        while step := stream.read(STEP):
            total += len(step)
            if total > most:
                came = f"{path}: more when it is unpacked"
                raise UserError(f"an archive of at most {most:,} bytes", came, "It was not used; do not use it.")


def _only(path: Path, name: str, names: list[str], every: list[Any]) -> Any:
    at = [i for i, one in enumerate(names) if one == name]
    if not at:
        raise UserError(f"{shown(name)} in {path.name}", "no such member", did_you_mean(name, map(shown, names)))
    if len(at) > 1:
        do = "It was not opened; do not use this archive."
        raise UserError(f"one {shown(name)} in {path.name}", f"{len(at)} members of that name", do)
    return every[at[0]]


def _not_plain(path: Path, name: str) -> UserError:
    came = f"{shown(name)}, which is a link, a folder or encrypted"
    return UserError(f"a plain file in {path.name}", came, "It was not opened; do not use this archive.")


def _too_large(path: Path, name: str, largest: int) -> UserError:
    came = f"{shown(name)} with more"
    return UserError(f"a member of at most {largest:,} bytes in {path.name}", came, "It was not read; do not use it.")
