"""Augmentation: seeded, same shape and type, changes the picture but not what it shows."""

import numpy as np
import torch
from PIL import Image

from headstart.modalities.image.augment import augment
from headstart.modalities.image.modality import IMAGE


def _batch(n: int = 4, side: int = 48) -> torch.Tensor:
    rng = np.random.default_rng(0)
    small = [Image.fromarray(rng.integers(60, 200, (6, 6, 3), dtype=np.uint8)) for _ in range(n)]
    return torch.from_numpy(np.stack([np.asarray(s.resize((side, side), Image.Resampling.BICUBIC)) for s in small]))


def test_the_seed_decides() -> None:
    batch = _batch()
    assert torch.equal(augment(batch, 3), augment(batch, 3))
    assert not torch.equal(augment(batch, 3), augment(batch, 4))
    assert torch.equal(IMAGE.augment(batch, 3), augment(batch, 3))


def test_it_neither_reads_nor_moves_the_global_state_of_chance() -> None:
    batch = _batch()
    before = torch.get_rng_state()
    first = augment(batch, 1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(77)
    assert torch.equal(augment(batch, 1), first)


def test_shape_type_and_input_stay_but_pixels_change() -> None:
    batch = torch.from_numpy(_batch(3).numpy()[:, :40])  # not square
    kept = batch.clone()
    changed = augment(batch, 0)
    assert changed.shape == batch.shape
    assert changed.dtype == torch.uint8
    assert changed.is_contiguous()
    assert torch.equal(batch, kept)
    difference = (changed.float() - batch.float()).abs().mean(dim=(1, 2, 3))
    assert (difference > 1).all()
    assert (difference < 90).all()


def test_pictures_of_one_batch_are_changed_differently_and_some_are_mirrored() -> None:
    one = _batch(1).repeat(32, 1, 1, 1)
    changed = augment(one, 0).float()
    assert len({tuple(row.flatten().tolist()) for row in changed}) == 32
    plain, mirrored = one[0].float(), one[0].flip(1).float()
    nearer = [(row - mirrored).abs().mean() < (row - plain).abs().mean() for row in changed]
    assert 4 < sum(nearer) < 28


def test_no_border_is_invented_and_nothing_wraps_around() -> None:
    white = torch.full((16, 32, 32, 3), 255, dtype=torch.uint8)
    black = torch.zeros((16, 32, 32, 3), dtype=torch.uint8)
    assert augment(white, 0).min() > 200
    assert augment(black, 0).max() < 60
    for flat in augment(white, 0):
        assert len(flat.unique()) == 1
