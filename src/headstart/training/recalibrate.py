"""Batch-norm statistics of the target in place of the source's (AdaBN, Li et al. 2017, arXiv 1603.04779)."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

_KINDS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def recalibrate(net: nn.Module, names: Sequence[str], batches: Iterable[Tensor]) -> None:
    """Set the running means and variances of some norms to those of the batches; nothing else moves.

    Args:
        net: takes the batches.
        names: of modules; those that keep no statistics are passed over.
        batches: of examples, each counting alike.
    """
    found = map(net.get_submodule, names)
    norms = [norm for norm in found if isinstance(norm, _KINDS) and norm.running_mean is not None]
    if not norms:
        return
    before = [norm.momentum for norm in norms]
    net.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for the plain mean over batches
        norm.train()
    with torch.no_grad():
        for batch in batches:
            net(batch)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
        norm.eval()
