"""Low-rank adapters (Hu et al. 2022, arXiv 2106.09685): a frozen weight, and a product of two thin matrices beside it.

They are parametrisations of torch, so that every net computes as before and none needs code of its own. A convolution's
kernel is taken as a matrix, outputs by the rest: for a kernel of one pixel that is the linear layer's case, for larger
ones it is a convolution into `rank` channels and a 1x1 convolution out of them.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from headstart.core.errors import UserError
from headstart.sources.card import Card

_INSIDE, _WEIGHT, _ORIGINAL = ".parametrizations.weight.", "weight", "original"


class LowRank(nn.Module):
    """What is added to a weight: up (out, r) times down (r, in); up starts at zero, so nothing is added at first.

    Args:
        weight: (out, in) or (out, in, h, w), of the layer.
        rank: r.
    """

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.flatten(1).shape
        self.up = nn.Parameter(weight.new_zeros(rows, rank))
        self.down = nn.Parameter(torch.empty(rank, columns).uniform_(-1, 1).to(weight) * columns**-0.5)

    def product(self) -> Tensor:
        """(out, in, ...), flat: the change of the weight."""
        return self.up @ self.down

    def forward(self, weight: Tensor) -> Tensor:
        """The weight with the change."""
        return weight + self.product().view(weight.shape)


def plain(name: str) -> str:
    """The name that a parameter has, or belongs to, where there are no adapters.

    >>> plain("trunk.fc.parametrizations.weight.original"), plain("trunk.fc.parametrizations.weight.0.up")
    ('trunk.fc.weight', 'trunk.fc.weight')
    """
    owner, inside, _ = name.partition(_INSIDE)
    return f"{owner}.{_WEIGHT}" if inside else name


def added(name: str) -> bool:
    """The parameter is an adapter's own."""
    return _INSIDE in name and not name.endswith(f"{_INSIDE}{_ORIGINAL}")


@contextmanager
def attached(net: nn.Module, card: Card, rank: int, seed: int) -> Generator[None]:
    """Adapters on the trunk's linear layers and convolutions; at the end they are part of the weights.

    The net has its own names and its own architecture again when this is left.

    Args:
        net: with a part `trunk`.
        card: of its source; the layers of its stages get adapters.
        rank: 0 adds none. Layers that have no more rows or columns than that are left alone: nothing would be thin.
        seed: of the adapters.

    Raises:
        UserError: the trunk has no layer that is larger than the rank.
    """
    layers = list(_layers(net, card, rank)) if rank else []
    if rank and not layers:
        came = f"{card.name}, which has none above rank {rank}"
        raise UserError("a net with linear layers or convolutions to adapt", came, "Choose another strategy or rank.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in layers:
            parametrize.register_parametrization(layer, _WEIGHT, LowRank(layer.weight, rank))
    try:
        yield
    finally:
        for layer in layers:
            _merge(layer)


def _layers(net: nn.Module, card: Card, rank: int) -> Iterator[nn.Linear | nn.Conv2d]:
    for name in (name for stage in card.stages for name in stage.parameters):
        owner, _, leaf = name.rpartition(".")
        if leaf != _WEIGHT:
            continue
        layer = net.get_submodule(f"trunk.{owner}".rstrip("."))
        if not isinstance(layer, nn.Linear | nn.Conv2d) or getattr(layer, "groups", 1) > 1:
            continue  # depthwise kernels are thin as they are
        if min(layer.weight.flatten(1).shape) > rank:
            yield layer


def _merge(layer: nn.Module) -> None:
    """In place: the weight keeps its memory format, and whoever holds it holds the new values."""
    inside = layer.get_submodule(f"parametrizations.{_WEIGHT}")
    weight, adapter = inside.get_parameter(_ORIGINAL), inside.get_submodule("0")
    assert isinstance(adapter, LowRank)
    with torch.no_grad():
        weight.add_(adapter.product().view(weight.shape))
    parametrize.remove_parametrizations(layer, _WEIGHT, leave_parametrized=False)
