"""`headstart predict`: labels and calibrated probabilities, or numbers, for new files."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli import options
from headstart.cli.output import console, emit, table
from headstart.cli.progress import progress

if TYPE_CHECKING:
    from headstart.runs import Prediction

Files = Annotated[list[str], typer.Argument(metavar="FILES...", help="The files to label.")]


def predict(run: options.Run, files: Files, json: options.Json = False, quiet: options.Quiet = False) -> None:
    """Label FILES with the model of RUN."""
    from headstart import api

    found = api.load(run).predict([Path(one) for one in files], progress(quiet))
    if json:
        emit({"predictions": [asdict(one) for one in found]})
        return
    columns = ("file", "label", "probability")
    if any(one.value is not None for one in found):
        columns = ("file", "number", "90 % within")
    rows = [(one.file, one.label, _sure(one)) for one in found]
    console().print(table(columns, rows, right=columns[1:] if columns[1] == "number" else columns[2:]))


def _sure(one: "Prediction") -> str:
    """How sure it is: the probability, or how far a number may be off."""
    if one.off is not None:
        return f"\N{PLUS-MINUS SIGN}{one.off:.3g}"
    return "" if one.probability is None else f"{one.probability:.3f}"
