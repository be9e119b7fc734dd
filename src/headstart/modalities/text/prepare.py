"""A text -> the token numbers that a source's card asks for. Stateless: nothing here is fitted."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.extras import require
from headstart.data.word_numbers import number, words
from headstart.sources.card import TextInput

KEPT = 50_000  # tokenised texts that are remembered: several sources with one tokenizer ask in turn


def tokens(text: str, taken: TextInput) -> NDArray[np.integer]:
    """(windows * window,) token numbers, each window from its own beginning on, empty positions filled up."""
    row = np.full((taken.windows, taken.window), taken.pad, dtype=np.int32 if taken.tokenizer else np.int64)
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


@lru_cache(maxsize=8)
def _tokenizer(text: str, window: int) -> Any:
    found = require("tokenizers", "text").Tokenizer.from_str(text)
    found.enable_truncation(window)
    found.no_padding()
    return found
