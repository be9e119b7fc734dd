"""`words.json`: what a corpus added to a table of word vectors, how good that is, and how far the old words moved.

Keys are never renamed within `schema: 1`; new ones may be added.
"""

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)


class TableRecord(_Part):
    """The table that was extended."""

    name: str
    sha256: str
    licence: str | None
    words: int
    width: int


class CorpusRecord(_Part):
    """What it was extended by."""

    name: str
    sha256: str
    texts: int
    tokens: int
    words: int
    known: int


class AddedWord(_Part):
    """A new word, and the known words that are nearest to it."""

    word: str
    occurrences: int
    near: tuple[str, ...]


class AddedRecord(_Part):
    """The new words: all that occur often enough, and the most frequent of them by name."""

    words: int
    at_least: int
    left_out: int
    first: tuple[AddedWord, ...]


class FitRecord(_Part):
    """A map from occurrences to vectors; see `headstart.words.induction.Fit`."""

    occurrences: int
    words: int
    penalty: float
    loo_cosine: float


class RanksRecord(_Part):
    """See `headstart.words.scores.Ranks`."""

    method: str
    words: int
    median: float
    mrr: float
    top10: float


class HiddenRecord(_Part):
    """Known words hidden from everything and induced again.

    `among`: words of the table that each true word was ranked with. `contexts`: at most so many occurrences.
    """

    among: int
    contexts: int
    ranks: tuple[RanksRecord, ...]


class TuningRecord(_Part):
    """See `headstart.words.tuning`; drift is a mean cosine distance of the known words that were tuned."""

    words: int
    known: int
    pull: float
    share: float
    drift: float
    largest: float
    without_going_back: float
    most: float
    errors: tuple[float, ...]


class SimilarityRecord(_Part):
    """Spearman's correlation with people's judgements, before and after."""

    name: str
    pairs: int
    left_out: int
    before: float
    after: float


class WordsRecord(_Part):
    """Everything that `headstart words extend` did."""

    schema_: int = Field(1, alias="schema")
    vectors: TableRecord
    corpus: CorpusRecord
    method: str
    added: AddedRecord
    fits: tuple[FitRecord, ...]
    hidden: HiddenRecord | None
    tuning: TuningRecord | None
    similarity: tuple[SimilarityRecord, ...]
    notes: tuple[str, ...]
    seed: int
    seconds: dict[str, float]
    versions: dict[str, str]

    def ranks(self, method: str) -> RanksRecord | None:
        """Those of a method, if words were hidden."""
        return next((r for r in self.hidden.ranks if r.method == method), None) if self.hidden else None
