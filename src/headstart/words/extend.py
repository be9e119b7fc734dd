"""A table of word vectors extended by a corpus: its new words added, its known words tuned, and all of it judged.

Judged first: known words are hidden from the table, from the contexts and from every fit, induced again from a few of
their occurrences, and ranked; plain averages of the same occurrences stand beside. Then nothing is hidden.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from headstart.core.errors import UserError, unknown_name
from headstart.core.progress import Progress, Silent
from headstart.words import cooccurrence, induction, record, scores, tuning
from headstart.words.contexts import Neighbours, Rows, known_vectors
from headstart.words.corpus import Corpus
from headstart.words.induction import DEFAULT, LEVELS, METHODS
from headstart.words.vectors import Pair, Table, WordVectors

HIDDEN, CONTEXTS = 500, 8
SHARE_HIDDEN = 4  # at most one of so many known words is hidden
CONTROLS = ("additive", "additive-no-stop")
SHOWN, NEAR = 20, 3
NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Asked:
    """What the user may choose.

    Attributes:
        method: a name of `headstart.words.induction.METHODS`.
        at_least: occurrences that a word needs.
        drift: mean cosine distance that known words may move; 0 leaves them where they are.
        hidden: known words that are hidden to judge by; 0 judges nothing.
        seed: of what is drawn.
        pull: of known and new words towards where they were, in tuning.
    """

    method: str = DEFAULT
    at_least: int = 5
    drift: float = 0.02
    hidden: int = HIDDEN
    seed: int = 0
    pull: float = tuning.PULL


@dataclass(frozen=True, eq=False)
class Extended:
    """The larger table, and what is known about it."""

    words: tuple[str, ...]
    table: Table
    record: record.WordsRecord


def extend(
    vectors: WordVectors,
    corpus: Corpus,
    asked: Asked | None = None,
    *,
    name: str = "corpus",
    pairs: Mapping[str, Sequence[Pair]] | None = None,
    progress: Progress | None = None,
) -> Extended:
    """Add the new words of a corpus to a table, and tune what both have.

    Args:
        vectors: V words; they are not changed.
        corpus: read in the table's case (`vectors.lower_case`).
        asked: None takes the defaults.
        name: of the corpus, for the record.
        pairs: judged similarities by name; scored before and after.
        progress: told on the way.

    Returns:
        The V words in their order, then the new ones, most frequent first.

    Raises:
        UserError: an unknown method, or a corpus that shares too few words with the table.
    """
    asked, told, clock = asked or Asked(), progress or Silent(), _Clock()
    _check(asked)
    hidden = _judge(vectors, corpus, asked, told)
    clock.note("judge")
    neighbours = known_vectors(corpus, vectors.rows, vectors.table, NOTHING)
    new, left_out = _new(neighbours, asked.at_least)
    with told.step("learn from known words", _units(asked.method)) as step:
        inducer = induction.fit(METHODS[asked.method], vectors, neighbours, NOTHING, asked.seed, step)
    made = inducer(new)
    clock.note("induce")
    words = (*vectors.words, *(corpus.words[at] for at in new))
    table = np.concatenate([np.asarray(vectors.table, np.float32), made])
    tuned = _tune(vectors, neighbours, new, table, asked, told)
    clock.note("tune")
    after = WordVectors(vectors.name, words, table, vectors.sha256, vectors.licence)
    similarity = tuple(_similarity(title, some, vectors, after) for title, some in (pairs or {}).items())
    added = record.AddedRecord(
        words=len(new), at_least=asked.at_least, left_out=left_out, first=_first(corpus, new, after)
    )
    clock.note("compare")
    said = record.WordsRecord(
        schema=1, vectors=_table_record(vectors), corpus=_corpus_record(name, neighbours), method=asked.method,
        added=added, fits=tuple(record.FitRecord(**asdict(one)) for one in inducer.fits), hidden=hidden, tuning=tuned,
        similarity=similarity, notes=_notes(asked, len(new), hidden), seed=asked.seed, seconds=clock.seconds,
        versions={"headstart": _version("headstart"), "numpy": np.__version__},
    )  # fmt: skip
    return Extended(words, table, said)


def _check(asked: Asked) -> None:
    if asked.method not in METHODS:
        raise unknown_name("method of induction", asked.method, METHODS)
    if asked.at_least < 1:
        raise UserError("at least one occurrence of a new word", str(asked.at_least), "Give 1 or more.")
    if not 0 <= asked.drift <= 1:
        raise UserError("a drift from 0 to 1", f"{asked.drift:g}", "0.02 is the default; 0 tunes nothing.")
    if asked.hidden < 0:
        raise UserError("a number of hidden words", str(asked.hidden), "Give 0 to judge nothing.")


def _units(method: str) -> int:
    return 1 + len(LEVELS) * METHODS[method].mapped


def _judge(vectors: WordVectors, corpus: Corpus, asked: Asked, told: Progress) -> record.HiddenRecord | None:
    """Ranks of hidden words, ours and the controls', from the same occurrences."""
    everything = known_vectors(corpus, vectors.rows, vectors.table, NOTHING)
    frequent = np.flatnonzero(everything.known & (corpus.counts >= asked.at_least) & _spelt(corpus))
    chosen = np.random.default_rng(asked.seed).permutation(frequent)[: min(asked.hidden, len(frequent) // SHARE_HIDDEN)]
    if not len(chosen):
        return None
    names = frozenset(corpus.words[at] for at in chosen)
    rows = np.array([vectors.rows[corpus.words[at]] for at in chosen])
    neighbours = known_vectors(corpus, vectors.rows, vectors.table, names)
    methods = tuple(dict.fromkeys((asked.method, *CONTROLS)))
    found: list[record.RanksRecord] = []
    with told.step(f"rank {len(chosen)} hidden words", sum(map(_units, methods))) as step:
        for method in methods:
            inducer = induction.fit(METHODS[method], vectors, neighbours, names, asked.seed, step)
            ranks = scores.ranks(inducer(chosen, CONTEXTS), rows, vectors.directions)
            found.append(record.RanksRecord(method=method, **asdict(scores.summary(ranks))))
            step.note(f"{method}: median rank {found[-1].median:,.0f}")
    return record.HiddenRecord(among=len(vectors.words), contexts=CONTEXTS, ranks=tuple(found))


def _spelt(corpus: Corpus) -> NDArray[np.bool_]:
    """(N,) words with a letter: numbers are no new words."""
    return np.array([any(c.isalpha() for c in word) for word in corpus.words])


def _new(neighbours: Neighbours, at_least: int) -> tuple[Rows, int]:
    """New words that occur often enough, most frequent first, and how many others there are."""
    counts = neighbours.corpus.counts
    new = np.flatnonzero(~neighbours.known & _spelt(neighbours.corpus))
    often = new[counts[new] >= at_least]
    return often[np.argsort(-counts[often], kind="stable")], len(new) - len(often)


def _tune(
    vectors: WordVectors, neighbours: Neighbours, new: Rows, table: Table, asked: Asked, told: Progress
) -> record.TuningRecord | None:
    """Tune the rows of the table in place: the most frequent words of the corpus, known and new."""
    if not asked.drift:
        return None
    corpus = neighbours.corpus
    is_new = np.zeros(len(corpus.words), bool)
    is_new[new] = True
    often = np.flatnonzero((neighbours.known | is_new) & (corpus.counts >= asked.at_least))
    words = often[np.argsort(-corpus.counts[often], kind="stable")][: tuning.MOST_WORDS]
    place = {int(at): len(vectors.words) + i for i, at in enumerate(new)}
    rows = np.array([place[at] if at in place else vectors.rows[corpus.words[at]] for at in words.tolist()], np.intp)
    known, before = ~is_new[words], table[rows]
    with told.step(f"tune {len(words):,} words", tuning.SWEEPS) as step:
        together = cooccurrence.count(corpus, words)
        done = tuning.tune(together, before, known, pull=asked.pull, most=asked.drift, step=step)
    table[rows] = done.table
    moved = scores.drift(before[known], done.table[known])
    return record.TuningRecord(
        words=len(words), known=int(known.sum()), pull=asked.pull, share=done.share, drift=done.drift,
        largest=float(moved.max(initial=0.0)), without_going_back=done.asked, most=asked.drift, errors=done.errors,
    )  # fmt: skip


def _similarity(title: str, pairs: Sequence[Pair], before: WordVectors, after: WordVectors) -> record.SimilarityRecord:
    """On the pairs that the table knew before, so that both numbers speak of the same."""
    old = [pair for pair in pairs if all(w in before.rows or w.lower() in before.rows for w in pair[:2])]
    was, now = before.spearman(old), after.spearman(old)
    return record.SimilarityRecord(
        name=title, pairs=was.pairs, left_out=len(pairs) - was.pairs, before=was.rho, after=now.rho
    )


def _first(corpus: Corpus, new: Rows, after: WordVectors) -> tuple[record.AddedWord, ...]:
    return tuple(
        record.AddedWord(
            word=corpus.words[at],
            occurrences=int(corpus.counts[at]),
            near=tuple(one.word for one in after.near(corpus.words[at], NEAR)),
        )
        for at in new[:SHOWN]
    )


def _notes(asked: Asked, new: int, hidden: record.HiddenRecord | None) -> tuple[str, ...]:
    said: list[str] = []
    if not new:
        said.append(f"No new word occurs {asked.at_least} times or more; the known ones were tuned.")
    if hidden is None:
        said.append("No word was hidden: nothing says how good the new vectors are.")
    elif hidden.ranks[0].method not in CONTROLS and hidden.ranks[0].median >= min(r.median for r in hidden.ranks[1:]):
        said.append("Plain averages do as well on this corpus: the new vectors are not to be trusted.")
    return tuple(said)


def _table_record(vectors: WordVectors) -> record.TableRecord:
    words, width = vectors.table.shape
    return record.TableRecord(
        name=vectors.name, sha256=vectors.sha256, licence=vectors.licence.name, words=words, width=width
    )


def _corpus_record(name: str, neighbours: Neighbours) -> record.CorpusRecord:
    corpus = neighbours.corpus
    return record.CorpusRecord(
        name=name, sha256=corpus.sha256, texts=corpus.texts, tokens=corpus.tokens, words=len(corpus.words),
        known=int(neighbours.known.sum()),
    )  # fmt: skip


def _version(package: str) -> str:
    try:
        return version(package)
    except ModuleNotFoundError:
        return "from source"


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def note(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name], self._last = round(now - self._last, 2), now
