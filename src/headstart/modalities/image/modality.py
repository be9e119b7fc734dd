"""Images: the functions that an image data set carries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from headstart.data.dataset import Item
from headstart.modalities.image import augment as augmentation
from headstart.modalities.image.baselines import RAW, RawPixels
from headstart.modalities.image.prepare import shared_rgb, square
from headstart.sources.card import ImageInput


@dataclass(frozen=True)
class ImageModality:
    """See `headstart.data.dataset.Modality`. The version is part of every cached feature's key."""

    name: str = "image"
    version: str = "1"
    baseline: RawPixels = RAW

    def prepare(self, item: Item, card_input: ImageInput) -> NDArray[np.uint8]:
        """(size, size, 3) uint8 RGB."""
        at_least = int(card_input.size / card_input.crop) + 1
        return square(shared_rgb(item.path, at_least), card_input)

    def augment(self, batch: Tensor, seed: int) -> Tensor:
        """A changed copy of a prepared batch."""
        return augmentation.augment(batch, seed)


IMAGE = ImageModality()
