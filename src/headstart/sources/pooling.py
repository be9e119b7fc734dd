"""Maps and tokens -> one vector of features."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from headstart.sources.card import Layout, Pooling

POWER = 3.0  # of the generalised mean: what Radenovic et al. 2018 start from, between the average and the maximum
LEAST = 1e-6  # a generalised mean is of positive numbers

Axes = tuple[int, ...]


def pooled(output: Tensor, layout: Layout = "NCHW", how: Pooling | None = None) -> Tensor:
    """(n, D, h, w) maps or (n, t, D) tokens -> (n, D) features; what is (n, D) already stays.

    Args:
        output: of a stage.
        layout: which axes of maps are channels.
        how: the average over positions where nothing is said.
    """
    if output.ndim not in (3, 4):
        return output
    positions = {3: (1,), 4: (2, 3) if layout == "NCHW" else (1, 2)}[output.ndim]
    return POOLINGS[how or "avg"](output, positions)


def average(output: Tensor, positions: Axes) -> Tensor:
    """The mean. The sum is float32 at least: in bfloat16 it would lose what the average is for."""
    return output.mean(dim=positions, dtype=torch.promote_types(output.dtype, torch.float32))


def maximum(output: Tensor, positions: Axes) -> Tensor:
    """Whether it is there at all, wherever."""
    return output.amax(dim=positions)


def generalised_mean(output: Tensor, positions: Axes) -> Tensor:
    """GeM, of power 3 (arXiv 1711.02512): an average that large values dominate."""
    return average(output.clamp(min=LEAST).float().pow(POWER), positions).pow(1 / POWER)


def class_token(output: Tensor, positions: Axes) -> Tensor:
    """The first token, which a transformer writes its summary into; for maps, which have none, the average."""
    return output[:, 0] if len(positions) == 1 else average(output, positions)


POOLINGS: Mapping[Pooling, Callable[[Tensor, Axes], Tensor]] = {
    "avg": average,
    "max": maximum,
    "gem": generalised_mean,
    "cls": class_token,
}
