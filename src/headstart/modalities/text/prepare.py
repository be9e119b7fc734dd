"""A text -> the token numbers that a source's card asks for. Stateless: nothing here is fitted."""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.extras import require
from headstart.sources.card import TextInput

WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")
NUMBERS = 2**24 - 1  # of words: float32, in which features are kept, counts that far
KEPT = 50_000  # tokenised texts that are remembered: several sources with one tokenizer ask in turn


def tokens(text: str, taken: TextInput) -> NDArray[np.int32]:
    """(windows * window,) token numbers, each window from its own beginning on, empty positions filled up."""
    row = np.full((taken.windows, taken.window), taken.pad, dtype=np.int32)
    for at, window in enumerate(windows(text, taken)[: taken.windows]):
        row[at, : len(window)] = window
    return row.ravel()


@lru_cache(maxsize=KEPT)
def windows(text: str, taken: TextInput) -> tuple[tuple[int, ...], ...]:
    """The token numbers of all windows of a text, also of those that are too many."""
    if not taken.tokenizer:
        found = [number(word) for word in words(text)]
        return tuple(tuple(found[at : at + taken.window]) for at in range(0, len(found), taken.window))
    encoded = _tokenizer(taken.tokenizer, taken.window).encode(text)
    return tuple(tuple(one.ids) for one in (encoded, *encoded.overflowing))


def words(text: str) -> Sequence[str]:
    """Lower-case words and single signs.

    >>> words("Don't panic!")
    ["don't", 'panic', '!']
    """
    return WORD.findall(text.casefold())


@lru_cache(maxsize=1_000_000)
def number(word: str) -> int:
    """The same for a word everywhere, from 1 on; that two words share one is one chance in sixteen million."""
    return 1 + int.from_bytes(blake2b(word.encode(), digest_size=8).digest()) % NUMBERS


@lru_cache(maxsize=8)
def _tokenizer(text: str, window: int) -> Any:
    found = require("tokenizers", "text").Tokenizer.from_str(text)
    found.enable_truncation(window)
    found.no_padding()
    return found
