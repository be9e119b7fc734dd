"""`headstart report`: the page of a run."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.output import emit_text

Open = Annotated[bool, typer.Option("--open", help="Show it in the browser.")]


def report(run: options.Run, open_: Open = False, no_thumbnails: options.NoThumbnails = False) -> None:
    """Print the path of RUN's report, which is written again if it is missing or its pictures are to go."""
    from headstart.report import inputs
    from headstart.report.page import write

    inputs.record(Path(run))
    page = Path(run) / "report.html"
    if no_thumbnails or not page.is_file():
        page = write(Path(run))
    emit_text(str(page))
    if open_:
        webbrowser.open(page.resolve().as_uri())
