"""The cells of a row as numbers that are the same everywhere: no list of categories has to be kept.

A cell is two numbers: its value, NaN where it has none, and what stands there: 0 nothing, `NUMBER` a number, else the
category's number. Category numbers are below 2^24, so that float32 keeps them; float16 would lose them, and the cache
sees that and keeps float32, so the values beside them are not rounded either.
"""

from headstart.data.word_numbers import number

NOTHING = 0
NUMBER = 2**24 - 1


def code(category: str) -> int:
    """From 1 on, below `NUMBER`: that two categories of a hundred share one is a chance of one in three thousand."""
    return 1 + number(category) % (NUMBER - 1)
