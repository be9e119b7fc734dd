"""`headstart predict`: labels and calibrated probabilities for new files."""

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.output import console, emit, table
from headstart.cli.progress import progress

Files = Annotated[list[str], typer.Argument(metavar="FILES...", help="The files to label.")]


def predict(run: options.Run, files: Files, json: options.Json = False, quiet: options.Quiet = False) -> None:
    """Label FILES with the model of RUN."""
    from headstart import api

    found = api.load(run).predict([Path(one) for one in files], progress(quiet))
    if json:
        emit(
            {
                "predictions": [
                    {
                        "file": p.file,
                        "label": p.label,
                        "probability": p.probability,
                        "probabilities": p.probabilities,
                    }
                    for p in found
                ]
            }
        )
        return
    rows = [(p.file, p.label, f"{p.probability:.3f}") for p in found]
    console().print(table(("file", "label", "probability"), rows, right=("probability",)))
