"""`headstart report`: the page of a run or a comparison, or of several runs side by side."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import completion, options
from headstart.cli.output import emit_text

Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...",
        help="The folder of a finished run or comparison, or several runs.",
        autocompletion=completion.runs,
    ),
]
Open = Annotated[bool, typer.Option("--open", help="Show it in the browser.")]
Out = Annotated[
    str | None,
    typer.Option("--out", metavar="FILE", help="Page of several runs; side-by-side.html beside the first unless said."),
]


def report(runs: Runs, open_: Open = False, no_thumbnails: options.NoThumbnails = False, out: Out = None) -> None:
    """Write the report of RUN again and print its path; of several runs, one page with all of them side by side."""
    page = (
        _side_by_side(runs, out)
        if len(runs) > 1 or out is not None
        else _one(Path(runs[0]), thumbnails=not no_thumbnails)
    )
    emit_text(str(page))
    if open_:
        webbrowser.open(page.resolve().as_uri())


def _one(folder: Path, *, thumbnails: bool) -> Path:
    from headstart.report import comparison, page

    if (folder / comparison.RECORD).is_file():
        return comparison.write(folder)
    return page.write(folder, thumbnails=thumbnails)


def _side_by_side(runs: list[str], out: str | None) -> Path:
    from headstart.report import several

    folders = [Path(run) for run in runs]
    return several.write(folders, folders[0].resolve().parent / several.NAME if out is None else Path(out))
