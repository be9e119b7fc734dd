"""How often words stand near each other: GloVe's counts, 1/distance a pair, over a corpus."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from headstart.words.contexts import Rows
from headstart.words.corpus import BREAK, Corpus

REACH = 10


@dataclass(frozen=True, eq=False)
class Cooccurrence:
    """Counts of pairs.

    Attributes:
        words: (n,) numbers of the words in the corpus.
        counts: (n, n) symmetric, sparse; the diagonal is empty.
    """

    words: Rows
    counts: sparse.csr_matrix


def count(corpus: Corpus, words: Rows, reach: int = REACH) -> Cooccurrence:
    """Pairs of these words at most `reach` apart within a text; memory grows with the pairs that occur."""
    position = np.full(len(corpus.words) + 1, -1, np.int32)
    position[words] = np.arange(len(words))
    text, passage = position[corpus.codes], np.cumsum(corpus.codes == BREAK, dtype=np.int32)
    total = sparse.csr_matrix((len(words), len(words)), dtype=np.float32)
    for apart in range(1, min(reach, len(text) - 1) + 1):
        left, right = text[:-apart], text[apart:]
        both = (left >= 0) & (right >= 0) & (passage[:-apart] == passage[apart:]) & (left != right)
        weight = np.full(int(both.sum()), 1 / apart, np.float32)
        pairs = (np.minimum(left[both], right[both]), np.maximum(left[both], right[both]))
        total = total + sparse.coo_matrix((weight, pairs), shape=total.shape).tocsr()
    return Cooccurrence(words, (total + total.T).tocsr())
