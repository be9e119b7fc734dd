"""Learning from pairs: features of examples of one class are drawn together, those of two classes apart."""

import torch
from torch import Tensor
from torch.nn import functional


def pair_loss(features: Tensor, targets: Tensor) -> Tensor:
    """Mean squared distance of cosines from 1 for pairs of one class, plus that from 0 for pairs of two.

    SetFit (Tunstall et al. 2022, arXiv 2209.11055) draws pairs and pays two forward passes for each. Here every pair of
    a batch counts: of b examples b (b - 1) / 2, for b passes. Both kinds weigh the same, however many there are.

    Args:
        features: (b, D).
        targets: (b,) label codes.

    Returns:
        () the loss; 0 of a kind that the batch has no pair of.
    """
    directions = functional.normalize(features)
    cosines = directions @ directions.T
    alike = targets[:, None] == targets
    once = torch.ones_like(alike).triu(diagonal=1)
    loss = cosines.new_zeros(())
    for wanted, kind in ((1.0, alike & once), (0.0, ~alike & once)):
        if bool(kind.any()):
            loss = loss + ((cosines[kind] - wanted) ** 2).mean()
    return loss
