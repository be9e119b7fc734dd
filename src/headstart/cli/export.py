"""`headstart export`: a delivered model as files that need no headstart."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from headstart.cli import options
from headstart.cli.output import console, emit
from headstart.cli.progress import progress
from headstart.core.errors import UserError

if TYPE_CHECKING:
    from headstart.export.bundle import Format

Examples = Annotated[
    list[str] | None,
    typer.Argument(metavar="[EXAMPLES...]", help="Files on which graph and run are compared."),
]
Onnx = Annotated[bool, typer.Option("--onnx", help="model.onnx, with a predictor beside it (the default).")]
Torch = Annotated[bool, typer.Option("--torch", help="model.pt2, for torch.export.load.")]
OpenVino = Annotated[bool, typer.Option("--openvino", help="model.xml, for OpenVINO.")]
Hub = Annotated[bool, typer.Option("--hub-folder", help="Also what headstart itself opens: record, card, weights.")]
Out = Annotated[str | None, typer.Option("--out", metavar="FOLDER", help="A new folder; RUN-<format> unless said.")]


def export(
    run: options.Run,
    examples: Examples = None,
    onnx: Onnx = False,
    torch: Torch = False,
    openvino: OpenVino = False,
    hub_folder: Hub = False,
    out: Out = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write the model of RUN as a graph with its preprocessing, a predictor and a model card."""
    asked = [name for name, wanted in (("onnx", onnx), ("torch", torch), ("openvino", openvino)) if wanted]
    if len(asked) > 1:
        raise UserError("one format", " and ".join(f"--{one}" for one in asked), "Export once for each.")
    from headstart.export.bundle import export as exported

    found = exported(
        Path(run),
        out=out,
        format=cast("Format", asked[0] if asked else "onnx"),
        examples=[Path(one) for one in examples or ()],
        hub=hub_folder,
        progress=progress(quiet),
    )
    if json:
        emit(asdict(found) | {"folder": str(found.folder)})
        return
    said = "not compared with the run: that takes --onnx and some examples"
    if found.compared is not None:
        said = f"says what the run says of {found.compared.n} examples, to {found.compared.difference:.1e}"
    console().print(f"{found.folder}: {said}", soft_wrap=True)
