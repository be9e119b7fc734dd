"""The pull to where a phase began: L2-SP (Li et al. 2018, arXiv 1802.01483)."""

import torch
from torch import Tensor, nn

from headstart.training.groups import Rates


class Pull:
    """A penalty on how far the trunk's trained parameters are from where they are now.

    It is part of the loss, not a decay beside the optimiser: what is sought is the paper's balance between the loss
    and the distance, whatever the optimiser makes of gradients.

    Args:
        net: at the start of a phase.
        rates: which of its parameters learn.
        strength: a of a/2 ||w - w0||^2.
    """

    def __init__(self, net: nn.Module, rates: Rates, strength: float) -> None:
        learning = (p for name, p in net.named_parameters() if name.startswith("trunk.") and rates[name] is not None)
        self.pairs = [(parameter, parameter.detach().clone()) for parameter in learning]
        self.strength = strength

    def loss(self) -> Tensor:
        """The penalty, a number."""
        apart = [(parameter - start).square().sum() for parameter, start in self.pairs]
        return self.strength / 2 * torch.stack(apart).sum() if apart else torch.zeros(())
