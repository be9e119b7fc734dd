"""Texts without transfer: counts of words, and the words themselves for TF-IDF, whose rarities a fold must fit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from headstart.linear.tf_idf import MOST
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
    """The numbers of the words, 0 where there is none: one stage, "words", that only TF-IDF reads."""

    name: str = "words"
    identity: str = "text-words-2"
    input: TextInput = INPUT

    @property
    def widths(self) -> dict[str, int]:
        """One number a position."""
        return {"words": INPUT.window * INPUT.windows}

    def tapper(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """(n, t) word numbers -> smaller ones, as far as float32 counts: two words share one by a chance of 2^-24."""
        return _folded


def _folded(words: Tensor) -> dict[str, Tensor]:
    folded = 1 + words.long() % (MOST - 1)
    return {"words": torch.where(words == INPUT.pad, 0, folded).float()}


RAW = Counts()
CONTROLS: Mapping[str, Words] = {"tf-idf": Words()}
