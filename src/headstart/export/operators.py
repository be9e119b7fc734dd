"""What the tracing exporter has no words for, in words of ONNX; it knows them while a graph is written."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

# As torch's pages have them.
from torch.onnx import (
    register_custom_op_symbolic,  # pyright: ignore[reportPrivateImportUsage]
    unregister_custom_op_symbolic,  # pyright: ignore[reportPrivateImportUsage]
)
from torch.onnx.symbolic_helper import parse_args  # pyright: ignore[reportPrivateImportUsage]

LAST = -1


@contextmanager
def operators(opset: int) -> Generator[None]:
    """The exporter knows them within.

    Args:
        opset: that a graph is written in.
    """
    for name, said in WORDS.items():
        register_custom_op_symbolic(name, said, opset)
    try:
        yield
    finally:
        for name in WORDS:
            unregister_custom_op_symbolic(name, opset)


@parse_args("v", "i", "i", "s")
def _rfft(graph: Any, rows: Any, points: int, axis: int, norm: str | None) -> Any:
    """(n, t) float32 -> (n, points // 2 + 1, 2): real and imaginary parts, as ONNX has no complex numbers.

    The transform of both sides is cut: OpenVINO has another shape in mind where ONNX asks for one side.
    """
    assert axis == LAST, "what is transformed is the last axis"
    assert norm is None, "in the forward direction nothing is scaled"

    def at(*sizes: int) -> Any:
        return graph.op("Constant", value_t=torch.tensor(sizes))

    size = graph.op("Constant", value_t=torch.tensor(points))
    both = graph.op("DFT", graph.op("Unsqueeze", rows, at(LAST)), size, axis_i=1)
    return graph.op("Slice", both, at(0), at(points // 2 + 1), at(1))


def _view_as_real(graph: Any, values: Any) -> Any:  # noqa: ARG001 - there is nothing to be done
    """Complex numbers are pairs already; see `_rfft`."""
    return values


@parse_args("v", "is", "v", "f")
def _rms_norm(graph: Any, values: Any, shape: list[int], weight: Any, eps: float | None) -> Any:
    """(..., D) divided by the root of its mean square, times (D,) weights."""
    assert len(shape) == 1, "over the last axis"
    axes = graph.op("Constant", value_t=torch.tensor([LAST]))
    least = graph.op("Constant", value_t=torch.tensor(torch.finfo(torch.float32).eps if eps is None else eps))
    mean = graph.op("ReduceMean", graph.op("Mul", values, values), axes)
    return graph.op("Mul", graph.op("Div", values, graph.op("Sqrt", graph.op("Add", mean, least))), weight)


WORDS: Mapping[str, Callable[..., Any]] = {
    "aten::fft_rfft": _rfft,
    "aten::view_as_real": _view_as_real,
    "aten::rms_norm": _rms_norm,
}
