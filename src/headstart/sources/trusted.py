"""Which files of weights are taken: those whose hash somebody has stated, and those whose origin the user trusts."""

from pathlib import Path

from headstart.core.errors import UserError
from headstart.sources import added


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
