"""What stands around a word: averages of the vectors of its neighbours, at several distances.

A context average is blurred by frequent words, which say little: they are weighed down by a / (a + p(w)), as Arora,
Liang and Ma (2017) do for sentences. Places apart (the word before, the word after) keep what an average over a window
loses: syntax; a wide window knows the topic. The word itself never counts as its own neighbour.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.words.corpus import BREAK, Codes, Corpus
from headstart.words.vectors import Table

Rows = NDArray[np.intp]

SMOOTH = 1e-3  # a of a / (a + p); benchmarks/bench_words.py compares
AT_ONCE = 20_000  # places whose neighbours are gathered at once


def around(reach: int) -> tuple[int, ...]:
    """Every place within reach, on both sides."""
    return tuple(at for at in range(-reach, reach + 1) if at)


PLACES: tuple[tuple[int, ...], ...] = ((-1,), (1,), (-2,), (2,), around(5), around(20))
WINDOW: tuple[tuple[int, ...], ...] = (around(5),)
CLOSE: tuple[tuple[int, ...], ...] = (around(1),)  # where plain averages are least bad; benchmarks/bench_words.py


@dataclass(frozen=True, eq=False)
class Neighbours:
    """A corpus whose words have vectors, or not.

    Attributes:
        corpus: N words.
        vectors: (N, D) float32; rows of words without a vector are not looked at.
        known: (N,) whether a word has one.
    """

    corpus: Corpus
    vectors: Table
    known: NDArray[np.bool_]

    def weights(self, smooth: float | None = SMOOTH, skipped: int = 0) -> NDArray[np.float32]:
        """(N,) what each word counts as a neighbour: nothing without a vector.

        Args:
            smooth: a of a / (a + p); None counts all alike.
            skipped: so many of the most frequent words count nothing.
        """
        counts = self.corpus.counts
        share = counts / max(counts.sum(), 1)
        even = np.ones(len(share)) if smooth is None else smooth / (smooth + share)
        even[np.argsort(-counts, kind="stable")[:skipped]] = 0
        return (even * self.known).astype(np.float32)

    def averages(
        self, at: "Occurrences", groups: tuple[tuple[int, ...], ...], weights: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(n, G D) of n words: for each group of places, the weighted mean over all their occurrences.

        A word with no neighbour there gets zeros, which is what a known mean would be shrunk to.
        """
        width, blocks = self.vectors.shape[1], np.zeros((len(at.words), len(groups), self.vectors.shape[1]), np.float32)
        text = self.corpus.codes
        reach = max(abs(place) for group in groups for place in group)
        padded = np.pad(text, reach, constant_values=BREAK)
        passage = np.cumsum(padded == BREAK, dtype=np.int32)
        for number, group in enumerate(groups):
            mass = np.zeros(len(at.words), np.float32)
            for begin in range(0, len(at.places), AT_ONCE):
                places = at.places[begin : begin + AT_ONCE] + reach
                owners = at.owners[begin : begin + AT_ONCE]
                found, counted = self._gather(padded, passage, places, group, weights)
                starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
                blocks[owners[starts], number] += np.add.reduceat(found, starts)
                mass[owners[starts]] += np.add.reduceat(counted, starts)
            blocks[:, number] /= np.maximum(mass, 1e-9)[:, None]
        return blocks.reshape(len(at.words), len(groups) * width)

    def _gather(
        self, padded: Codes, passage: Codes, places: Rows, group: tuple[int, ...], weights: NDArray[np.float32]
    ) -> tuple[Table, NDArray[np.float32]]:
        """(b, D) sums of neighbours and (b,) their weights, for b places."""
        total, mass = np.zeros((len(places), self.vectors.shape[1]), np.float32), np.zeros(len(places), np.float32)
        own, within = padded[places], passage[places]
        for place in group:
            there = padded[places + place]
            counts = (there != BREAK) & (there != own) & (passage[places + place] == within)
            weight = np.where(counts, weights[there], 0).astype(np.float32)
            total += weight[:, None] * self.vectors[there]
            mass += weight
        return total, mass


@dataclass(frozen=True, eq=False)
class Occurrences:
    """Where some words occur.

    Attributes:
        words: (n,) numbers of the words.
        places: (m,) in the running text, grouped by word.
        owners: (m,) position in `words` of the word at each place, ascending.
    """

    words: Rows
    places: Rows
    owners: Rows


def occurrences(corpus: Corpus, words: Rows, most: int, seed: int) -> Occurrences:
    """At most so many places of each word, drawn at random."""
    position = np.full(len(corpus.words) + 1, -1)
    position[words] = np.arange(len(words))
    places = np.flatnonzero(position[corpus.codes] >= 0)  # a break is -1: the last entry, nobody's
    places = np.random.default_rng(seed).permutation(places)
    owners = position[corpus.codes[places]]
    order = np.argsort(owners, kind="stable")
    places, owners = places[order], owners[order]
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]]) if len(owners) else np.empty(0, np.intp)
    nth = np.arange(len(owners)) - np.repeat(starts, np.diff(np.r_[starts, len(owners)]))
    kept = nth < most
    return Occurrences(words, places[kept], owners[kept])


def known_vectors(corpus: Corpus, rows: Mapping[str, int], table: Table, hidden: frozenset[str]) -> Neighbours:
    """The corpus' words with the vectors that a table has for them, but for those hidden from it."""
    at = np.array([-1 if word in hidden else rows.get(word, -1) for word in corpus.words])
    vectors = np.zeros((len(at), table.shape[1]), np.float32)
    vectors[at >= 0] = table[at[at >= 0]]
    return Neighbours(corpus, vectors, at >= 0)
