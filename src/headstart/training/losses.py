"""What a step of training minimises for each kind of task, and how right it counts as."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from headstart.core.predictions import Targets
from headstart.core.problem import Kind


@dataclass(frozen=True)
class Loss:
    """The loss of one kind of task.

    Attributes:
        of: (b, K) logits and the targets of a batch -> () mean loss.
        right: the same -> () the sum of how right each is: see `metrics.kinds.Answers.right`.
        dtype: of targets as a tensor.
    """

    of: Callable[[Tensor, Tensor], Tensor]
    right: Callable[[Tensor, Tensor], Tensor]
    dtype: torch.dtype

    def tensor(self, targets: Targets) -> Tensor:
        """Targets as the loss takes them."""
        return torch.as_tensor(targets).to(self.dtype)

    def blank(self, examples: int, outputs: int) -> Tensor:
        """Targets to time a step with."""
        shape = (examples, outputs) if self is LOSSES["multi-label"] else (examples,)
        return torch.zeros(shape, dtype=self.dtype)


def _hits(logits: Tensor, targets: Tensor) -> Tensor:
    return (logits.argmax(1) == targets).sum()


def _jaccard(logits: Tensor, targets: Tensor) -> Tensor:
    said, true = logits >= 0, targets > 0
    either = (said | true).sum(1)
    return torch.where(either > 0, (said & true).sum(1) / either.clamp(min=1), 1.0).sum()


def _off(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.mse_loss(logits[:, 0], targets)


def _explained(logits: Tensor, targets: Tensor) -> Tensor:
    """Numbers are trained in units of their deviation, so that a squared error is a share of the variance."""
    return (1 - (logits[:, 0] - targets) ** 2).sum()


LOSSES: Mapping[Kind, Loss] = MappingProxyType(
    {
        "classification": Loss(functional.cross_entropy, _hits, torch.int64),
        "multi-label": Loss(functional.binary_cross_entropy_with_logits, _jaccard, torch.float32),
        "regression": Loss(_off, _explained, torch.float32),
    }
)
