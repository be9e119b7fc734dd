"""A vector for a new word from the few places where it occurs: a la carte (Khodak et al. 2018), with more to go by.

Plain averages of context vectors all point the same way. But words that a table knows occur in the corpus as well, and
their vectors are labels: a ridge regression learns the map from what stands around a word to its vector, and exact
leave-one-out over those words chooses the penalty. Here it looks at several groups of places (see `contexts`) and at
what the spelling says. A map is fitted on as many occurrences a word as it will be used on: averages of two contexts
are far noisier than averages of thirty, and the regression should know.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.core.errors import UserError
from headstart.core.progress import Step
from headstart.linear.ridge import solve_features
from headstart.words import spelling
from headstart.words.contexts import CLOSE, PLACES, SMOOTH, WINDOW, Neighbours, Rows, occurrences
from headstart.words.spelling import Spelling
from headstart.words.vectors import Table, WordVectors, unit

LEVELS = (1, 2, 4, 8, 32)  # occurrences a word: a map each
MOST = 64  # occurrences of a word that are looked at
PUPILS = 6_000  # known words that a map is fitted on
RARE = 4  # times a map's occurrences: what its pupils occur at most, where there are enough of them
FEWEST = 50  # with fewer there is nothing to learn from


@dataclass(frozen=True)
class Method:
    """What a vector is induced from.

    Attributes:
        groups: of places; one block of features each.
        smooth: a of the weights of neighbours; None counts all alike.
        spelling: whether n-grams speak too.
        mapped: whether a regression is fitted; else the average itself is the vector.
        why: in a few words.
        skipped: so many of the corpus' most frequent words are no neighbours.
    """

    groups: tuple[tuple[int, ...], ...]
    smooth: float | None
    spelling: bool
    mapped: bool
    why: str
    skipped: int = 0


DEFAULT = "joined"
METHODS: Mapping[str, Method] = {
    "joined": Method(PLACES, SMOOTH, True, True, "places apart, two windows and the spelling"),
    "places": Method(PLACES, SMOOTH, False, True, "places apart and two windows"),
    "a-la-carte": Method(WINDOW, None, False, True, "one window, as Khodak et al. have it"),
    "spelling": Method((), None, True, True, "the spelling alone"),
    "additive": Method(CLOSE, None, False, False, "the plain average over a window"),
    "additive-no-stop": Method(CLOSE, None, False, False, "that average without the 100 most frequent words", 100),
}


@dataclass(frozen=True)
class Fit:
    """How a map was fitted.

    Attributes:
        occurrences: a word, at most.
        words: that it was fitted on.
        penalty: chosen, absolute.
        loo_cosine: mean cosine of leave-one-out predictions with the true vectors.
    """

    occurrences: int
    words: int
    penalty: float
    loo_cosine: float


@dataclass(frozen=True, eq=False)
class _Map:
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    fit: Fit


@dataclass(frozen=True, eq=False)
class Induction:
    """Everything that turns occurrences into vectors.

    Attributes:
        method: what is looked at.
        neighbours: the corpus, with the vectors that may be looked at.
        speller: None where spelling is not looked at.
        maps: by occurrences a word.
        length: of the vectors that are made: the median of known words of the corpus.
        seed: of what is drawn.
    """

    method: Method
    neighbours: Neighbours
    speller: Spelling | None
    maps: Mapping[int, _Map]
    length: float
    seed: int

    @property
    def fits(self) -> tuple[Fit, ...]:
        """How each map was fitted."""
        return tuple(one.fit for one in self.maps.values())

    def __call__(self, words: Rows, most: int = MOST) -> Table:
        """(n, D) vectors of words of the corpus by their number, from at most so many occurrences each."""
        blocks = _blocks(self.method, self.neighbours, self.speller, words, most, self.seed)
        if not self.method.mapped:
            return blocks[0]
        counts, out = (
            np.minimum(self.neighbours.corpus.counts[words], most),
            np.empty((len(words), self.neighbours.vectors.shape[1]), np.float32),
        )
        levels = np.array(sorted(self.maps))
        chosen = levels[np.maximum(np.searchsorted(levels, counts, side="right") - 1, 0)]
        features = np.hstack(blocks)
        for level, one in self.maps.items():
            here = chosen == level
            out[here] = features[here] @ one.weight + one.bias
        return unit(out) * np.float32(self.length)


def fit(
    method: Method, vectors: WordVectors, neighbours: Neighbours, hidden: frozenset[str], seed: int, step: Step
) -> Induction:
    """Learn from the words that the table knows.

    Args:
        method: one of METHODS, or another.
        vectors: V words, most frequent first as tables are.
        neighbours: the corpus; hidden words have no vector there.
        hidden: words that nothing may learn from.
        seed: of what is drawn.
        step: a unit a map, and one for the spelling.

    Raises:
        UserError: the corpus has too few words of the table.
    """
    pupils = _pupils(neighbours, seed)
    used = np.unique(np.concatenate(list(pupils.values())))
    length = float(np.median(np.linalg.norm(neighbours.vectors[used], axis=1)))
    speller = _speller(vectors, neighbours, used, hidden) if method.spelling else None
    step.advance()
    maps: dict[int, _Map] = {}
    for level, words in pupils.items() if method.mapped else ():
        wanted = unit(neighbours.vectors[words]).astype(np.float64)
        blocks = _blocks(method, neighbours, speller, words, level, seed)
        found = solve_features(blocks, wanted)
        cosines = (unit(found.loo.astype(np.float32)) * wanted).sum(axis=1)
        one = Fit(level, len(words), float(found.penalties[found.best]), float(cosines.mean()))
        maps[level] = _Map(found.weight, found.bias, one)
        step.advance()
    return Induction(method, neighbours, speller, maps, length, seed)


def _pupils(neighbours: Neighbours, seed: int) -> dict[int, Rows]:
    """For each level, known words that occur often enough; a third of them is left to learn spelling from."""
    counts = neighbours.corpus.counts
    known = np.random.default_rng(seed).permutation(np.flatnonzero(neighbours.known & neighbours.vectors.any(axis=1)))
    if len(known) < FEWEST:
        do = "Give more text, in the language of the table."
        raise UserError(f"a corpus with {FEWEST} words of the table", f"{len(known)}", do)
    pool = known[: max(FEWEST, 2 * len(known) // 3)]
    levels = {level: _alike(pool, counts[pool], level) for level in LEVELS}
    return {level: words for level, words in levels.items() if level == LEVELS[0] or len(words) >= FEWEST}


def _alike(pool: Rows, counts: NDArray[np.int64], level: int) -> Rows:
    """Words that occur at least so often, those first that do not occur much more often: new words are rare words."""
    rare = (counts >= level) & (counts < RARE * level)
    return np.concatenate([pool[rare], pool[counts >= RARE * level]])[:PUPILS]


def _speller(vectors: WordVectors, neighbours: Neighbours, used: Rows, hidden: frozenset[str]) -> Spelling:
    """Fitted on frequent words of the table that no map is fitted on: the maps must see honest guesses."""
    barred = hidden | {neighbours.corpus.words[at] for at in used}
    rows: list[int] = []
    for row, word in enumerate(vectors.words):
        if word not in barred:
            rows.append(row)
        if len(rows) == spelling.TRAINED_ON:
            break
    taught = [vectors.words[row] for row in rows]
    return spelling.fit(taught, unit(vectors.table[rows]), spelling.PENALTY, spelling.STEPS)


def _blocks(
    method: Method, neighbours: Neighbours, speller: Spelling | None, words: Rows, most: int, seed: int
) -> list[Table]:
    blocks: list[Table] = []
    if method.groups:
        at = occurrences(neighbours.corpus, words, most, seed)
        averages = neighbours.averages(at, method.groups, neighbours.weights(method.smooth, method.skipped))
        blocks += np.split(averages, len(method.groups), axis=1)
    if speller is not None:
        blocks.append(speller([neighbours.corpus.words[at] for at in words]))
    return blocks
