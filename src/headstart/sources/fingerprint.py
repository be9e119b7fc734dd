"""A source's fingerprint: what it makes of two generated examples, in six numbers.

Weights can load without an error into a net that pads, scales or normalises in another way; the features are then
wrong and nobody is told. The fingerprint that was stored when a source was verified tells.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from headstart.sources.card import Input, SeriesInput, TableInput, TextInput
from headstart.sources.front import noise, scaled
from headstart.sources.source import Source

TOLERANCE = 2e-3  # of the norm; other machines and torch versions stay far below it


def pictures(side: int) -> Tensor:
    """(2, side, side, 3) uint8: a coloured gradient and noise, by integer arithmetic, so equal everywhere."""
    at = torch.arange(side * side * 3).view(side, side, 3)
    gradient = (at * 255) // at.max()
    noise = (at * 1_103_515_245 + 12_345) // 65_536 % 256
    return torch.stack([gradient // torch.tensor([1, 2, 3]), noise]).to(torch.uint8)


def texts(windows: int, window: int, pad: int) -> Tensor:
    """(2, windows * window) token numbers of a short text and of one that takes two windows where there are as many."""
    at = torch.arange(windows * window)
    numbers = pad + 1 + at * 7_919 % 997
    lengths = torch.tensor([[min(16, window)], [min(window + 8, len(at))]])
    return numbers.where(at < lengths, pad)


def series(taken: SeriesInput) -> Tensor:
    """(2, channels, length) prepared series: a chirp, and a shorter saw with steps; by few operations."""
    at = torch.arange(taken.length, dtype=torch.float64)
    rows = torch.stack([torch.sin(at * at / (8 * taken.length)), (at % 29) / 29 + (at // 61) % 3])
    half = taken.length // 2
    short, gap = scaled(rows[1, :half], taken), rows[1, half:] * torch.nan
    other = torch.cat([short, gap] if taken.padding == "behind" else [gap, short])
    found = torch.stack([scaled(rows[0], taken), other]).float()
    return found[:, None].expand(-1, taken.channels or 1, -1).contiguous()


def examples(taken: Input) -> Tensor:
    """Two generated examples for that input."""
    if isinstance(taken, TextInput):
        return texts(taken.windows, taken.window, taken.pad)
    if isinstance(taken, SeriesInput):
        return series(taken)
    return noise(taken, 2) if isinstance(taken, TableInput) else pictures(taken.size)


def fingerprint(source: Source) -> tuple[float, ...]:
    """For each example: the norm of the last stage's features, and two projections of them on fixed signs."""
    features = source.tapper()(examples(source.input))[source.card.stage_names()[-1]].double()
    at = torch.arange(features.shape[1])
    signs = torch.stack([1.0 - 2.0 * (at % 2), 1.0 - 2.0 * (at // 7 % 2)]).double()
    numbers = torch.cat([features.norm(dim=1, keepdim=True), features @ signs.T], dim=1)
    return tuple(round(float(value), 5) for value in numbers.flatten())


def reproduced(found: Sequence[float], stored: Sequence[float]) -> bool:
    """Whether two fingerprints are of the same source."""
    a, b = torch.tensor(found).view(2, -1), torch.tensor(stored).view(2, -1)
    return bool(((a - b).abs() <= TOLERANCE * b[:, :1]).all())
