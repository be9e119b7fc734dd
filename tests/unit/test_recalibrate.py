"""Statistics of the target: exactly those of its batches, in the norms that are named and nowhere else."""

import torch
from torch import nn

from headstart.training.recalibrate import recalibrate


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.LayerNorm(5))


def test_named_norms_get_the_mean_over_batches_and_others_stay() -> None:
    torch.manual_seed(1)
    batches = [torch.randn(8, 3, 5, 5) * 3 + 2 for _ in range(4)]
    one = net()
    kept = {name: value.clone() for name, value in one.state_dict().items()}
    recalibrate(one, ["0", "3"], batches)
    after = one.state_dict()
    means = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in batches]).mean(0)
    variances = torch.stack([batch.var(dim=(0, 2, 3)) for batch in batches]).mean(0)
    assert torch.allclose(after["0.running_mean"], means, atol=1e-5)
    assert torch.allclose(after["0.running_var"], variances, atol=1e-4)
    same = [name for name in kept if not name.startswith("0.running") and name != "0.num_batches_tracked"]
    assert all(torch.equal(kept[name], after[name]) for name in same)
    assert one[0].momentum == 0.1
    assert not one[0].training


def test_nothing_runs_where_no_norm_keeps_statistics() -> None:
    recalibrate(net(), ["3"], iter([torch.zeros(1)]))  # a batch that the net would refuse
