"""A name -> a source."""

from headstart.core.errors import UserError, unknown_name
from headstart.core.progress import Progress, Silent
from headstart.sources.card import Card
from headstart.sources.catalog import PROVIDERS, WHEELS
from headstart.sources.source import Source
from headstart.sources.surgery import empty


def load(name: str, *, offline: bool = False, any_licence: bool = False, progress: Progress | None = None) -> Source:
    """Load a source by `provider:name`.

    Args:
        name: as in `headstart sources list`.
        offline: make no network call.
        any_licence: also take weights whose licence is not stated or forbids commercial use.
        progress: told what is loaded.

    Raises:
        UserError: an unknown name, weights that cannot be had, or a licence that was not opted in to.
    """
    provider, colon, rest = name.partition(":")
    if not colon or provider not in PROVIDERS.names():
        raise unknown_name("source", name, [f"wheel:{wheel}" for wheel in WHEELS] + ["timm:NAME", "random:ARCH"])
    with (progress or Silent()).step(f"source {name}"):
        source: Source = PROVIDERS.load(provider)(rest, offline=offline)
    licence = source.card.licence
    if not (any_licence or licence.commercial):
        stated = licence.name or "no stated licence"
        raise UserError("a source whose licence permits commercial use", f"{name}: {stated}", "Opt in: --licence any")
    return source


def rebuild(card: Card) -> Source:
    """An empty net of a card's architecture with that card: the frame into which a run's own weights are loaded."""
    return Source(card, empty(card))
