"""The net that is trained: a trunk whose stages can be tapped, and a head on its pooled last stage."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.sources.card import Card, Head, Stage
from headstart.sources.front import Seen, front


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
        trunk: takes what the front of its input gives: normalised (n, C, H, W) pixels, (w, t) token numbers. Its own
            classifier is gone.
        card: taps and input. Where the last stage has a tap the trunk was cut there, and nothing behind it is computed.
        outputs: of the head.
    """

    def __init__(self, trunk: nn.Module, card: Card, outputs: int) -> None:
        super().__init__()
        self.trunk = trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.card = card
        self.outputs = outputs
        self.head = new_head(card.features, outputs, card.new_head, len(card.head_classes))
        self.front = front(card.input)

    def forward(self, examples: Tensor) -> Tensor:
        """(n, ...) prepared examples -> (n, outputs) logits."""
        return self.head(self.features(examples))

    def features(self, examples: Tensor) -> Tensor:
        """(n, ...) prepared examples -> (n, card.features): what the head gets."""
        return self._last(self.front(examples))

    def stages(self, examples: Tensor) -> dict[str, Tensor]:
        """(n, ...) prepared examples -> pooled (n, D) features of every stage, in one pass."""
        found: dict[str, Tensor] = {}
        seen: Seen = self.front(examples)
        *early, last = self.card.stages
        handles = [
            self.trunk.get_submodule(stage.tap).register_forward_hook(self._keep(found, stage, seen)) for stage in early
        ]
        try:
            final = self._last(seen)
        finally:
            for handle in handles:
                handle.remove()
        found[last.name] = final
        return found

    def _last(self, seen: Seen) -> Tensor:
        last = self.card.stages[-1]
        output = until(self.trunk, last.tap, seen.given) if last.tap else self.trunk(seen.given)
        return seen.features(output, last, self.card.pooling)

    def _keep(
        self, found: dict[str, Tensor], stage: Stage, seen: Seen
    ) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            found[stage.name] = seen.features(output, stage, self.card.pooling)

        return hook


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
