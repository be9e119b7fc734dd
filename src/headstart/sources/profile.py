"""What a source looks like from input to output: the shape at each stage and the parameters that lead there."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headstart.sources.front import noise
from headstart.sources.source import Source


@dataclass(frozen=True)
class StageProfile:
    """One stage.

    Attributes:
        name: as in `--stage`.
        shape: of one example's output there, before pooling.
        features: after pooling.
        parameters: since the stage before.
        share: of the net's parameters up to here.
    """

    name: str
    shape: tuple[int, ...]
    features: int
    parameters: int
    share: float


def profile(source: Source) -> tuple[StageProfile, ...]:
    """The stages of a source, measured in one forward pass."""
    shapes = _shapes(source)
    counts = {name: p.numel() for name, p in source.model.named_parameters()}
    total = sum(counts[name] for stage in source.card.stages for name in stage.parameters)
    found: list[StageProfile] = []
    seen = 0
    for stage in source.card.stages:
        own = sum(counts[name] for name in stage.parameters)
        seen += own
        shape = shapes.get(stage.name, (stage.dim,))
        found.append(StageProfile(stage.name, shape, stage.dim, own, seen / max(total, 1)))
    return tuple(found)


def _shapes(source: Source) -> dict[str, tuple[int, ...]]:
    net = source.net(sum(source.card.new_head.outputs) or 1).eval()
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            shapes[name] = tuple(output.shape[1:])

        return hook

    for stage in source.card.stages:
        if stage.tap:
            net.trunk.get_submodule(stage.tap).register_forward_hook(note(stage.name))
    with torch.inference_mode():
        net.features(noise(source.input, 1))
    return shapes
