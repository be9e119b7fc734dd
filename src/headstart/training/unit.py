"""The unit that numbers are trained in: deviations from the mean, of the training part. Other targets have none."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from headstart.core.errors import UserError
from headstart.core.predictions import Floats
from headstart.data.dataset import Dataset


@dataclass(frozen=True)
class Unit:
    """Where zero is, and how long one is.

    Attributes:
        centre: the mean of the numbers that are learned from.
        scale: their standard deviation.
    """

    centre: float = 0.0
    scale: float = 1.0

    @staticmethod
    def of(view: Dataset) -> "Unit":
        """Of the numbers of a training part; nothing changes in other kinds of task."""
        if view.task.kind != "regression":
            return Unit()
        return Unit(float(np.mean(view.targets)), float(np.std(view.targets)) or 1.0)

    def standard(self, view: Dataset) -> Dataset:
        """The same examples with their numbers in this unit."""
        return view if self == Unit() else replace(view, targets=(view.targets - self.centre) / self.scale)

    def within(self, weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
        """A linear layer that puts out plain numbers -> the one that puts them out in this unit."""
        return weight / self.scale, (bias - self.centre) / self.scale

    def leave(self, head: nn.Module) -> None:
        """Let a head that puts out numbers in this unit put out plain ones: its last layer takes the unit in.

        Raises:
            UserError: its last layer is not linear.
        """
        if self == Unit():
            return
        last = head[-1] if isinstance(head, nn.Sequential) else head
        if not isinstance(last, nn.Linear):
            raise UserError("a head that ends in a linear layer", type(last).__name__, "Leave with_head out.")
        with torch.no_grad():
            last.weight.mul_(self.scale)
            last.bias.mul_(self.scale).add_(self.centre)
