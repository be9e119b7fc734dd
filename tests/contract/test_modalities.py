"""Modalities keep the contract, whatever kind of file holds the picture; so would an outsider's."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.data.dataset import Item, Piece
from headstart.modalities.image.modality import IMAGE, ImageModality
from headstart.modalities.series.baselines import Whole
from headstart.modalities.series.modality import SERIES, SeriesModality
from headstart.modalities.series.values import packed
from headstart.modalities.text.baselines import Counts
from headstart.modalities.text.modality import TEXT, TextModality
from headstart.sources.card import ImageInput, SeriesInput, TextInput
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


class Undivided(ImageModality):
    """Takes an example for its only piece."""

    def pieces(self, item: Item, others: Sequence[Item], folder: Path) -> tuple[Item, tuple[Piece, ...]]:
        whole, parts = super().pieces(item, others, folder)
        return whole, parts[:1]


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
        (Undivided(), "none or several"),
        (replace(IMAGE, version=""), "needs a version"),
    ],
)
def test_check_modality_finds_what_is_wrong(broken: ImageModality, message: str, item: Item) -> None:
    with pytest.raises(AssertionError, match=message):
        check_modality(broken, item)


# Texts

TEXTS = (TextInput(tokenizer="", window=4, windows=2), TextInput(tokenizer="", window=16, windows=1, pad=3))


def spoken(text: str) -> Item:
    return Item("t.csv:1", Path("t.csv"), "key", text)


@pytest.mark.parametrize("text", ["A good film, and no more.", "gut", "word " * 2000, "\u200b"])
def test_texts_keep_the_contract(text: str) -> None:
    check_modality(TEXT, spoken(text), TEXTS)


class Shuffling(TextModality):
    """Says that it changes nothing, and turns texts round."""

    def augment(self, batch: torch.Tensor, seed: int) -> torch.Tensor:
        return batch.flip(1)


class Dropping(TextModality):
    """Says that it changes nothing, and now and then does."""

    def augment(self, batch: torch.Tensor, seed: int) -> torch.Tensor:
        return batch * (seed % 2)


class Short(TextModality):
    """Leaves empty positions out."""

    def prepare(self, item: Item, card_input: TextInput) -> Any:
        found = super().prepare(item, card_input)
        return found[found != card_input.pad]


class Broad(TextModality):
    """Gives another number of examples than was asked for to be timed."""

    def sample(self, items: Any, card_input: TextInput, count: int) -> Any:
        return super().sample(items, card_input, count + 1)


class Wider(Counts):
    """States more features than it gives."""

    @property
    def widths(self) -> dict[str, int]:
        return {"counts": 2048}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Shuffling(), "leave batches as they are where `changes` names nothing"),
        (Dropping(), "leave batches as they are where `changes` names nothing"),
        (replace(TEXT, changes="turns"), "must change something"),
        (Short(), r"must give \(8,\) for that input, got \(6,\)"),
        (Broad(), r"sample must give \(3, 8\) for three examples, got \(4, 8\)"),
        (replace(TEXT, baseline=Wider()), "the raw baseline must have the widths that it states"),
        (replace(TEXT, baseline=Counts(identity="")), "the raw baseline needs an identity"),
        (replace(TEXT, controls={"counts": Counts(name="")}), "what the control counts reads needs a name"),
    ],
)
def test_check_modality_finds_what_is_wrong_with_texts(broken: TextModality, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_modality(broken, spoken("six words, with one sign"), TEXTS)


# Series

SERIES_INPUTS = (
    SeriesInput(channels=2, length=16),
    SeriesInput(channels=2, length=64, scale="range", padding="before"),
    SeriesInput(channels=None, length=33, padding="none"),
    SeriesInput(channels=2, length=40),
)


def recorded(steps: int) -> Item:
    values = np.random.default_rng(0).normal(size=(2, steps)).astype(np.float32)
    return Item("a.ts:1", Path("a.ts"), "key", packed(values))


@pytest.mark.parametrize("steps", [2, 40, 3000])
def test_series_keep_the_contract(steps: int) -> None:
    check_modality(SERIES, recorded(steps), SERIES_INPUTS)


class Reversing(SeriesModality):
    """Says that it changes nothing, and turns series round."""

    def augment(self, batch: torch.Tensor, seed: int) -> torch.Tensor:
        return batch.flip(2)


class Cutting(SeriesModality):
    """Leaves padding out."""

    def prepare(self, item: Item, card_input: SeriesInput) -> Any:
        found = super().prepare(item, card_input)
        return found[:, ~np.isnan(found[0])]


class Gaps(Whole):
    """Hands padding on."""

    def tapper(self) -> Any:
        return lambda series: {"shape": series[:, :, 0], "values": series.flatten(1)}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Reversing(), "leave batches as they are where `changes` names nothing"),
        (Cutting(), r"must give \(2, 64\) for that input, got \(2, 20\)"),
        (replace(SERIES, version=""), "needs a version"),
        (replace(SERIES, baseline=Gaps()), "of the raw baseline must be finite"),
    ],
)
def test_check_modality_finds_what_is_wrong_with_series(broken: SeriesModality, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_modality(broken, recorded(20), SERIES_INPUTS)


def test_the_inputs_decide_what_is_checked(item: Item) -> None:
    with pytest.raises(AssertionError, match=r"must give \(40, 40, 3\)"):
        check_modality(_Fixed(), item, [ImageInput(size=32), ImageInput(size=40)])


class _Fixed(ImageModality):
    """Prepares for one size, whatever is asked for."""

    def prepare(self, item: Item, card_input: Any) -> Any:
        return super().prepare(item, card_input.model_copy(update={"size": 32}))
