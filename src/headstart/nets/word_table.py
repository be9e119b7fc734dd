"""A table of word vectors as a net: words come by number, and what the table does not have is nothing."""

import torch
from torch import Tensor, nn

from headstart.nets.word_tops import TOPS

COMMON = 1e-3  # the frequency at which a word counts half (Arora et al. 2017, SIF)


class WordTable(nn.Module):
    """Vectors of the words of a text, the same weighted by how rare a word is, and perhaps a net on top of them.

    Frequencies are not in the table; its order is, and by Zipf's law the word of rank r has a share of 1 / (r ln V).

    Args:
        count: V words.
        width: of their vectors.
        top: a name of `word_tops.TOPS`; "" has none.
    """

    def __init__(self, count: int, width: int, top: str = "") -> None:
        super().__init__()
        self.numbers = nn.Buffer(torch.zeros(count, dtype=torch.int64))
        self.rarity = nn.Buffer(torch.ones(count))
        self.words = Lookup(count, width)
        self.weighted = Weighted()
        self.top = TOPS[top](width) if top else None

    def forward(self, tokens: Tensor) -> Tensor:
        """(w, t) int64 word numbers, 0 where there is none -> (w, t, D) weighted vectors; of the top (w, OUT)."""
        at = torch.searchsorted(self.numbers, tokens).clamp(max=len(self.numbers) - 1)
        vectors = self.words(at, self.numbers[at] == tokens)
        weighted = self.weighted(vectors, self.rarity[at])
        return weighted if self.top is None else self.top(vectors, tokens != 0)


class Lookup(nn.Module):
    """The vectors alone.

    Args:
        count: V words.
        width: of their vectors.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(count, width)

    def forward(self, at: Tensor, known: Tensor) -> Tensor:
        """(w, t) rows, and whether they are meant -> (w, t, D)."""
        return self.table(at) * known.unsqueeze(2)


class Weighted(nn.Module):
    """A module of its own, so that it can be tapped."""

    def forward(self, vectors: Tensor, weights: Tensor) -> Tensor:
        """(w, t, D) and (w, t) -> (w, t, D)."""
        return vectors * weights.unsqueeze(2)


def rarities(ranks: Tensor) -> Tensor:
    """(V,) weights a / (a + p) of words by their rank in frequency, from 0."""
    shares = 1 / ((ranks + 1) * torch.log(torch.tensor(float(max(len(ranks), 3)))))
    return COMMON / (COMMON + shares)
