"""A text without some words of it, for occlusion."""

import re
from dataclasses import replace
from hashlib import sha256

from headstart.data.dataset import Item, Piece

WORD = re.compile(r"\S+")
PARTS = 40  # at most: a longer text is left out several words at a time
WORDS = 160  # from its beginning on that are tried


def spoken(item: Item) -> tuple[Piece, ...]:
    """The words of a text's beginning, in groups of equal size where they are many."""
    places = [found.span() for found in WORD.finditer(item.content)][:WORDS]
    size = -(-len(places) // PARTS)
    groups = [(places[at][0], places[min(at + size, len(places)) - 1][1]) for at in range(0, len(places), size or 1)]
    if len(groups) < 2:
        return ()
    return tuple(Piece(" ".join(item.content[a:b].split()), (), _without(item, a, b)) for a, b in groups)


def _without(item: Item, start: int, end: int) -> Item:
    text = f"{item.content[:start].rstrip()} {item.content[end:].lstrip()}".strip()
    return replace(item, content=text, key=sha256(text.encode()).hexdigest())
