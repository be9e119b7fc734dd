"""What the user allows when sources are loaded. Loads no framework."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Access:
    """Permissions, none of them given unless said.

    Attributes:
        offline: make no network call.
        any_licence: also weights whose licence is not stated, or forbids commercial use.
        trust: also files whose hash nobody has stated; still only weights are read from them.
        allow_missing: globs of the names of weights that need not be loaded, on either side ("head.*").
    """

    offline: bool = False
    any_licence: bool = False
    trust: bool = False
    allow_missing: tuple[str, ...] = ()


NOTHING_SPECIAL = Access()
EVERYTHING = Access(any_licence=True, trust=True, allow_missing=("*",))  # for what a finished run states the hash of
