"""Series without transfer: the values themselves, stretched to one length, and whole, for what compares shapes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from headstart.sources.card import SeriesInput

STRETCHED = SeriesInput(channels=None, length=512, padding="none")
WHOLE = SeriesInput(channels=None, length=2048, scale="none")  # levels tell speakers apart: JapaneseVowels


@dataclass(frozen=True)
class Stretched:
    """Every channel stretched to its share of 512 steps: one stage, "values"."""

    name: str = "raw"
    identity: str = "series-stretched-1"
    input: SeriesInput = STRETCHED

    @property
    def widths(self) -> dict[str, int]:
        """One number a step, whatever the channels."""
        return {"values": STRETCHED.length}

    def tapper(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """(n, channels, steps) prepared series -> (n, 512)."""
        return lambda series: {"values": _flat(series, STRETCHED.length)}


@dataclass(frozen=True)
class Whole:
    """Every channel as long as it is, up to its share of 2,048 steps: what MiniRocket and DTW read.

    Two stages: "shape" is the number of channels and of steps, "values" the channels one behind the other, each filled
    up with zeros.
    """

    name: str = "whole"
    identity: str = "series-whole-2"
    input: SeriesInput = WHOLE

    @property
    def widths(self) -> dict[str, int]:
        """Whatever the channels."""
        return {"shape": 2, "values": WHOLE.length}

    def tapper(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """(n, channels, steps) prepared series -> (n, 2) and (n, 2048)."""
        return _whole


def _whole(series: Tensor) -> dict[str, Tensor]:
    long = (~series[:, 0].isnan()).sum(dim=1)
    shape = torch.stack([torch.full_like(long, series.shape[1]), long], dim=1).float()
    return {"shape": shape, "values": _flat(series.nan_to_num(), WHOLE.length)}


def _flat(series: Tensor, width: int) -> Tensor:
    rows = series.flatten(1).float()
    return torch.nn.functional.pad(rows, (0, width - rows.shape[1]))


RAW = Stretched()
SHAPES = Whole()
