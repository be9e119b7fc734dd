"""The contract of a modality: stateless, repeatable preparation and augmentation, and a raw baseline."""

import copy

import numpy as np
import torch
from torch import Tensor

from headstart.data.dataset import Item, Modality
from headstart.sources.card import ImageInput

SIDES = (32, 48)


def check_modality(modality: Modality, item: Item) -> None:
    """Check a modality on one example that is not of one colour all over.

    Raises:
        AssertionError: a sentence that says which promise is broken.
    """
    assert modality.name, "a modality needs a name"
    assert modality.version, "a modality needs a version: it is part of every cache key"
    for side in SIDES:
        _check_prepare(modality, item, ImageInput(size=side))
    prepared = modality.prepare(item, ImageInput(size=SIDES[1]))
    _check_augment(modality, torch.from_numpy(np.stack([prepared] * 4)))
    _check_baseline(modality, item)


def _check_prepare(modality: Modality, item: Item, wanted: ImageInput) -> None:
    found = modality.prepare(item, wanted)
    shape = (wanted.size, wanted.size, 3)
    assert found.dtype == np.uint8, f"prepare must give uint8, got {found.dtype}"
    assert found.shape == shape, f"prepare must give {shape} for that input, got {found.shape}"
    again = copy.deepcopy(modality).prepare(item, wanted)
    assert np.array_equal(found, again), "prepare must be a function of example and input alone"


def _check_augment(modality: Modality, batch: Tensor) -> None:
    before = batch.clone()
    one, same, other = (modality.augment(batch, seed) for seed in (1, 1, 2))
    assert torch.equal(batch, before), "augment must leave its batch alone and give a new one"
    assert one.shape == batch.shape, f"augment must keep the shape {tuple(batch.shape)}, got {tuple(one.shape)}"
    assert one.dtype == batch.dtype, f"augment must keep {batch.dtype}, got {one.dtype}"
    assert torch.equal(one, same), "augment must give the same change for the same seed"
    assert not torch.equal(one, batch), "augment must change something"
    assert not torch.equal(one, other), "augment must give another change for another seed"


def _check_baseline(modality: Modality, item: Item) -> None:
    baseline = modality.baseline
    assert baseline.name, "the raw baseline needs a name"
    assert baseline.identity, "the raw baseline needs an identity"
    prepared = torch.from_numpy(np.stack([modality.prepare(item, baseline.input)] * 2))
    tap = baseline.tapper()
    found = tap(prepared)
    assert found, "the raw baseline needs at least one stage"
    for name, values in found.items():
        flat = values.ndim == 2 and len(values) == len(prepared)
        assert flat, f"stage {name} of the raw baseline must be (n, D), got {tuple(values.shape)}"
        assert bool(torch.isfinite(values).all()), f"stage {name} of the raw baseline must be finite"
        assert torch.equal(values, tap(prepared)[name]), f"stage {name} of the raw baseline must be repeatable"
