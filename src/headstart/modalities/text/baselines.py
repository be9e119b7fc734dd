"""Texts without transfer: counts of words, and the words themselves for TF-IDF, whose rarities a fold must fit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from headstart.sources.card import TextInput

INPUT = TextInput(tokenizer="", window=256, windows=4)
BINS = 1024


@dataclass(frozen=True)
class Counts:
    """How often words occur, in bins by their hash: one stage, "counts"."""

    name: str = "raw"
    identity: str = "text-counts-1"
    input: TextInput = INPUT

    @property
    def widths(self) -> dict[str, int]:
        """One number a bin."""
        return {"counts": BINS}

    def tapper(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """(n, t) word numbers -> (n, BINS) log(1 + count)."""
        return _counted


def _counted(words: Tensor) -> dict[str, Tensor]:
    counts = torch.zeros(len(words), BINS)
    counts.scatter_add_(1, words.long() % BINS, (words != INPUT.pad).float())
    return {"counts": torch.log1p(counts)}


@dataclass(frozen=True)
class Words:
    """The word numbers themselves, 0 where there is none: one stage, "words", that only TF-IDF reads."""

    name: str = "words"
    identity: str = "text-words-1"
    input: TextInput = INPUT

    @property
    def widths(self) -> dict[str, int]:
        """One number a position."""
        return {"words": INPUT.window * INPUT.windows}

    def tapper(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """(n, t) word numbers -> the same in float32, which counts as far as they go."""
        return _as_they_are


def _as_they_are(words: Tensor) -> dict[str, Tensor]:
    return {"words": words.float()}


RAW = Counts()
CONTROLS: Mapping[str, Words] = {"tf-idf": Words()}
