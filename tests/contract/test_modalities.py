"""The modality keeps the contract, whatever kind of file holds the picture; so would an outsider's."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.data.dataset import Item
from headstart.modalities.image.modality import IMAGE, ImageModality
from headstart.testing import check_modality


@pytest.fixture
def item(tmp_path: Path) -> Item:
    return saved(tmp_path / "noise.png", "RGB")


def saved(path: Path, mode: str) -> Item:
    values = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(values).convert(mode).save(path)
    return Item(path.name, path, "key")


@pytest.mark.parametrize(("mode", "ending"), [("RGB", "png"), ("L", "png"), ("P", "gif"), ("CMYK", "jpg")])
def test_images_keep_the_contract(mode: str, ending: str, tmp_path: Path) -> None:
    check_modality(IMAGE, saved(tmp_path / f"noise.{ending}", mode))


class Restless(ImageModality):
    """Augments without regard to the seed."""

    def augment(self, batch: torch.Tensor, seed: int) -> torch.Tensor:
        return super().augment(batch, int(torch.randint(0, 2**31, ())))


class Still(ImageModality):
    """Augments nothing."""

    def augment(self, batch: torch.Tensor, seed: int) -> torch.Tensor:
        return batch.clone()


class Scribbling(ImageModality):
    """Augments its argument in place."""

    def augment(self, batch: torch.Tensor, seed: int) -> torch.Tensor:
        return batch.copy_(super().augment(batch, seed))


class Forgetful(ImageModality):
    """Prepares for another input than the one asked for."""

    def prepare(self, item: Item, card_input: Any) -> Any:
        return super().prepare(item, card_input.model_copy(update={"size": 40}))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Restless(), "same change for the same seed"),
        (Still(), "must change something"),
        (Scribbling(), "leave its batch alone"),
        (Forgetful(), r"must give \(32, 32, 3\)"),
        (replace(IMAGE, version=""), "needs a version"),
    ],
)
def test_check_modality_finds_what_is_wrong(broken: ImageModality, message: str, item: Item) -> None:
    with pytest.raises(AssertionError, match=message):
        check_modality(broken, item)
