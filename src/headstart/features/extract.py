"""One pass over the data taps all stages of a source; what the cache has is never computed again."""

import time
from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from headstart.core.progress import Progress
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.features.allocator import keep_blocks
from headstart.features.decode import batches
from headstart.features.table import FeatureTable, Layout
from headstart.sources.card import ImageInput

BATCH = 32
SHARD = 512  # rows written at once: what a kill can lose


class Tappable(Protocol):
    """Anything that gives features: a `Source`, or the raw input itself."""

    @property
    def name(self) -> str:
        """Unique in a run."""
        ...

    @property
    def identity(self) -> str:
        """Equal only if the features are."""
        ...

    @property
    def input(self) -> ImageInput:
        """How examples are prepared."""
        ...

    def tapper(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """(n, H, W, 3) uint8 -> stage name -> (n, D)."""
        ...


def extract(tapped: Iterable[Tappable], data: Dataset, store: Store, progress: Progress) -> FeatureTable:
    """Features of every example from every source, all stages, through the cache.

    Returns:
        A lookup by source, stage and example.
    """
    layouts = {one.name: _extract_one(one, data, store, progress) for one in tapped}
    store.trim()
    return FeatureTable(layouts, store)


def _extract_one(source: Tappable, data: Dataset, store: Store, progress: Progress) -> Layout:
    modality = data.modality
    key = (source.identity, modality.name, modality.version, source.input.model_dump_json(), "float32")
    table = store.table("features", *key)
    stages = _layout(source)
    by_key = {item.key: item for item in data.items}
    todo = [by_key[k] for k in table.missing(by_key)]
    store.counters["features_read"] += len(by_key) - len(todo)
    if todo:
        with progress.step(f"features {source.name}", len(todo)) as step:
            keep_blocks()
            tap = source.tapper()
            keys: list[str] = []
            rows: list[np.ndarray] = []
            for part, pixels in batches(todo, BATCH, modality, source.input, store):
                found = tap(torch.from_numpy(pixels))
                rows.append(np.hstack([found[name].float().numpy() for name in stages]))
                keys += [item.key for item in part]
                if len(keys) >= SHARD:
                    table.append(keys, np.vstack(rows))
                    keys, rows = [], []
                step.advance(len(part))
            if keys:
                table.append(keys, np.vstack(rows))
        store.counters["features_computed"] += len(todo)
    return Layout(table, stages)


def _layout(source: Tappable) -> dict[str, slice]:
    """Which columns of a row belong to which stage; from one forward pass of a grey example."""
    side = source.input.size
    found = source.tapper()(torch.full((1, side, side, 3), 128, dtype=torch.uint8))
    ends = np.cumsum([tensor.shape[1] for tensor in found.values()]).tolist()
    return {name: slice(start, end) for name, start, end in zip(found, [0, *ends[:-1]], ends, strict=True)}


def time_batches(source: Tappable, count: int = 2, batch: int = BATCH) -> float:
    """Seconds to extract the features of one prepared example: the mean of `count` timed batches after a warm-up."""
    keep_blocks()
    side = source.input.size
    tap = source.tapper()
    pixels = torch.randint(0, 256, (batch, side, side, max(source.input.channels, 3)), dtype=torch.uint8)
    tap(pixels)
    started = time.perf_counter()
    for _ in range(count):
        tap(pixels)
    return (time.perf_counter() - started) / (count * batch)
