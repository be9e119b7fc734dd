"""`headstart predict`: labels and calibrated probabilities for new files."""

from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.output import console, emit, table
from headstart.cli.progress import progress

Files = Annotated[list[str], typer.Argument(metavar="FILES...", help="The files to label.")]


def predict(
    run: options.Run, files: Files, json: options.Json = False, quiet: options.Quiet = False
) -> None:
    """Label FILES with the model of RUN."""
    from headstart import api

    result = api.load(run)
    with progress(quiet).step("predict", total=None):
        found = result.predict(files)
    if json:
        emit(
            {
                "predictions": [
                    {
                        "file": str(p.file),
                        "label": p.label,
                        "probability": float(p.probability),
                        "probabilities": {name: float(value) for name, value in p.probabilities.items()},
                    }
                    for p in found
                ]
            }
        )
        return
    rows = [(str(p.file), p.label, f"{p.probability:.3f}") for p in found]
    console().print(table(("file", "label", "probability"), rows, right=("probability",)))
