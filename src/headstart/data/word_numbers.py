"""Words of a text, and a number for each that is the same everywhere: no vocabulary has to be kept."""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from headstart.linear.cells import NUMBER

WORD = re.compile("\\w+(?:['\u2019]\\w+)*|[^\\w\\s]")


def words(text: str) -> Sequence[str]:
    """Lower-case words and single signs.

    >>> words("Don't panic!")
    ["don't", 'panic', '!']
    """
    return WORD.findall(text.casefold())


@lru_cache(maxsize=1_000_000)
def number(word: str) -> int:
    """From 1 on, below 2^63: that two words of a million share one is a chance of one in ten million."""
    return 1 + (int.from_bytes(blake2b(word.encode(), digest_size=8).digest()) >> 2)


def category(name: str) -> int:
    """From 1 on, below `NUMBER`: that two categories of a hundred share one is a chance of one in three thousand."""
    return 1 + number(name) % (NUMBER - 1)
