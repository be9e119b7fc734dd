"""`headstart sources`: what can be transferred from, and how it is had."""

from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.output import console, emit, table
from headstart.core.errors import UserError, did_you_mean

Glob = Annotated[str, typer.Argument(metavar="GLOB", help="Only names that match, such as 'wheel:*'.")]
Offline = Annotated[bool, typer.Option("--offline", help="Only what needs no network.")]
_HERE = ("cached", "local", "made")


def list_(glob: Glob = "*", offline: Offline = False, json: options.Json = False) -> None:
    """List the sources: what they were trained on, under which licence, and whether they are here already."""
    from headstart.sources import catalog

    known = catalog.known()
    matching = [e for e in known if _matches(e.name, glob)]
    if not matching:
        raise UserError("the name of a source, or a pattern", repr(glob), did_you_mean(glob, [e.name for e in known]))
    found = [e for e in matching if not offline or e.availability in _HERE]
    if json:
        emit({"sources": [asdict(e) for e in found]})
        return
    columns = ("name", "availability", "licence", "trained on", "examples", "note")
    rows = [
        (e.name, e.availability, e.licence or "not stated", e.trained_on, f"{e.n:,}" if e.n else "-", e.note)
        for e in found
    ]
    console().print(table(columns, rows, right=("examples",)))


def _matches(name: str, glob: str) -> bool:
    """`timm:NAME` stands for every name of that provider."""
    provider, _, rest = name.partition(":")
    return fnmatchcase(name, glob) or (rest.isupper() and glob.startswith(f"{provider}:"))
