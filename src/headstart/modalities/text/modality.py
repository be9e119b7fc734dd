"""Texts: the functions that a text data set carries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from headstart.core.predictions import Floats
from headstart.data.dataset import Item, Piece
from headstart.modalities.text.baselines import CONTROLS, RAW, Counts, Words
from headstart.modalities.text.occlude import spoken
from headstart.modalities.text.prepare import tokens, windows
from headstart.sources.card import TextInput


@dataclass(frozen=True)
class TextModality:
    """See `headstart.data.dataset.Modality`. Nothing that changes a text surely keeps its label: none is augmented."""

    name: str = "text"
    version: str = "2"
    copied: bool = True
    changes: str = ""
    baseline: Counts = RAW
    controls: Mapping[str, Words] = field(default_factory=lambda: CONTROLS)
    untrained: tuple[str, str] = ("random:text-cnn", "random:text-cnn")

    def fitting(self, sources: Sequence[str]) -> tuple[str, ...]:
        """As they are."""
        return tuple(sources)

    def suited(self, raw: Floats) -> tuple["TextModality", tuple[str, ...]]:  # noqa: ARG002 - nothing to leave out
        """Itself."""
        return self, ()

    def prepare(self, item: Item, card_input: TextInput) -> NDArray[np.integer]:
        """(windows * window,) token numbers."""
        return tokens(item.content, card_input)

    def sample(self, items: Sequence[Item], card_input: TextInput, count: int) -> NDArray[np.integer]:
        """Real texts, evenly spaced: how long they are is what a step takes."""
        at = np.linspace(0, len(items) - 1, count).astype(int)
        return np.stack([self.prepare(items[i], card_input) for i in at])

    def size(self, item: Item) -> int:
        """Characters."""
        return len(item.content)

    def caveats(self, items: Sequence[Item], card_input: TextInput) -> tuple[str, ...]:
        """How many texts are longer than a window, and how many are not read to their end."""
        counts = np.array([len(windows(item.content, card_input)) for item in items])
        several, cut = int((counts > 1).sum()), int((counts > card_input.windows).sum())
        said: list[str] = []
        if several:
            said.append(f"{several} of {len(items)} texts are longer than {card_input.window} tokens: read in windows")
        if cut:
            said.append(f"{cut} of them are not read behind window {card_input.windows}")
        return ("; ".join(said),) if said else ()

    def augment(self, batch: Tensor, seed: int) -> Tensor:  # noqa: ARG002 - see `changes`
        """The batch as it is."""
        return batch

    def pieces(self, item: Item, others: Sequence[Item], folder: Path) -> tuple[Item, tuple[Piece, ...]]:  # noqa: ARG002
        """Words."""
        return item, spoken(item)


TEXT = TextModality()
