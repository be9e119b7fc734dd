"""The raw input as a source of features: what a model sees without any transfer."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from headstart.sources.card import ImageInput

SIDE = 32
INPUT = ImageInput(size=SIDE, crop=1.0, interpolation="bilinear")


@dataclass(frozen=True)
class RawPixels:
    """Pictures at 32 x 32, flattened: one stage, "pixels"."""

    name: str = "raw"
    identity: str = "raw-pixels-1"
    input: ImageInput = INPUT

    @property
    def widths(self) -> dict[str, int]:
        """One number a pixel and channel."""
        return {"pixels": SIDE * SIDE * INPUT.channels}

    def tapper(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """(n, 32, 32, 3) uint8 -> (n, 3072) in 0..1."""
        return _flat


def _flat(pixels: Tensor) -> dict[str, Tensor]:
    return {"pixels": pixels.flatten(1).to(torch.float32) / 255}


RAW = RawPixels()
