"""The formats that a graph is written in."""

import os
import sys
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch as pytorch
from torch import Tensor, nn
from torch.export import Dim
from torch.onnx.errors import OnnxExporterError

from headstart.core.errors import UserError
from headstart.core.extras import require
from headstart.export.operators import operators
from headstart.sources.card import ImageInput, Input, SeriesInput, TextInput
from headstart.sources.front import noise

OPSET = 18
TOKENS = 16  # of the text that is traced


def names(inputs: Sequence[Input]) -> list[str]:
    """Of the graph's inputs."""
    return [f"examples_{number}" for number in range(len(inputs))]


def onnx(model: nn.Module, inputs: Sequence[Input], folder: Path) -> None:
    """model.onnx, its weights in it.

    By tracing: the newer exporter writes a recurrent net out step by step, and with one length only.

    Raises:
        UserError: onnx is not installed, or the net does what ONNX has no word for.
    """
    require("onnx", "onnx")
    called = names(inputs)
    sizes = {name: _open(taken) for name, taken in zip(called, inputs, strict=True)}
    with pytorch.no_grad(), operators(OPSET), _silent(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing: what it takes for constants are constants
        try:
            pytorch.onnx.export(
                model, tuple(map(_example, inputs)), folder / "model.onnx", dynamo=False, opset_version=OPSET,
                input_names=called, output_names=["stated"], dynamic_axes=sizes,
            )  # fmt: skip
        except OnnxExporterError as error:
            came = str(error).splitlines()[0]
            raise UserError("a net that ONNX can say", came, "Export it with --torch instead.") from None


@contextmanager
def _silent() -> Generator[None]:
    """Standard output leads nowhere, for compiled code too: of a net that it cannot trace torch prints all it has."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def openvino(model: nn.Module, inputs: Sequence[Input], folder: Path) -> None:
    """model.xml and model.bin.

    Raises:
        UserError: onnx or openvino is not installed.
    """
    runtime = require("openvino", "fast")
    onnx(model, inputs, folder)
    runtime.save_model(runtime.convert_model(folder / "model.onnx"), folder / "model.xml", compress_to_fp16=False)
    (folder / "model.onnx").unlink()


def torch(model: nn.Module, inputs: Sequence[Input], folder: Path) -> None:
    """model.pt2, for `torch.export.load`; series are as long as the input says, NaN where there is padding."""
    longest = [noise(one, 1) if isinstance(one, SeriesInput) else _example(one) for one in inputs]
    sizes = [{} if isinstance(one, SeriesInput) else dict.fromkeys(_open(one), Dim.DYNAMIC) for one in inputs]
    with pytorch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing; and of weights that share storage, which are both kept
        program = pytorch.export.export(model, tuple(longest), dynamic_shapes=(tuple(sizes),), strict=False)
        pytorch.export.save(program, folder / "model.pt2")


def _example(taken: Input) -> Tensor:
    """Two pictures, two windows of a text, or one series."""
    if isinstance(taken, TextInput):
        return noise(taken, 2)[:, : min(taken.window, TOKENS)].long()
    return noise(taken, 1 if isinstance(taken, SeriesInput) else 2)


def _open(taken: Input) -> dict[int, str]:
    """Sizes that may be other than in the example, and what they count."""
    if isinstance(taken, TextInput):
        return {0: "windows", 1: "tokens"}
    if isinstance(taken, ImageInput):
        return {0: "pictures"}
    return {2: "steps"} if isinstance(taken, SeriesInput) and taken.padding == "behind" else {}
