"""The cells of a row as numbers that are the same everywhere: no list of categories has to be kept.

A cell is two numbers: its value, NaN where it has none, and what stands there: 0 nothing, `NUMBER` a number, else the
category's own (`headstart.data.word_numbers.category`). Those are below 2^24, so that float32 keeps them; float16 would
lose `NUMBER`, and the cache sees that and keeps float32, so the values beside it are not rounded either.
"""

NOTHING = 0
NUMBER = 2**24 - 1
