"""Images: the functions that an image data set carries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from headstart.core.predictions import Floats
from headstart.data.dataset import Item, Piece, UnreadableError
from headstart.modalities.image import augment as augmentation
from headstart.modalities.image.baselines import RAW, SIDE, RawPixels
from headstart.modalities.image.files import DAMAGE, why
from headstart.modalities.image.mirror import TOLD, told_apart
from headstart.modalities.image.occlude import patches
from headstart.modalities.image.prepare import shared_rgb, square
from headstart.sources.card import ImageInput
from headstart.sources.front import noise


@dataclass(frozen=True)
class ImageModality:
    """See `headstart.data.dataset.Modality`. The version is part of every cached feature's key."""

    name: str = "image"
    version: str = "1"
    copied: bool = True
    baseline: RawPixels = RAW
    controls: Mapping[str, RawPixels] = field(default_factory=dict)
    untrained: tuple[str, str] = ("random:resnet10t@96", "random:test_resnet@64")  # cheap, at a cheap size
    mirror: bool = True

    @property
    def changes(self) -> str:
        """What `augment` may do."""
        return "mirror, shift, zoom, light" if self.mirror else "shift, zoom, light"

    def fitting(self, sources: Sequence[str]) -> tuple[str, ...]:
        """As they are: pictures are read in colour."""
        return tuple(sources)

    def suited(self, raw: Floats) -> tuple["ImageModality", tuple[str, ...]]:
        """Without mirroring, where pictures can be told from their mirror images."""
        told = told_apart(raw.reshape(len(raw), SIDE, SIDE, -1))
        if told < TOLD:
            return self, ()
        said = f"training pictures are not mirrored: {told:.0%} can be told from their mirror images"
        return replace(self, mirror=False), (said,)

    def prepare(self, item: Item, card_input: ImageInput) -> NDArray[np.uint8]:
        """(size, size, 3) uint8 RGB.

        Raises:
            UnreadableError: the file is damaged, or has gone.
        """
        at_least = int(card_input.size / card_input.crop) + 1
        try:
            return square(shared_rgb(item.path, at_least), card_input)
        except DAMAGE as error:
            raise UnreadableError(item.name, why(error)) from None

    def sample(self, items: Sequence[Item], card_input: ImageInput, count: int) -> NDArray[np.uint8]:  # noqa: ARG002
        """Noise: a net takes as long for that, and nothing need be decoded."""
        return noise(card_input, count).numpy()

    def size(self, item: Item) -> int:  # noqa: ARG002 - a picture is as much work as any other
        """All alike."""
        return 1

    def caveats(self, items: Sequence[Item], card_input: ImageInput) -> tuple[str, ...]:  # noqa: ARG002
        """None."""
        return ()

    def augment(self, batch: Tensor, seed: int) -> Tensor:
        """A changed copy of a prepared batch."""
        return augmentation.augment(batch, seed, mirror=self.mirror)

    def pieces(self, item: Item, others: Sequence[Item], folder: Path) -> tuple[Item, tuple[Piece, ...]]:  # noqa: ARG002
        """Patches of a grid."""
        return patches(item, folder)


IMAGE = ImageModality()
