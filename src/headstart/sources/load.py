"""A name -> a source: `provider:name`, and surgery behind it: `timm:vgg16.tv_in1k+cut:features.21+size:160`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from headstart.core.errors import UserError, unknown_name
from headstart.core.progress import Progress, Silent
from headstart.sources.access import EVERYTHING, NOTHING_SPECIAL, Access
from headstart.sources.card import Card, Pooling
from headstart.sources.catalog import PROVIDERS, known
from headstart.sources.source import Source
from headstart.sources.surgery import FRESH, empty
from headstart.sources.trusted import check_licence

OPERATIONS: Mapping[str, Callable[[Source, str], Source]] = {
    "cut": lambda source, stage: source.cut_at(stage),
    "size": lambda source, side: source.at_size(_number(side)),
    "channels": lambda source, asked: source.widen_input(_number(asked)),
    "pool": lambda source, how: source.pooled(cast(Pooling, how)),
    "top": lambda source, net: source.topped(net),
    FRESH: lambda source, stage: source.reinitialised(stage),
}
MARK = re.compile(rf"\+(?=(?:{'|'.join(OPERATIONS)}):)")


def load(name: str, access: Access = NOTHING_SPECIAL, progress: Progress | None = None) -> Source:
    """Load a source by name, and operate on it as the name says.

    Args:
        name: as in `headstart sources list`; behind it, in this order of doing, `+cut:STAGE`, `+size:PIXELS`,
            `+channels:COUNT`, `+pool:HOW`, `+top:NET`, `+fresh:STAGE`.
        access: what is allowed.
        progress: told what is loaded.

    Raises:
        UserError: an unknown name, weights that cannot be had, or a licence that was not opted in to.
    """
    whole, *marks = MARK.split(name)
    provider, colon, rest = whole.partition(":")
    if not colon or provider not in PROVIDERS.names():
        raise unknown_name("source", name, [one.name for one in known()])
    with (progress or Silent()).step(f"source {name}"):
        source: Source = PROVIDERS.load(provider)(rest, access)
    check_licence(name, source.card.licence, access)
    for mark in marks:
        operation, _, value = mark.partition(":")
        source = OPERATIONS[operation](source, value)
    return source


def again(card: Card, *, offline: bool = False) -> Source:
    """The source that a finished run was made with.

    Raises:
        UserError: it cannot be had any more, or it is not what it was: its weights, its net or its preprocessing.
    """
    source, do = load(card.name, replace(EVERYTHING, offline=offline)), "The source has changed; fit again."
    if card.sha256 is not None and source.card.sha256 != card.sha256:
        raise UserError(f"{card.name} with sha256 {card.sha256}", str(source.card.sha256), do)
    if (source.card.architecture, source.card.input) != (card.architecture, card.input):
        raise UserError(f"{card.name} as the run was made with it", "another net or preprocessing", do)
    return source


def rebuild(card: Card) -> Source:
    """An empty net of a card's architecture with that card: the frame into which a run's own weights are loaded."""
    return Source(card, empty(card))


def _number(text: str) -> int:
    if not text.isdecimal():
        raise UserError("a whole number behind +size: or +channels:", repr(text), "Such as +size:160.")
    return int(text)
