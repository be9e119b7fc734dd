"""`headstart pretrain`: a source from data without labels."""

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.output import emit, emit_text
from headstart.cli.progress import showing, starting

Unlabelled = Annotated[
    list[str] | None,
    typer.Argument(metavar="DATA...", help="Files and folders of series or pictures; labels are not looked at."),
]
Out = Annotated[str, typer.Option("--out", metavar="SOURCE", help="A new folder: the source is file:SOURCE.")]
Generated = Annotated[
    int, typer.Option("--generated", metavar="N", min=0, help="Made series to learn from beside DATA.")
]
Size = Annotated[int, typer.Option("--size", metavar="PIXELS", help="Side of pictures.")]


def pretrain(
    data: Unlabelled = None,
    out: Out = "source",
    minutes: options.Minutes = 10,
    generated: Generated = 10_000,
    size: Size = 32,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Learn a net from DATA without labels: `headstart fit OTHER --source file:SOURCE` transfers from it."""
    with showing(quiet) as shown:
        with starting(shown):
            from headstart.pretraining.run import pretrain as learn  # it loads torch, which takes seconds

        done = learn(
            [Path(one) for one in data or ()],
            out=out,
            minutes=minutes,
            generated=generated,
            size=size,
            seed=seed,
            progress=shown,
        )
    if json:
        emit({"source": done.name, **done.record})
        return
    first, last = done.record["losses"][0]["loss"], done.record["losses"][-1]["loss"]
    emit_text(f"{done.name}: loss {first:.3f} -> {last:.3f} in {done.record['steps']:,} steps")
