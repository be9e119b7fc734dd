"""The weights inside ONNX files: initializers by name. The graph is not run, and other files are not followed."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.errors import UserError
from headstart.core.extras import require
from headstart.sources.formats.checks import said, shown, sound, there


def read(path: Path) -> dict[str, NDArray[Any]]:
    """Initializers by name; bfloat16 becomes float32.

    Raises:
        UserError: the package onnx is not installed, the file is damaged or keeps its numbers elsewhere, or something
            other than finite numbers is in it.
    """
    onnx, numpy_helper = require("onnx", "onnx"), require("onnx.numpy_helper", "onnx")
    try:
        graph = onnx.load(there(path), load_external_data=False).graph
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - a parser's own errors; they are of an optional package
        raise UserError("an ONNX file", f"{path}: damaged ({said(error)})", "Download it again.") from None
    if len(graph.sparse_initializer):
        raise UserError("plain tensors", f"{path}: sparse initializers", "Export it without them.")
    found: dict[str, NDArray[Any]] = {}
    for tensor in graph.initializer:
        if tensor.name in found:
            raise UserError("one tensor a name", f"{path}: {shown(tensor.name)} twice", "Export it again.")
        found[tensor.name] = _numbers(path, tensor, onnx.TensorProto.EXTERNAL, numpy_helper.to_array)
    return sound(path, found)


def _numbers(path: Path, tensor: Any, external: int, to_array: Any) -> NDArray[Any]:
    if tensor.data_location == external or len(tensor.external_data):
        came = f"{path}: {shown(tensor.name)} lies in another file"
        raise UserError("an ONNX file that holds its weights", came, "Save it again with the data inside.")
    try:
        array = np.array(to_array(tensor))  # a copy: its own would be a view of the file, and read-only
    except Exception as error:  # noqa: BLE001 - sizes that do not fit raise whatever the package raises
        came = f"{path}: {shown(tensor.name)} is damaged ({said(error)})"
        raise UserError("initializers whose shape is their size", came, "Export it again.") from None
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
