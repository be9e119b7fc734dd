"""Occlusion: the part that decides is found, in pictures, texts, series and rows; the others stay at nothing."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.core.problem import Kind
from headstart.data.dataset import Item, Modality
from headstart.evaluation.occlusion import Occluded, log_odds, occlude
from headstart.modalities.image.modality import IMAGE
from headstart.modalities.image.prepare import open_rgb
from headstart.modalities.series.modality import SERIES
from headstart.modalities.series.values import packed, unpacked
from headstart.modalities.table.modality import TABLE
from headstart.modalities.text.modality import TEXT

SIDE = 70


def occluded(
    items: Sequence[Item],
    modality: Modality,
    share: Callable[[Item], float],
    folder: Path,
    others: Sequence[Item] = (),
    kind: Kind = "classification",
    seconds: float = 1000,
) -> tuple[Occluded, ...]:
    """By a model that states the share for its second class."""

    def stated(asked: Sequence[Item]) -> np.ndarray:
        p = np.array([share(item) for item in asked])
        return p[:, None] if kind == "regression" else np.stack([1 - p, p], axis=1)

    return occlude(items, others, modality, stated, lambda p: p.argmax(axis=1), folder, kind, seconds)


def said(content: str) -> Item:
    return Item("one", Path(), content[:20], content)


def test_the_corner_that_decides_is_found(tmp_path: Path) -> None:
    pixels = np.full((SIDE, SIDE, 3), 40, dtype=np.uint8)
    pixels[: SIDE // 7, -SIDE // 7 :] = 255
    Image.fromarray(pixels).save(tmp_path / "corner.png")
    item = Item("corner.png", tmp_path / "corner.png", "key")

    def bright(one: Item) -> float:
        return float(np.asarray(open_rgb(one.path))[: SIDE // 7, -SIDE // 7 :].mean() / 255)

    (found,) = occluded([item], IMAGE, bright, tmp_path / "scratch")
    assert len(found.parts) == 49
    assert found.code == 1
    best = int(found.falls.argmax())
    assert found.parts[best].name == "row 1, column 7"
    assert found.parts[best].span == pytest.approx((6 / 7, 0, 1, 1 / 7))
    assert found.falls[best] > 0.7
    assert np.abs(np.delete(found.falls, best)).max() < 1e-9
    assert len({part.without.key for part in found.parts}) == 49


def test_a_large_picture_is_made_smaller(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (500, 900, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    whole, parts = IMAGE.pieces(Item("large.png", tmp_path / "large.png", "key"), (), tmp_path)
    assert open_rgb(whole.path).size == (576, 320)
    assert open_rgb(parts[3].without.path).size == (576, 320)


def test_the_word_that_decides_is_found(tmp_path: Path) -> None:
    item = said("A film that is,  all in all,\n awful from its beginning")
    (found,) = occluded([item], TEXT, lambda one: 0.9 if "awful" in one.content else 0.2, tmp_path)
    falls = dict(zip((part.name for part in found.parts), found.falls, strict=True))
    assert falls.pop("awful") == pytest.approx(0.7)
    assert set(falls.values()) == {0.0}
    assert " ".join(part.name for part in found.parts) == " ".join(item.content.split())
    assert found.parts[7].without.content == "A film that is,  all in all, from its beginning"


def test_words_of_a_long_text_go_together() -> None:
    parts = TEXT.pieces(said(" ".join(f"w{i}" for i in range(500))), (), Path())[1]
    assert len(parts) == 40
    assert parts[0].name == "w0 w1 w2 w3"
    assert parts[-1].name == "w156 w157 w158 w159"


def test_the_window_that_decides_is_found(tmp_path: Path) -> None:
    values = np.zeros((2, 64), np.float32)
    values[1, 40:44] = 5.0
    values[0, 10] = np.nan
    item = said(packed(values))
    (found,) = occluded([item], SERIES, lambda one: float(np.nanmax(unpacked(one.content)) / 6), tmp_path)
    best = int(found.falls.argmax())
    assert (found.parts[best].name, found.parts[best].span) == ("steps 41 to 44", (40, 44))
    assert found.falls[best] > 0.8
    assert np.abs(np.delete(found.falls, best)).max() < 1e-6
    without = unpacked(found.parts[best].without.content)
    assert without.shape == values.shape
    assert np.isnan(without[0, 10])
    assert np.nanmax(without) == 0


def row(**cells: Any) -> Item:
    return said(json.dumps(cells))


def test_the_cell_that_decides_is_found(tmp_path: Path) -> None:
    others = [row(age=20, sex="f", city="A"), row(age=30, sex="f", city="B"), row(age=90, sex="m", city="A")]

    def old(one: Item) -> float:
        return json.loads(one.content)["age"] / 100

    (found,) = occluded([row(age=70, sex="m", city=None)], TABLE, old, tmp_path, others)
    assert [part.name for part in found.parts] == ["age 70", "sex m"]
    assert found.falls == pytest.approx([0.4, 0.0])  # down to the median
    assert json.loads(found.parts[1].without.content) == {"age": 70, "sex": "f", "city": None}


def test_numbers_fall_in_their_own_unit(tmp_path: Path) -> None:
    others = [row(age=50, sex="f")]
    item = row(age=70, sex="m")
    (found,) = occluded([item], TABLE, lambda one: json.loads(one.content)["age"], tmp_path, others, "regression")
    assert (found.code, found.stated) == (0, 70)
    assert found.falls.tolist() == [20, 0]
    assert found.odds.tolist() == [0, 0]


def test_as_many_as_there_is_time_for_and_none_of_one_part(tmp_path: Path) -> None:
    """A model that takes a second an example: the clock ends it, not an estimate made beforehand."""
    clock = 0.0
    asked: list[int] = []
    items = [said(" ".join(["word"] * count)) for count in (1, 2, 3, 20)]

    def stated(some: Sequence[Item]) -> np.ndarray:
        nonlocal clock
        asked.append(len(some))
        clock += len(some)
        return np.full((len(some), 2), 0.5)

    def run(seconds: float) -> list[int]:
        asked.clear()
        folder = tmp_path / str(seconds)
        found = occlude(
            items, (), TEXT, stated, lambda p: p.argmax(axis=1), folder, "classification", seconds, lambda: clock
        )
        return [len(one.parts) for one in found]

    assert run(28) == [2, 3, 20]
    assert run(27) == [2, 3]  # the long one would not be done in time: it is given up after the first few
    assert asked == [3, 4, 16]
    assert run(-1) == []
    assert asked == []


def test_odds_still_move_where_probabilities_do_not() -> None:
    rows = np.array([[1e-20, 1.0], [1e-10, 1.0], [0.5, 0.5]])
    assert log_odds(rows, 1, "classification") == pytest.approx([46.05, 23.03, 0], abs=0.01)
    assert log_odds(np.array([[0.9, 0.8]]), 1, "multi-label") == pytest.approx(np.log(0.8 / 0.2))
