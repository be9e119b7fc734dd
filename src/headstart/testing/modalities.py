"""The contract of a modality: stateless, repeatable preparation and augmentation, and raw controls."""

import copy
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.dataset import Item, Modality
from headstart.sources.card import ImageInput, Input, SeriesInput, TableInput, TextInput

PICTURES = (ImageInput(size=32), ImageInput(size=48))


def check_modality(modality: Modality, item: Item, inputs: Sequence[Input] = PICTURES) -> None:
    """Check a modality on one example, prepared for each of these inputs.

    Args:
        modality: to be checked.
        item: a picture that is not of one colour all over; a text of more than one word; a series of several steps.
        inputs: what sources of this kind of data may ask for.

    Raises:
        AssertionError: a sentence that says which promise is broken.
    """
    assert modality.name, "a modality needs a name"
    assert modality.version, "a modality needs a version: it is part of every cache key"
    assert modality.size(item) > 0, f"size must be positive, got {modality.size(item)}"
    for wanted in inputs:
        _check_prepare(modality, item, wanted)
        _check_sample(modality, item, wanted)
    prepared = modality.prepare(item, inputs[-1])
    _check_augment(modality, torch.from_numpy(np.stack([prepared] * 4)))
    for name, reads in modality.controls.items():
        _check_raw(modality, item, reads, f"what the control {name} reads")
    _check_raw(modality, item, modality.baseline, "the raw baseline")
    _check_pieces(modality, item, inputs[-1])


def _check_pieces(modality: Modality, item: Item, wanted: Input) -> None:
    """Occlusion can ask what an example is without each of its pieces."""
    with tempfile.TemporaryDirectory() as scratch:
        whole, parts = modality.pieces(item, (item,), Path(scratch))
        assert whole.name == item.name, f"pieces must keep the example's name, got {whole.name!r}"
        assert len(parts) != 1, "pieces must be none or several"
        before = modality.prepare(whole, wanted)
        without = [modality.prepare(part.without, wanted) for part in parts]
    assert all(one.shape == before.shape for one in without), "pieces must leave examples of the same form"


def _check_prepare(modality: Modality, item: Item, wanted: Input) -> None:
    found = modality.prepare(item, wanted)
    if isinstance(wanted, TextInput):
        shape, kind, called = (wanted.windows * wanted.window,), np.integer, "whole numbers"
    elif isinstance(wanted, TableInput):
        shape, kind, called = (2, len(wanted.columns) or found.shape[-1]), np.float32, "float32"
    elif isinstance(wanted, SeriesInput):
        channels = wanted.channels or len(found)
        each = wanted.length if wanted.channels else wanted.length // channels
        shape, kind, called = (channels, each), np.float32, "float32"
    else:
        shape, kind, called = (wanted.size, wanted.size, 3), np.uint8, "uint8"
    assert np.issubdtype(found.dtype, kind), f"prepare must give {called}, got {found.dtype}"
    assert found.shape == shape, f"prepare must give {shape} for that input, got {found.shape}"
    again = copy.deepcopy(modality).prepare(item, wanted)
    equal = np.array_equal(found, again, equal_nan=kind is np.float32)
    assert equal, "prepare must be a function of example and input alone"


def _check_sample(modality: Modality, item: Item, wanted: Input) -> None:
    one, found = modality.prepare(item, wanted), modality.sample([item], wanted, 3)
    shape = (3, *one.shape)
    assert found.shape == shape, f"sample must give {shape} for three examples, got {found.shape}"
    assert found.dtype == one.dtype, f"sample must give {one.dtype} as prepare does, got {found.dtype}"


def _check_augment(modality: Modality, batch: Tensor) -> None:
    before = batch.clone()
    one, same, other = (modality.augment(batch, seed) for seed in (1, 1, 2))
    assert _same(batch, before), "augment must leave its batch alone and give a new one"
    assert one.shape == batch.shape, f"augment must keep the shape {tuple(batch.shape)}, got {tuple(one.shape)}"
    assert one.dtype == batch.dtype, f"augment must keep {batch.dtype}, got {one.dtype}"
    assert _same(one, same), "augment must give the same change for the same seed"
    if not modality.changes:
        assert _same(one, batch), "augment must leave batches as they are where `changes` names nothing"
        assert _same(other, batch), "augment must leave batches as they are where `changes` names nothing"
        return
    assert not _same(one, batch), "augment must change something"
    assert not _same(one, other), "augment must give another change for another seed"


def _same(one: Tensor, other: Tensor) -> bool:
    """Equal, padding included."""
    return np.array_equal(one.numpy(), other.numpy(), equal_nan=one.is_floating_point())


def _check_raw(modality: Modality, item: Item, raw: Any, called: str) -> None:
    """A source of features without a net."""
    assert raw.name, f"{called} needs a name"
    assert raw.identity, f"{called} needs an identity"
    prepared = torch.from_numpy(np.stack([modality.prepare(item, raw.input)] * 2))
    tap = raw.tapper()
    found = tap(prepared)
    assert found, f"{called} needs at least one stage"
    for name, values in found.items():
        flat = values.ndim == 2 and len(values) == len(prepared)
        assert flat, f"stage {name} of {called} must be (n, D), got {tuple(values.shape)}"
        tables = isinstance(raw.input, TableInput)  # where a cell has no number its value is not one
        assert tables or bool(torch.isfinite(values).all()), f"stage {name} of {called} must be finite"
        again = tap(prepared)[name]
        assert torch.equal(torch.nan_to_num(values), torch.nan_to_num(again)), (
            f"stage {name} of {called} must be repeatable"
        )
    widths = {name: values.shape[1] for name, values in found.items()}
    assert widths == dict(raw.widths), f"{called} must have the widths that it states, got {widths}"
