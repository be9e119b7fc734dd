"""TimeNet: a stack of gated recurrent layers that has learned to reconstruct series (Malhotra et al. 2017).

Weights ship nowhere; `headstart pretrain` makes them. See arXiv 1706.08838.
"""

import torch
from torch import Tensor, nn

LAYERS, WIDTH = 3, 60
DROPPED = 0.0  # of what one layer hands to the next, while learning
VALUES = 0  # the plane of (b, 2, t) series that holds values; the other says where they are real


class Recurrent(nn.Module):
    """One recurrent layer that gives its states, and nothing beside them, so that it can be tapped.

    Args:
        taken: numbers a step.
        width: of the state.
    """

    def __init__(self, taken: int, width: int) -> None:
        super().__init__()
        self.gru = nn.GRU(taken, width, batch_first=True)

    def forward(self, steps: Tensor, start: Tensor | None = None) -> Tensor:
        """(b, t, taken) and (b, width) first states, zero where not given -> (b, t, width) states."""
        return self.gru(steps, None if start is None else start[None].contiguous())[0]


class TimeNet(nn.Module):
    """The encoder: three layers of 60 gated recurrent units; a step knows nothing of the steps behind it.

    Args:
        layers: one above the other.
        width: units in each.
    """

    def __init__(self, layers: int = LAYERS, width: int = WIDTH) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Recurrent(width if at else 1, width) for at in range(layers))
        self.dropped = nn.Dropout(DROPPED)  # of non-recurrent links alone

    def forward(self, given: Tensor) -> Tensor:
        """(b, 2, t) values and where they are real -> (b, t, layers * width): the states of all layers."""
        return torch.cat(self.states(given[:, VALUES, :, None]), dim=2)

    def states(self, steps: Tensor) -> list[Tensor]:
        """(b, t, 1) values -> (b, t, width) states of each layer."""
        found: list[Tensor] = []
        for at, layer in enumerate(self.layers):
            steps = layer(self.dropped(steps) if at else steps)
            found.append(steps)
        return found


class Decoder(nn.Module):
    """Reads a series out of the last states of an encoder, last step first.

    Args:
        layers: of the encoder.
        width: likewise.
    """

    def __init__(self, layers: int = LAYERS, width: int = WIDTH) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Recurrent(width if at else 1, width) for at in range(layers))
        self.dropped = nn.Dropout(DROPPED)
        self.value = nn.Linear(width, 1)

    def forward(self, before: Tensor, starts: list[Tensor]) -> Tensor:
        """(b, t) the value before each step in that order, and (b, width) first states a layer -> (b, t) values."""
        steps = before[:, :, None]
        for at, (layer, start) in enumerate(zip(self.layers, starts, strict=True)):
            steps = layer(self.dropped(steps) if at else steps, start)
        return self.value(steps)[:, :, 0]
