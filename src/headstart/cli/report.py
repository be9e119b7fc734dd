"""`headstart report`: the page of a run."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.output import emit_text

Open = Annotated[bool, typer.Option("--open", help="Show it in the browser.")]


def report(
    run: options.Run, open_: Open = False, no_thumbnails: options.NoThumbnails = False
) -> None:
    """Write the report of RUN from its record, and print the page's path."""
    from headstart import api

    page = api.report(Path(run), thumbnails=not no_thumbnails)
    emit_text(str(page))
    if open_:
        webbrowser.open(page.resolve().as_uri())
