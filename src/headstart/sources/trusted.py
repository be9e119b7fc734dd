"""Which weights are taken: by their licence, and by a stated hash or the user's trust in their origin."""

from pathlib import Path

from headstart.core.errors import UserError
from headstart.sources import added
from headstart.sources.access import Access
from headstart.sources.card import Licence


def check_licence(name: str, licence: Licence, access: Access) -> None:
    """Refuse weights whose licence is not stated or forbids commercial use, unless the user opted in.

    Args:
        name: of the source.
        licence: of its weights.
        access: what the user allows.

    Raises:
        UserError: the licence does not permit it.
    """
    if not (access.any_licence or licence.commercial):
        stated = licence.name or "no stated licence"
        raise UserError("a source whose licence permits commercial use", f"{name}: {stated}", "Opt in: --licence any")


def check(path: Path, sha256: str, *, trust: bool, stated: str | None = None) -> None:
    """Refuse a file that nobody has vouched for, before anything in it is read.

    Args:
        path: of the file, or the folder that holds its parts.
        sha256: that it has.
        trust: whether its origin is trusted: by the user, or because its authors published its hash.
        stated: that it must have, in hexadecimal, where it was stated.

    Raises:
        UserError: another hash than the stated one; or no statement, no entry of `sources add`, and no trust.
    """
    if stated is not None and sha256 != stated.strip().lower():
        raise UserError(f"{path} with sha256 {stated}", sha256, "It is not the file that was named; it was not read.")
    if stated is not None or trust or sha256 in {one.sha256 for one in added.entries()}:
        return
    do = "Where you trust its origin: --trust. Only weights are read either way."
    raise UserError("a file whose sha256 is known", f"{path} ({sha256})", do)
