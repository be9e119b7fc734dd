"""What stands before a trunk: prepared examples -> what it takes, and how what it puts out becomes features."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.data.word_numbers import category, number
from headstart.linear.cells import NUMBER
from headstart.sources.card import ImageInput, Input, Pooling, SeriesInput, Stage, TableInput, TextInput
from headstart.sources.pooling import pooled, pooled_series, pooled_tokens

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R 601, as pictures are turned grey everywhere
FLAT = 1e-6  # of the largest value: a channel that moves less than float32 counts is constant
SOME = 1000  # token numbers that every vocabulary has
SPOKEN = ("the", "of", "and", "to", "in", "that", "for", "it", "was", "with", "on", "as", "he", "at", "by", "from")


class Seen(Protocol):
    """A batch as the trunk sees it."""

    @property
    def given(self) -> Tensor:
        """What the trunk takes."""
        ...

    def features(self, output: Tensor, stage: Stage, how: Pooling | None) -> Tensor:
        """What a stage put out -> (n, D) features."""
        ...


@dataclass(frozen=True)
class SeenPictures:
    """(n, channels, H, W) float32 as the weights want it, channels last in memory."""

    given: Tensor

    def features(self, output: Tensor, stage: Stage, how: Pooling | None) -> Tensor:
        """Maps and tokens of every picture, pooled over positions."""
        return pooled(output, stage.layout, how, stage.grid)


@dataclass(frozen=True)
class SeenTexts:
    """The windows of some texts, without positions that are empty in all of them.

    Args:
        given: (w, t) int64 token numbers.
        real: (w, t) where there is a token.
        text: (w,) the text, from 0, that a window is of.
        count: n texts.
    """

    given: Tensor
    real: Tensor
    text: Tensor
    count: int

    def features(self, output: Tensor, stage: Stage, how: Pooling | None) -> Tensor:  # noqa: ARG002 - tokens alike
        """(w, t, D) tokens -> (n, D): pooled over the real ones of all windows of a text."""
        return pooled_tokens(output, self.real, self.text, self.count, how)


@dataclass(frozen=True)
class SeenSeries:
    """Every channel of some series, one below the other, without steps that are padding in all of them.

    Args:
        given: (b, 2, t) values, 0 where there is padding, and 1 where there is none; b is series times channels.
        real: (b, t) where there is a step.
        channels: of each series.
    """

    given: Tensor
    real: Tensor
    channels: int

    def features(self, output: Tensor, stage: Stage, how: Pooling | None) -> Tensor:  # noqa: ARG002 - steps alike
        """(b, t, D) steps -> (n, channels * D'): pooled over the real ones, channels side by side."""
        return pooled_series(output, self.real, how).unflatten(0, (-1, self.channels)).flatten(1)


class PixelFront(nn.Module):
    """Normalises pictures; the statistics of the source stand in it.

    Args:
        taken: mean, deviation and order of the channels.
    """

    def __init__(self, taken: ImageInput) -> None:
        super().__init__()
        self.taken = taken
        mean, std = torch.tensor(taken.mean), torch.tensor(taken.std)
        self.scale = nn.Buffer((1 / (255 * std)).view(1, -1, 1, 1), persistent=False)
        self.shift = nn.Buffer((-mean / std).view(1, -1, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> SeenPictures:
        """(n, H, W, C) uint8 pixels -> what the trunk takes."""
        planes = channels(pixels.permute(0, 3, 1, 2), self.taken)
        given = torch.addcmul(self.shift, planes.float(), self.scale)
        return SeenPictures(given.contiguous(memory_format=torch.channels_last))


class TokenFront(nn.Module):
    """Cuts prepared texts into windows and leaves out what is empty in all of them.

    Args:
        taken: windows and the number of an empty position.
    """

    def __init__(self, taken: TextInput) -> None:
        super().__init__()
        self.taken = taken

    def forward(self, tokens: Tensor) -> SeenTexts:
        """(n, windows * window) token numbers -> what the trunk takes; a text without tokens keeps one window."""
        windows = tokens.long().unflatten(1, (-1, self.taken.window))
        real = windows != self.taken.pad
        used = real.any(dim=2)
        used[:, 0] = True
        text, at = used.nonzero(as_tuple=True)
        position = torch.arange(1, self.taken.window + 1, device=tokens.device)
        longest = max(int((real[text, at] * position).max()), 1)
        return SeenTexts(windows[text, at, :longest], real[text, at, :longest], text, len(tokens))


@dataclass(frozen=True)
class SeenRows:
    """(n, 2, columns) float32: the numbers, and what stands in each cell; see `headstart.linear.cells`."""

    given: Tensor

    def features(self, output: Tensor, stage: Stage, how: Pooling | None) -> Tensor:  # noqa: ARG002 - one a row
        """(n, D) as it is."""
        return output


class RowFront(nn.Module):
    """Rows go to the net as they are prepared: what is fitted to columns is the net's own.

    Args:
        taken: its columns.
    """

    def __init__(self, taken: TableInput) -> None:
        super().__init__()
        self.taken = taken

    def forward(self, rows: Tensor) -> SeenRows:
        """(n, 2, columns) prepared rows -> what the trunk takes."""
        return SeenRows(rows)


class SeriesFront(nn.Module):
    """Hands each channel to the net by itself, and leaves out padding behind all series.

    Padding before a series stays: nets that are trained with it see where they stand by counting from the end.

    Args:
        taken: channels and where the padding stands.
    """

    def __init__(self, taken: SeriesInput) -> None:
        super().__init__()
        self.taken = taken

    def forward(self, series: Tensor) -> SeenSeries:
        """(n, channels, length) prepared series, NaN where there is padding -> what the trunk takes."""
        rows = series.flatten(0, 1)
        if self.taken.padding == "behind":
            steps = torch.arange(1, rows.shape[1] + 1, device=rows.device)
            rows = rows[:, : max(int((~rows.isnan() * steps).max()), 1)]
        real = ~rows.isnan()
        return SeenSeries(torch.stack([rows.nan_to_num(), real.to(rows.dtype)], dim=1), real, series.shape[1])


FRONTS: Mapping[type[Input], Callable[..., nn.Module]] = {
    ImageInput: PixelFront,
    TextInput: TokenFront,
    TableInput: RowFront,
    SeriesInput: SeriesFront,
}


def front(taken: Input) -> nn.Module:
    """What stands before a trunk that takes such input."""
    return FRONTS[type(taken)](taken)


def noise(taken: Input, count: int) -> Tensor:
    """A prepared batch of examples that mean nothing; texts as long as a window is."""
    draw = torch.Generator().manual_seed(0)
    if isinstance(taken, TextInput):
        at = torch.randint(1, SOME, (count, taken.window), generator=draw)
        known = torch.tensor([number(word) for word in SPOKEN])
        row = torch.arange(count)[:, None]  # each has words of its own, also where the maximum over all is taken
        tokens = at + taken.pad if taken.tokenizer else known[(at % 5 + 3 * row) % len(known)]
        return functional.pad(tokens, (0, taken.window * (taken.windows - 1)), value=taken.pad)
    if isinstance(taken, TableInput):
        return _noisy_rows(taken, count, draw)
    if isinstance(taken, SeriesInput):
        walks = torch.randn(count, taken.channels or 1, taken.length, generator=draw).cumsum(dim=2)
        return scaled(walks, taken)
    shape = count, taken.size, taken.size, max(taken.channels, 3)
    return torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)


def _noisy_rows(taken: TableInput, count: int, draw: torch.Generator) -> Tensor:
    """Rows of numbers and known categories."""
    width = len(taken.columns) or 6
    rows = torch.stack([torch.randn(count, width, generator=draw), torch.full((count, width), float(NUMBER))], dim=1)
    for at, column in enumerate(taken.columns):
        if column.kind == "category":
            known = torch.tensor([float(category(name)) for name in column.categories or ("a", "b")])
            rows[:, 0, at] = torch.nan
            rows[:, 1, at] = known[torch.arange(count) % len(known)]
    return rows


def scaled(series: Tensor, taken: SeriesInput) -> Tensor:
    """(..., t) series without padding, each channel scaled as the input says; what is constant becomes zeros."""
    if taken.scale == "none":
        return series
    low, spread = series.mean(dim=-1, keepdim=True), series.std(dim=-1, correction=0, keepdim=True)
    if taken.scale == "range":
        low = series.amin(dim=-1, keepdim=True)
        spread = series.amax(dim=-1, keepdim=True) - low
    flat = spread <= FLAT * series.abs().amax(dim=-1, keepdim=True).clamp(min=FLAT)
    return torch.where(flat, 0.0, (series - low) / torch.where(flat, 1.0, spread))


def channels(planes: Tensor, taken: ImageInput) -> Tensor:
    """(n, C, H, W) planes as a reader gives them -> the channels that the net was trained on, in its order."""
    if taken.colour == "BGR":
        return planes.flip(1)
    if taken.colour == "L" and planes.shape[1] == len(LUMINANCE):
        weights = torch.tensor(LUMINANCE, device=planes.device).view(1, -1, 1, 1)
        return (planes * weights).sum(1, keepdim=True)
    return planes
