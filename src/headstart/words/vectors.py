"""A table of word vectors: the words nearest to a word, analogies, and agreement with people's judgements."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from headstart.core.errors import UserError, did_you_mean
from headstart.sources.card import NOT_STATED, Licence

Table = NDArray[np.float32]
Pair = tuple[str, str, float]

TINY = 1e-12  # a length below this has no direction
STEP = 200_000  # rows that are normalised at once
CASED = 20_000  # words that show whether a table has capitals
LOOKED_AT = 3_000  # words that did-you-mean compares with: the frequent ones, which are first, are meant more often
FEWEST_PAIRS = 3  # a rank correlation of two pairs is always 1 or -1


@dataclass(frozen=True)
class Near:
    """A word, and the cosine of its vector with what was asked for."""

    word: str
    cosine: float


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation of cosines with people's judgements, on the pairs of which both words are known."""

    rho: float
    pairs: int
    left_out: int


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Words and their vectors; nothing changes them.

    Attributes:
        name: as the user named them.
        words: V different words; row i of the table is words[i].
        table: (V, D) float32, all finite; may be a memory map.
        sha256: of the file of numbers.
        licence: as stated by who ships them.
    """

    name: str
    words: tuple[str, ...]
    table: Table
    sha256: str
    licence: Licence = NOT_STATED

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """Word -> row."""
        return {word: row for row, word in enumerate(self.words)}

    @cached_property
    def directions(self) -> Table:
        """(V, D) the table in rows of length 1; a zero vector stays one."""
        return unit(self.table)

    @cached_property
    def lower_case(self) -> bool:
        """Whether no word has a capital: then texts are read in lower case."""
        return not any(word != word.lower() for word in self.words[:CASED])

    def row(self, word: str) -> int:
        """The row of a word.

        Raises:
            UserError: the table does not have it; near spellings are offered.
        """
        if word not in self.rows:
            raise UserError(f"a word of {self.name}", repr(word), self._near_spelling(word))
        return self.rows[word]

    def near(self, word: str, k: int = 10) -> tuple[Near, ...]:
        """The k words whose vectors have the largest cosine with the word's, without itself.

        Raises:
            UserError: an unknown word.
        """
        row = self.row(word)
        return self._nearest(self.directions[row], {row}, k)

    def analogy(self, a: str, b: str, c: str, k: int = 10) -> tuple[Near, ...]:
        """What is to c as b is to a: nearest to b - a + c (3CosAdd of Mikolov et al. 2013), without the three.

        Raises:
            UserError: an unknown word.
        """
        of_a, of_b, of_c = (self.row(word) for word in (a, b, c))
        wanted = self.directions[of_b] - self.directions[of_a] + self.directions[of_c]
        return self._nearest(unit(wanted[None])[0], {of_a, of_b, of_c}, k)

    def spearman(self, pairs: Iterable[Pair]) -> Agreement:
        """How the cosines of pairs rank beside what people said, ties sharing their mean rank.

        Args:
            pairs: two words and the judgement; a word is looked up as it stands, then in lower case.

        Raises:
            UserError: fewer than three pairs are known.
        """
        every = list(pairs)
        known = [(i, j, said) for one, other, said in every if (i := self._find(one)) >= 0 <= (j := self._find(other))]
        if len(known) < FEWEST_PAIRS:
            came = f"{len(known)} of {len(every)}"
            raise UserError(
                f"at least {FEWEST_PAIRS} pairs whose words are in {self.name}", came, "Give another set of pairs."
            )
        left, right, said = (np.array(column) for column in zip(*known, strict=True))
        cosines = (self.directions[left.astype(int)] * self.directions[right.astype(int)]).sum(axis=1)
        rho = float(np.corrcoef(ranked(cosines.astype(np.float64)), ranked(said))[0, 1])
        return Agreement(rho if np.isfinite(rho) else 0.0, len(known), len(every) - len(known))

    def _find(self, word: str) -> int:
        return self.rows.get(word, self.rows.get(word.lower(), -1))

    def _nearest(self, direction: Table, without: set[int], k: int) -> tuple[Near, ...]:
        cosines = self.directions @ direction
        most = min(k + len(without), len(cosines))
        best = np.argpartition(-cosines, most - 1)[:most]
        order = best[np.lexsort((best, -cosines[best]))]  # ties: the earlier word
        kept = [int(row) for row in order if int(row) not in without][:k]
        return tuple(Near(self.words[row], float(cosines[row])) for row in kept)

    def _near_spelling(self, word: str) -> str:
        """Did-you-mean among words that begin alike and are about as long: all of a large table would take seconds."""
        cased = next((form for form in (word.lower(), word.capitalize(), word.upper()) if form in self.rows), None)
        if cased is not None:
            return f"Did you mean {cased}?"
        alike: list[Callable[[str], bool]] = [
            lambda w: w[:1].casefold() == word[:1].casefold() and abs(len(w) - len(word)) <= 2,
            lambda w: True,  # noqa: ARG005 - the last resort
        ]
        for test in alike:
            found = [w for w in self.words if test(w)][:LOOKED_AT]
            if found:
                return did_you_mean(word, found)
        return "The table is empty."


def unit(table: Table) -> Table:
    """(n, D) rows of length 1, in float32; rows without a direction become zero."""
    out = np.empty(table.shape, np.float32)
    for at in range(0, len(table), STEP):
        some = np.asarray(table[at : at + STEP], np.float32)
        lengths = np.linalg.norm(some, axis=1, keepdims=True)
        out[at : at + STEP] = np.divide(some, lengths, out=np.zeros_like(some), where=lengths > TINY)
    return out


def ranked(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) ranks from 0; equal values share the mean of theirs.

    >>> ranked(np.array([3.0, 1.0, 3.0])).tolist()
    [1.5, 0.0, 1.5]
    """
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts) - 1
    return (last - (counts - 1) / 2)[which]


def distinct(words: Sequence[str], name: str) -> tuple[str, ...]:
    """The same words.

    Raises:
        UserError: one stands there twice, or is empty.
    """
    seen: set[str] = set()
    for row, word in enumerate(words):
        if not word or word in seen:
            came = f"{name}: {'an empty word' if not word else f'{word[:60]!r} a second time'} in row {row + 1}"
            raise UserError("different words", came, "Remove that row.")
        seen.add(word)
    return tuple(words)
