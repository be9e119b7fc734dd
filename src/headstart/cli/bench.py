"""`headstart bench`: every way of computing a source's features on this machine, timed on the user's own examples."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli import options
from headstart.cli.output import console, emit, plain, table
from headstart.cli.progress import progress

if TYPE_CHECKING:
    from headstart.features.probe import Trial


def bench(
    data: options.Data,
    source: Annotated[str | None, typer.Option("--source", metavar="SOURCE", help="Whose features.")] = None,
    target: options.Target = None,
    licence: options.Licence = None,
    offline: options.Offline = False,
    trust: options.Trust = False,
    allow_missing: options.AllowMissing = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Time every backend and precision on a few examples of DATA, and compare what they give with float32."""
    from headstart import checkup

    allowed = options.access(licence, offline, trust, allow_missing)
    source, trials = checkup.bench(data, source, target=target, access=allowed, progress=progress(quiet))
    if json:
        emit({"source": source, "trials": [_facts(one) for one in trials]})
        return
    columns = ("backend", "precision", "examples/s", "start, s", "cosine", "worst", "points", "refused")
    rows = [
        (
            one.mode.backend, one.mode.precision, f"{1 / one.cost.example:.0f}", f"{one.cost.start:.1f}",
            f"{one.cosine:.5f}", f"{one.worst:.5f}", f"{100 * one.moved:+.1f}", plain(one.refused),
        )
        for one in trials
    ]  # fmt: skip
    console().print(table(columns, rows, right=("examples/s", "start, s", "cosine", "worst", "points")))


def _facts(one: "Trial") -> dict[str, Any]:
    return {
        "backend": one.mode.backend, "exact": one.mode.exact, "precision": one.mode.precision,
        "examples_per_second": 1 / one.cost.example, "start_seconds": one.cost.start, "cosine": one.cosine,
        "worst": one.worst, "moved": one.moved, "refused": one.refused or None,
    }  # fmt: skip
