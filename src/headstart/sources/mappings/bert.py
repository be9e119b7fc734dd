"""BERTs: as sentence-transformers saves them, and as they come out of an export to ONNX."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from headstart.core.errors import UserError

OUR, POSITIONS = "model.", "embeddings.position_ids"  # a counter that older files carry
EXPORTED, PRODUCT = "model.0.auto_model.", re.compile(r"onnx::MatMul_(\d+)")


def sentence_transformer(weights: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:  # noqa: ARG001
    """The encoder's own names; the pooler is not read by any sentence-transformer."""
    return {f"{OUR}{k}": v for k, v in weights.items() if not k.startswith("pooler.") and k != POSITIONS}


def onnx_export(weights: Mapping[str, Any], model: nn.Module) -> dict[str, Tensor]:
    """What has a name keeps it; kernels have lost theirs, but lie in the order in which they are used, turned over.

    Raises:
        UserError: there are not as many kernels as linear layers.
    """
    named = {OUR + k.removeprefix(EXPORTED): v for k, v in weights.items() if k.startswith(EXPORTED)}
    kernels = sorted((int(match[1]), v) for k, v in weights.items() if (match := PRODUCT.fullmatch(k)))
    layers = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if len(kernels) != len(layers):
        do = "Take the file it was made for."
        raise UserError(f"{len(layers)} kernels of a BERT", f"{len(kernels)} of them", do)
    turned = {f"{layer}.weight": kernel.T for layer, (_, kernel) in zip(layers, kernels, strict=True)}
    return {name: torch.from_numpy(array.copy()) for name, array in {**named, **turned}.items()}
