"""Features of examples that are looked at once: in memory, batch by batch; nothing of them is left on disk."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headstart.core.predictions import Floats
from headstart.core.protocols import View
from headstart.data.dataset import Item, Modality
from headstart.data.store import Store
from headstart.features.allocator import keep_blocks
from headstart.features.backends import FLOAT32, Mode, Tap, at_once, tap
from headstart.features.decode import tolerant
from headstart.features.extract import Tappable, frugal
from headstart.sources.card import Input
from headstart.sources.source import Source

BATCH = 32


@dataclass(frozen=True)
class Held:
    """Features of one batch, all stages of several sources; see `headstart.core.protocols.Features`."""

    values: Mapping[str, Mapping[str, Floats]]

    def stages(self, source: str) -> tuple[str, ...]:
        """Stage names of a source, input to output."""
        return tuple(self.values[source])

    def of(self, source: str, stage: str, view: View) -> Floats:  # noqa: ARG002 - there is only one
        """(n, D) float32 features of the batch."""
        return self.values[source][stage]


@dataclass(frozen=True)
class Looked:
    """Prepared examples of one batch, and those that could not be.

    Attributes:
        items: the examples.
        given: (k, ...) of these, by what they were prepared for.
        damaged: the others, and why.
    """

    items: Sequence[Item]
    given: Mapping[Input, Tensor]
    damaged: Sequence[tuple[Item, str]]


def look(items: Sequence[Item], modality: Modality, inputs: Sequence[Input], store: Store) -> Iterator[Looked]:
    """Examples in batches of like size, as each input wants them, decoded ahead."""
    order = sorted(items, key=modality.size, reverse=True)  # stable: where all are alike, as they came
    wanted = list(dict.fromkeys(inputs))
    for batch in tolerant(order, BATCH, modality, wanted, store):
        arrays = (torch.from_numpy(one) for one in batch.arrays)
        yield Looked(batch.items, dict(zip(wanted, arrays, strict=False)), batch.damaged)


def taps(sources: Sequence[Tappable], modes: Mapping[str, Mode], store: Store) -> Callable[[Looked], Held]:
    """What computes the features of a batch, all sources being loaded and converted for it.

    Args:
        sources: nets, and whatever else gives features.
        modes: how each net's are computed, as far as that starts at once; eager float32 where nothing is said.
        store: keeps what a backend has converted.
    """
    keep_blocks()
    runs = {one.name: (one.input, frugal(_run(one, modes, store))) for one in sources}

    def held(batch: Looked) -> Held:
        found = {name: run(batch.given[taken]) for name, (taken, run) in runs.items()}
        return Held({name: {stage: rows.float().numpy() for stage, rows in one.items()} for name, one in found.items()})

    return held


def _run(one: Tappable, modes: Mapping[str, Mode], store: Store) -> Tap:
    if isinstance(one, Source):
        return tap(one, at_once(one, modes.get(one.name, FLOAT32), store.root), store.root)
    return one.tapper()
