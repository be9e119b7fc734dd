"""A Keras VGG16 that was exported to ONNX: its convolutions, which lie there as torch has them already."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headstart.core.errors import UserError

KERNEL = re.compile(r".*/block(\d)_conv(\d)_\d+/convolution/ReadVariableOp:0")


def trunk(names: Mapping[str, NDArray[Any]], model: nn.Module) -> dict[str, Tensor]:
    """The thirteen convolutions of timm's `vgg16`; the layers that the exporter put behind them are left out.

    Raises:
        UserError: the file holds another number of convolutions.
    """
    convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    found = sorted((match[1], match[2], name) for name in names if (match := KERNEL.fullmatch(name)))
    if len(found) != len(convolutions):
        came = f"{len(found)} of them"
        raise UserError(f"{len(convolutions)} convolutions named blockN_convM", came, "Take the file it was made for.")
    state: dict[str, Tensor] = {}
    for module, (_, _, kernel) in zip(convolutions, found, strict=True):
        state[f"{module}.weight"] = torch.from_numpy(names[kernel].copy())
        state[f"{module}.bias"] = torch.from_numpy(
            names[kernel.replace("convolution/ReadVariableOp", "Squeeze")].copy()
        )
    return state
