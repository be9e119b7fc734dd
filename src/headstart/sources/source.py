"""A source is a net plus a card, and never changes: fitting works on the fresh copies that `net` hands out."""

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.predictions import Floats
from headstart.sources.card import Card, ImageInput, Layout, Stage

CODE = "stages-2"  # part of every feature's key: change it when the same card would give other features


def pooled(output: Tensor, layout: Layout = "NCHW") -> Tensor:
    """Global average over positions: (n, D, h, w) maps or (n, t, D) tokens -> (n, D); (n, D) stays."""
    if output.ndim == 4:
        return output.mean(dim=(2, 3) if layout == "NCHW" else (1, 2))
    return output.mean(dim=1) if output.ndim == 3 else output


class StagedNet(nn.Module):
    """A trunk whose stages can be tapped, and a linear head on its pooled last stage.

    Args:
        trunk: maps normalised (n, 3, H, W) pixels to pooled (n, card.features); its own classifier is gone.
        card: taps and input statistics.
        outputs: of the head, which starts at zero.
    """

    def __init__(self, trunk: nn.Module, card: Card, outputs: int) -> None:
        super().__init__()
        self.trunk = trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.card = card
        self.head = nn.Linear(card.features, outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        mean, std = torch.tensor(card.input.mean), torch.tensor(card.input.std)
        self.scale = nn.Buffer((1 / (255 * std)).view(1, 3, 1, 1), persistent=False)
        self.shift = nn.Buffer((-mean / std).view(1, 3, 1, 1), persistent=False)

    def normalise(self, pixels: Tensor) -> Tensor:
        """(n, H, W, 3) uint8 RGB -> (n, 3, H, W) float32 as the weights want it, channels last in memory."""
        planes = pixels.permute(0, 3, 1, 2)
        if self.card.input.colour == "BGR":
            planes = planes.flip(1)
        return torch.addcmul(self.shift, planes.float(), self.scale).contiguous(memory_format=torch.channels_last)

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, H, W, 3) uint8 pixels -> (n, outputs) logits."""
        return self.head(self.trunk(self.normalise(pixels)))

    def stages(self, pixels: Tensor) -> dict[str, Tensor]:
        """(n, H, W, 3) uint8 pixels -> pooled (n, D) features of every stage, in one pass."""
        found: dict[str, Tensor] = {}
        tapped = [stage for stage in self.card.stages if stage.tap]
        handles = [self.trunk.get_submodule(stage.tap).register_forward_hook(_keep(found, stage)) for stage in tapped]
        try:
            last = self.trunk(self.normalise(pixels))
        finally:
            for handle in handles:
                handle.remove()
        found[self.card.stages[-1].name] = pooled(last)
        return found


def _keep(found: dict[str, Tensor], stage: Stage) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found[stage.name] = pooled(output, stage.layout)

    return hook


@dataclass(frozen=True)
class Source:
    """A net, pre-trained or untrained, with its card.

    Args:
        card: what is known of it.
        model: the full net with its own classifier, in eval mode; never handed out, only copied.
    """

    card: Card
    model: nn.Module

    @property
    def name(self) -> str:
        """provider:name."""
        return self.card.name

    @property
    def input(self) -> ImageInput:
        """Its preprocessing."""
        return self.card.input

    @property
    def identity(self) -> str:
        """sha256 of all that determines its features: weights, architecture, preprocessing, taps, this code."""
        digest = hashlib.sha256(CODE.encode())
        digest.update(self.card.input.model_dump_json().encode())
        digest.update(repr([(s.name, s.tap, s.dim) for s in self.card.stages]).encode())
        for name, tensor in self.model.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def net(self, outputs: int) -> StagedNet:
        """A fresh copy to train, with a new zero head of that many outputs on the last stage."""
        trunk = copy.deepcopy(self.model)
        trunk.reset_classifier(0)  # type: ignore[operator] # timm's contract
        return StagedNet(trunk, self.card, outputs)

    def tapper(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """A function from (n, H, W, 3) uint8 pixels to pooled features of every stage, nothing in it learning."""
        net = self.net(1).eval()

        def tap(pixels: Tensor) -> dict[str, Tensor]:
            with torch.inference_mode():
                return net.stages(pixels)

        return tap

    def own_head(self) -> tuple[Floats, Floats] | None:
        """(K, D) weight and (K,) bias of the source's own linear classifier; None when it has none."""
        head = self.model.get_submodule(self.card.head) if self.card.head else None
        if not isinstance(head, nn.Linear) or not self.card.head_classes:
            return None
        weight = head.weight.detach().double().numpy()
        without = cast("Tensor | None", head.bias) is None  # torch's annotation does not know of layers without
        return weight, np.zeros(len(weight)) if without else head.bias.detach().double().numpy()
