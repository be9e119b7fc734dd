"""Whether training pictures are mirrored is asked of the data."""

from dataclasses import replace

import numpy as np
import torch
from sklearn.datasets import load_digits

from headstart.modalities.image.baselines import SIDE
from headstart.modalities.image.mirror import TOLD, told_apart
from headstart.modalities.image.modality import IMAGE


def pixels(n: int) -> np.ndarray:
    """(n, 32, 32, 3) digits."""
    small = load_digits().images[:n] / 16
    return np.repeat(np.kron(small, np.ones((1, 4, 4)))[..., None], 3, axis=-1).astype(np.float32)


def test_digits_are_told_from_their_mirror_images_and_what_comes_either_way_is_not() -> None:
    digits = pixels(120)
    assert told_apart(digits) > TOLD
    chance = np.random.default_rng(0).random(len(digits)) < 0.5
    either = np.where(chance[:, None, None, None], digits, digits[:, :, ::-1])
    assert told_apart(either) < 0.65
    assert told_apart(np.zeros((10, 4, 4, 1))) == 0.5


def test_pictures_that_are_told_apart_are_not_mirrored_and_that_is_said() -> None:
    digits = pixels(120)
    suited, said = IMAGE.suited(digits.reshape(len(digits), -1))
    assert suited == replace(IMAGE, mirror=False)
    assert len(said) == 1
    assert "not mirrored" in said[0]
    both = np.concatenate([digits, digits[:, :, ::-1]])
    assert IMAGE.suited(both.reshape(len(both), -1)) == (IMAGE, ())


def test_without_mirroring_all_other_changes_stay() -> None:
    batch = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (16, SIDE, SIDE, 3), dtype=np.uint8))
    batch[:, :, : SIDE // 2] //= 4  # dark on the left
    plain, mirrored = replace(IMAGE, mirror=False).augment(batch, 1), IMAGE.augment(batch, 1)
    dark_left = [one[:, :12].float().mean() < one[:, -12:].float().mean() for one in plain]
    assert all(dark_left)
    same = [torch.equal(a, b) for a, b in zip(plain, mirrored, strict=True)]
    assert 0 < sum(same) < len(same)
    assert replace(IMAGE, mirror=False).changes != IMAGE.changes
