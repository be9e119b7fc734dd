"""The net that is trained: a trunk whose stages can be tapped, and a head on its pooled last stage."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.sources.card import Card, Head, ImageInput, Stage
from headstart.sources.pooling import pooled

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R 601, as pictures are turned grey everywhere


class KeptHead(nn.Module):
    """Old classes first, new ones behind them: two linear layers, so that a rule can freeze one, "param:head.old.*".

    Args:
        features: that both read.
        old: classes that the source knows.
        new: classes to learn; their layer starts at zero.
    """

    def __init__(self, features: int, old: int, new: int) -> None:
        super().__init__()
        self.old = nn.Linear(features, old)
        self.new = _zero(nn.Linear(features, new))

    def forward(self, features: Tensor) -> Tensor:
        """(n, D) features -> (n, old + new) logits."""
        return torch.cat([self.old(features), self.new(features)], dim=1)


def new_head(features: int, outputs: int, spec: Head, old: int = 0) -> nn.Module:
    """A linear head, or hidden layers before it; the last layer starts at zero, so no class has a head start.

    Args:
        features: that it reads.
        outputs: of the last layer.
        spec: what was asked for.
        old: where the spec keeps old classes, how many there are.

    Raises:
        UserError: the head that was asked for has another number of outputs.
    """
    if spec.outputs and sum(spec.outputs) != outputs:
        came = f"a head of {' + '.join(map(str, spec.outputs))}"
        raise UserError(f"a head of {outputs} outputs", came, "Give with_head the task's own number.")
    if spec.keep and outputs > old:
        return KeptHead(features, old, outputs - old)
    last = _zero(nn.Linear(spec.widths[-1] if spec.widths else features, outputs))
    hidden = zip((features, *spec.widths), spec.widths, strict=False)
    layers = [layer for before, width in hidden for layer in (nn.Linear(before, width), nn.GELU())]
    return nn.Sequential(*layers, last) if layers else last


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class StagedNet(nn.Module):
    """A trunk whose stages can be tapped, and a head on its pooled last stage.

    Args:
        trunk: takes normalised (n, C, H, W) pixels; its own classifier is gone.
        card: taps and input statistics. Where the last stage has a tap the trunk was cut there, and nothing behind
            it is computed.
        outputs: of the head.
    """

    def __init__(self, trunk: nn.Module, card: Card, outputs: int) -> None:
        super().__init__()
        self.trunk = trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.card = card
        self.outputs = outputs
        self.head = new_head(card.features, outputs, card.new_head, len(card.head_classes))
        mean, std = torch.tensor(card.input.mean), torch.tensor(card.input.std)
        self.scale = nn.Buffer((1 / (255 * std)).view(1, -1, 1, 1), persistent=False)
        self.shift = nn.Buffer((-mean / std).view(1, -1, 1, 1), persistent=False)

    def normalise(self, pixels: Tensor) -> Tensor:
        """(n, H, W, C) uint8 pixels -> (n, channels, H, W) float32 as the weights want it, channels last in memory."""
        planes = channels(pixels.permute(0, 3, 1, 2), self.card.input)
        return torch.addcmul(self.shift, planes.float(), self.scale).contiguous(memory_format=torch.channels_last)

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, H, W, C) uint8 pixels -> (n, outputs) logits."""
        return self.head(self.features(pixels))

    def features(self, pixels: Tensor) -> Tensor:
        """(n, H, W, C) uint8 pixels -> (n, card.features): what the head gets."""
        last, given = self.card.stages[-1], self.normalise(pixels)
        output = until(self.trunk, last.tap, given) if last.tap else self.trunk(given)
        return pooled(output, last.layout, self.card.pooling, last.grid)

    def stages(self, pixels: Tensor) -> dict[str, Tensor]:
        """(n, H, W, C) uint8 pixels -> pooled (n, D) features of every stage, in one pass."""
        found: dict[str, Tensor] = {}
        *early, last = self.card.stages
        handles = [
            self.trunk.get_submodule(stage.tap).register_forward_hook(self._keep(found, stage)) for stage in early
        ]
        try:
            final = self.features(pixels)
        finally:
            for handle in handles:
                handle.remove()
        found[last.name] = final
        return found

    def _keep(self, found: dict[str, Tensor], stage: Stage) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            found[stage.name] = pooled(output, stage.layout, self.card.pooling, stage.grid)

        return hook


def channels(planes: Tensor, taken: ImageInput) -> Tensor:
    """(n, C, H, W) planes as a reader gives them -> the channels that the net was trained on, in its order."""
    if taken.colour == "BGR":
        return planes.flip(1)
    if taken.colour == "L" and planes.shape[1] == len(LUMINANCE):
        weights = torch.tensor(LUMINANCE, device=planes.device).view(1, -1, 1, 1)
        return (planes * weights).sum(1, keepdim=True)
    return planes


def until(net: nn.Module, name: str, given: Tensor) -> Tensor:
    """What a module of the net puts out for an input; nothing behind it runs."""
    handle = net.get_submodule(name).register_forward_hook(_stop)
    try:
        net(given)
    except _ReachedError as reached:
        return reached.output
    finally:
        handle.remove()
    raise AssertionError(f"the net never came to {name}")


class _ReachedError(Exception):
    """The cut was reached; carries what came out there."""

    def __init__(self, output: Tensor) -> None:
        self.output = output


def _stop(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
    raise _ReachedError(output)
