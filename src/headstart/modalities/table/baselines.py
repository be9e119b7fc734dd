"""Tables without transfer: rows as they are, for the estimators that fit scales and categories inside the fold."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from headstart.linear.cells import NUMBER
from headstart.sources.card import Column, TableInput

BINS = 512  # of categories, in the raw input
MARK = 64  # numbers that stand for a row
PRIME = 1_000_003
LARGE = 2**31 - 1  # a prime, whose products with itself are whole numbers of 64 bits


@dataclass(frozen=True)
class Marks:
    """A direction for every row, by chance, the same for equal rows: one stage, "mark".

    What makes two rows copies is that they are equal; rows that are merely alike are the rule, not copies.
    """

    columns: tuple[Column, ...] = ()
    name: str = "raw"
    identity: str = "table-marks-2"

    @property
    def input(self) -> TableInput:
        """The columns of the table."""
        return TableInput(columns=self.columns)

    @property
    def widths(self) -> dict[str, int]:
        """Of the direction."""
        return {"mark": MARK}

    def tapper(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """(n, 2, columns) rows -> (n, MARK) between -1 and 1."""
        return _marked


def _marked(rows: Tensor) -> dict[str, Tensor]:
    """Universal hashing (Carter and Wegman 1979): products with fixed draws, modulo a prime."""
    bits = torch.nan_to_num(rows).contiguous().view(torch.int32).long().flatten(1) % LARGE
    draw = torch.Generator().manual_seed(0)
    of_place = torch.randint(1, LARGE, (bits.shape[1],), generator=draw)
    of_mark = torch.randint(1, LARGE, (MARK,), generator=draw)
    hashed = (bits * of_place % LARGE).sum(dim=1, keepdim=True) % LARGE
    return {"mark": (hashed * of_mark % LARGE / LARGE * 2 - 1).float()}


@dataclass(frozen=True)
class Values:
    """Numbers on a squashed scale and categories in bins by their hash: one stage, "values"."""

    columns: tuple[Column, ...] = ()
    name: str = "values"
    identity: str = "table-values-1"

    @property
    def input(self) -> TableInput:
        """The columns of the table."""
        return TableInput(columns=self.columns)

    @property
    def widths(self) -> dict[str, int]:
        """A number a column, and the bins."""
        return {"values": len(self.columns) + BINS}

    def tapper(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """(n, 2, columns) rows -> (n, columns + BINS)."""
        return _valued


def _valued(rows: Tensor) -> dict[str, Tensor]:
    numbers, what = torch.asinh(torch.nan_to_num(rows[:, 0])), rows[:, 1].round().long()
    bins = torch.zeros(len(rows), BINS)
    at = (torch.arange(what.shape[1]) * PRIME + what) % BINS
    bins.scatter_add_(1, at, (what != NUMBER).float())
    return {"values": torch.cat([numbers, bins], dim=1)}


@dataclass(frozen=True)
class Cells:
    """The cells as they are: the stages "numbers" and "what", see `headstart.linear.cells`."""

    columns: tuple[Column, ...] = ()
    name: str = "cells"
    identity: str = "table-cells-1"

    @property
    def input(self) -> TableInput:
        """The columns of the table."""
        return TableInput(columns=self.columns)

    @property
    def widths(self) -> dict[str, int]:
        """One each a column."""
        return {"numbers": len(self.columns), "what": len(self.columns)}

    def tapper(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """(n, 2, columns) rows -> twice (n, columns)."""
        return _both


def _both(rows: Tensor) -> dict[str, Tensor]:
    return {"numbers": rows[:, 0], "what": rows[:, 1]}
