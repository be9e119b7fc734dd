"""The doctor: a card that is true stands, a wrong range or order is found, noise is not."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.modalities.image.read import read
from headstart.selection.doctor import CARD, Finding, examine, verdict
from headstart.sources.card import Architecture, ImageInput, Licence
from headstart.sources.describe import describe
from headstart.sources.source import Source

SIDE = 64


class Narrow(nn.Module):
    """Sees only -1..1, and weighs the channels differently: fed another range it is all but blind."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 5, stride=4)
        self.last = nn.Conv2d(8, 6, 1)
        self.fc = nn.Identity()

    def forward(self, planes: Tensor) -> Tensor:
        maps = self.conv(planes.clamp(-1, 1)).tanh()
        return self.fc(self.last(maps).tanh().amax(dim=(2, 3)))

    def get_classifier(self) -> nn.Module:
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        self.fc = nn.Identity()

    def group_matcher(self, coarse: bool = True) -> dict[str, str]:
        return {"stem": r"^conv", "blocks": r"^last"}


def narrow(**wrong: object) -> Source:
    """The net whose card says -1..1, or something else."""
    taken = ImageInput.model_validate({"size": SIDE, "crop": 1.0, "mean": (0.5,) * 3, "std": (0.5,) * 3} | wrong)
    card = describe(
        Narrow().eval(), name="test:narrow", architecture=Architecture(name="narrow"), taken=taken,
        licence=Licence(name="MIT", commercial=True), trained_on=None,
    )  # fmt: skip
    torch.manual_seed(0)
    return Source(card, Narrow().eval())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Stripes of two brightnesses; the difference lies within what the net can see."""
    root, rng = tmp_path_factory.mktemp("doctor"), np.random.default_rng(0)
    for label, shift in (("dim", -14), ("bright", 14)):
        (root / label).mkdir()
        for at in range(60):
            stripes = 128 + shift + 60 * np.sin(np.arange(SIDE) * rng.uniform(0.3, 1.2))[None, :, None]
            noisy = stripes + rng.normal(0, 12, (SIDE, SIDE, 3))
            Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(root / label / f"{at}.png")
    return read(root, store=Store())


def examined(source: Source, data: Dataset) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(source, data, Store(), Silent())}


def test_a_true_card_stands(pictures: Dataset) -> None:
    found = examined(narrow(), pictures)
    assert next(iter(found)) == CARD
    assert found["range 0..255"].accuracy < found[CARD].accuracy - 0.1
    assert not any(finding.better for finding in found.values())
    assert verdict("test:narrow", tuple(found.values())).endswith("beats it by more than noise.")


def test_a_wrong_range_is_found_and_the_right_one_named(pictures: Dataset) -> None:
    found = examined(narrow(mean=(0.0,) * 3, std=(1 / 255,) * 3), pictures)
    assert found["range -1..1"].better
    assert found["range -1..1"].gain.low > 0
    said = verdict("test:narrow", tuple(found.values()))
    assert said.startswith("The preprocessing of test:narrow is probably wrong: ")
    assert "points [" in said


def test_each_picture_is_decoded_once_a_size(pictures: Dataset) -> None:
    store = Store()
    examine(narrow(), pictures, store, Silent())
    assert store.counters["decoded"] == 3 * len(pictures)  # 64, 48 and 80 pixels a side


def test_one_example_a_class_cannot_be_examined(pictures: Dataset) -> None:
    few = pictures.take(np.array([0, 60]))
    with pytest.raises(UserError, match="at least two classes, one with two examples"):
        examine(narrow(), few, Store(), Silent())
