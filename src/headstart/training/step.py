"""One step of gradient descent: the task's loss, or pairs of examples, and whatever else the phase asks for."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from headstart.training.losses import LOSSES, Loss
from headstart.training.pairs import pair_loss

Extra = Callable[[Any, Tensor], Tensor]  # the net, the examples -> what a step costs beside its loss


def descend(
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    given: Tensor,
    targets: Tensor,
    extras: Sequence[Extra] = (),
    *,
    pairs: bool = False,
    task: Loss = LOSSES["classification"],
) -> tuple[Tensor, Tensor]:
    """One step; mean loss before it, and how many examples were right, both still on the device."""
    optimiser.zero_grad(set_to_none=True)
    if pairs:
        features: Tensor = cast(Any, net).features(given)
        logits, loss = cast(Any, net).head(features.detach()), pair_loss(features, targets)
    else:
        logits = net(given)
        loss = task.of(logits, targets)
    sum((extra(net, given) for extra in extras), start=loss).backward()
    optimiser.step()
    return loss.detach(), task.right(logits.detach(), targets)
