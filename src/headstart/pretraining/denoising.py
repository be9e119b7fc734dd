"""A small net for pictures learns to paint what was covered (denoising auto-encoder, Vincent et al. 2008).

Squares are covered, not single pixels, which their neighbours would give away (Pathak et al. 2016, arXiv 1604.07379).
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.core.errors import UserError
from headstart.core.problem import Task
from headstart.core.progress import Silent
from headstart.core.record import SkippedFile
from headstart.data.dataset import Dataset, Item
from headstart.data.folders import PARTS, below
from headstart.data.store import Store
from headstart.features.prepared import Prepared
from headstart.modalities.image.files import verify
from headstart.modalities.image.modality import IMAGE
from headstart.nets.picture_cnn import STRIDE, Painter, PictureCnn
from headstart.pretraining.objective import OWN, Asked
from headstart.sources.card import Architecture, Card, ImageInput, TrainedOn
from headstart.sources.describe import describe
from headstart.sources.front import front

VERSION = "1"
BUILDER = "picture-cnn"
BATCH = 64
COVERED, CELL = 0.5, 4  # share of a picture, in squares of so many pixels a side
NOISE = 0.1  # deviation, of values whose own is about one
RATE = 2e-3
HALF = (0.5, 0.5, 0.5)
FEW = 10  # pictures; fewer are a mistake


class Denoiser(nn.Module):
    """The net that is kept, and what paints pictures from its last maps."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = PictureCnn()
        self.painter = Painter()

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 3, H, W) -> (n, 3, H, W)."""
        return self.painter(self.encoder.blocks(pictures))


@dataclass(frozen=True)
class Denoising:
    """See `headstart.pretraining.objective.Objective`.

    Attributes:
        pictures: that are learned from.
        called: the files and folders that they lie in.
        taken: how they are prepared.
        prepared: where they are.
        net: encoder and painter.
        seed: of what each step shows and covers.
    """

    pictures: Dataset
    called: tuple[str, ...]
    taken: ImageInput
    prepared: Prepared
    net: Denoiser
    seed: int
    rate: float = RATE

    @cached_property
    def identity(self) -> str:
        """sha256 of version, seed, size and every picture's content."""
        digest = hashlib.sha256(f"{VERSION} {self.seed} {self.taken.size} {BATCH} {COVERED} {CELL}".encode())
        for key in self.pictures.keys:
            digest.update(key.encode())
        return digest.hexdigest()

    def facts(self) -> Mapping[str, Any]:
        """Names and numbers."""
        return {"data": list(self.called), "pictures": len(self.pictures), "size": self.taken.size}

    def loss(self, step: int) -> Tensor:
        """Mean squared error of the whole picture."""
        whole = self.batch(step)
        return functional.mse_loss(self.net(covered(whole, np.random.default_rng([self.seed, step, 1]))), whole)

    def batch(self, step: int) -> Tensor:
        """(b, 3, H, W) normalised pictures; every one comes once before any comes again."""
        count = len(self.pictures)
        at = np.arange(step * BATCH, step * BATCH + min(BATCH, count))
        turns = {int(turn) for turn in at // count}
        orders = {turn: np.random.default_rng([self.seed, turn]).permutation(count).tolist() for turn in turns}
        keys = [self.pictures.items[orders[one // count][one % count]].key for one in at.tolist()]
        return front(self.taken)(self.prepared.batch(keys)).given

    def encoder(self) -> tuple[nn.Module, Callable[[str, str], Card]]:
        """The net without the painter."""
        model = self.net.encoder.eval()
        trained = TrainedOn(name=", ".join(self.called), n=len(self.pictures), kind="image")

        def card(name: str, sha256: str) -> Card:
            return describe(
                model, name=name, architecture=Architecture(name=BUILDER, builder=BUILDER),
                taken=self.taken, licence=OWN, trained_on=trained, sha256=sha256,
            )  # fmt: skip

        return model, card


def covered(whole: Tensor, draw: np.random.Generator) -> Tensor:
    """(b, 3, H, W) pictures with noise on them, and about half of their squares grey."""
    cells = whole.shape[2] // CELL
    shown = torch.from_numpy((draw.random((len(whole), 1, cells, cells)) >= COVERED).astype(np.float32))
    noise = torch.from_numpy(draw.normal(0, NOISE, tuple(whole.shape)).astype(np.float32))
    return (whole + noise) * functional.interpolate(shown, scale_factor=CELL)


def denoising(asked: Asked) -> Denoising:
    """Read what is learned from; files that are no pictures are left out.

    Raises:
        UserError: too few pictures, or a size that the net does not take.
    """
    if asked.size % STRIDE or asked.size < STRIDE:
        near = max(asked.size // STRIDE, 1) * STRIDE
        raise UserError(f"--size divisible by {STRIDE}", str(asked.size), f"Choose {near}.")
    store, files = Store(), [file for path in asked.data for file in _files(path)]
    opened = verify([(str(file), file) for file in files], store, Silent())
    found = [one for one in opened if isinstance(one, Item)]
    if len(found) < FEW:
        why = next((f" ({one.name}: {one.why})" for one in opened if isinstance(one, SkippedFile)), "")
        raise UserError(f"at least {FEW} pictures to learn from", f"{len(found)}{why}", "Name folders of pictures.")
    targets = np.full(len(found), -1)
    data = Dataset("", tuple(found), targets, np.arange(len(found)), Task("none", "classification", ()), IMAGE)
    taken = ImageInput(size=asked.size, crop=1.0, interpolation="bilinear", mean=HALF, std=HALF)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(asked.seed)
        net = Denoiser()
    names = tuple(Path(path).name for path in asked.data)
    return Denoising(data, names, taken, Prepared(data, taken, store), net, asked.seed)


def _files(path: Path) -> list[Path]:
    """All files of a folder but those of its test part."""
    if not path.is_dir():
        return [path]
    tested = [folder for folder in path.iterdir() if PARTS.get(folder.name.casefold()) == "test"]
    return [file for file in below(path) if not any(file.is_relative_to(folder) for folder in tested)]
