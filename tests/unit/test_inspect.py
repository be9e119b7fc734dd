"""Near-duplicates are found, chains are not made, small and uneven classes are named."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.core.problem import Task
from headstart.data.dataset import Dataset, Item
from headstart.data.inspect import class_warnings, near_duplicates
from headstart.modalities.image.modality import IMAGE


def _photo(seed: int, side: int = 96) -> Image.Image:
    """A smooth picture with structure of its own."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (7, 7, 3), dtype=np.uint8))
    return small.resize((side, side), Image.Resampling.BICUBIC)


def _jpeg(image: Image.Image) -> Image.Image:
    held = io.BytesIO()
    image.save(held, "JPEG", quality=60)
    return Image.open(held)


COPIES = {
    "re-encoded": _jpeg,
    "resized": lambda image: image.resize((77, 77), Image.Resampling.BICUBIC),
    "cropped": lambda image: image.crop((1, 1, image.width - 1, image.height - 1)),
}


def _raw(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR), np.float32).ravel() / 255


def _seen(image: Image.Image) -> np.ndarray:
    """Stands for a source's features: means of patches, rectified."""
    values = np.asarray(image.convert("RGB").resize((16, 16), Image.Resampling.BILINEAR), np.float32).ravel() / 255
    mix = np.random.default_rng(9).normal(size=(values.size, 64)).astype(np.float32)
    return np.maximum((values - 0.5) @ mix, 0)


@pytest.mark.parametrize("how", COPIES)
def test_copies_join_their_originals_and_nothing_else_does(how: str) -> None:
    photos = [_photo(seed) for seed in range(40)]
    shown = photos + [COPIES[how](photo) for photo in photos[:10]]
    group, found = near_duplicates(np.stack([_seen(p) for p in shown]), np.stack([_raw(p) for p in shown]))
    assert sorted(found) == [(i, 40 + i) for i in range(10)]
    assert (group[:10] == group[40:]).all()
    assert len(set(group.tolist())) == 40


def test_an_exact_copy_is_found_and_order_does_not_matter() -> None:
    photos = [_photo(seed) for seed in (0, 1, 2, 1, 3, 4)]
    _, found = near_duplicates(np.stack([_seen(p) for p in photos]), np.stack([_raw(p) for p in photos]))
    assert found == ((1, 3),)


def test_two_copies_that_are_alike_to_the_original_only_join_it() -> None:
    rng = np.random.default_rng(0)
    others = rng.normal(size=(300, 400))
    copies = [np.cos(0.28) * others[0] + np.sin(0.28) * rng.normal(size=400) for _ in range(2)]
    apart, rows = np.vstack([others[1:], *copies]), np.vstack([others, *copies])
    assert near_duplicates(apart, apart)[1] == ()
    assert near_duplicates(rows, rows)[1] == ((0, 300, 301),)


def test_many_copies_of_one_picture_are_one_group_at_once() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 40))
    many = np.vstack([rows, np.repeat(rows[3:4], 4000, axis=0)])
    group, found = near_duplicates(many, many)
    assert found == ((3, *range(20, 4020)),)
    assert group[20:].tolist() == [group[3]] * 4000
    assert group[:20].tolist() == list(range(20))


def test_a_chain_of_small_steps_is_not_one_group() -> None:
    angles = np.linspace(0, np.pi, 60)
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(200, 2)))[0]
    ring = np.column_stack([np.cos(2 * angles), np.sin(2 * angles)]) @ axes.T
    _, found = near_duplicates(ring, ring)
    sizes = [len(members) for members in found]
    assert sizes, "neighbours on the ring are alike, so that there is something to chain"
    assert max(sizes) <= 6


def test_distinct_noise_and_flat_pictures_are_left_alone() -> None:
    rng = np.random.default_rng(0)
    assert near_duplicates(rng.normal(size=(50, 30)), rng.normal(size=(50, 90)))[1] == ()
    flat = np.full((3, 90), 0.5) * np.array([[0.2], [1.0], [1.8]])
    group, found = near_duplicates(np.zeros((3, 8)), flat)
    assert found == ()
    assert group.tolist() == [0, 1, 2]


def _data(targets: list[int], classes: tuple[str, ...] = ("a", "b")) -> Dataset:
    items = tuple(Item(str(i), Path(str(i)), str(i)) for i in range(len(targets)))
    codes = np.array(targets)
    return Dataset("d", items, codes, np.arange(len(codes)), Task("t", "classification", classes), IMAGE)


def test_small_and_uneven_classes_are_named() -> None:
    few, uneven = class_warnings(_data([0] * 20 + [1] * 3))
    assert few == "classes with fewer than 5 examples: b (3)"
    assert "20" in uneven
    assert "balanced_accuracy" in uneven
    assert class_warnings(_data([0] * 8 + [1] * 8)) == ()
