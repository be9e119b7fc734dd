"""Holding on to old classes while new ones are learned, without a single picture of the old ones.

What a net knows of its old classes stands in its weights: pictures are dreamed that its classifier takes for them and
whose maps have the statistics that its batch-norm layers remember (Yin et al. 2020, DeepInversion). New classes are
learned beside these dreams (Smith et al. 2021, Always Be Dreaming), and the features under the head are held near what
they were, on both (Jung et al. 2016, Less-forgetting Learning). Freezing the old classes' weights is not enough: with
nothing but new pictures, a larger bias for new classes is all that there is to learn.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.core.errors import UserError
from headstart.features import devices
from headstart.sources.front import PixelFront
from headstart.sources.pooling import pooled
from headstart.sources.staged import KeptHead, StagedNet

# benchmarks/results/kept_head.json measures these; they were chosen on sources and draws that it leaves out.
FEATURES = 5.0  # weight of what held features moved by; 3 forgets more, 10 learns less
AT_A_STEP = 32  # dreams looked at in a step of training
BATCH = 200  # pictures dreamed at a time: their statistics are compared with those of the whole source task
STEPS = 200  # of dreaming
RATE = 0.1  # of dreaming
STATISTICS = 10.0  # weight of the batch-norm statistics against the classifier's cross-entropy
JITTER = 2  # pixels that a dream is shifted by, so that it does not live on single pixels


@dataclass(frozen=True)
class Hold:
    """The net as it was, and what it dreams of its old classes.

    Args:
        teacher: the net before it learns anything new.
        pixels: (m, H, W, C) uint8 dreams.
        targets: (m,) the old class of each.
    """

    teacher: StagedNet
    pixels: Tensor
    targets: Tensor

    def batch(self, seed: int) -> tuple[Tensor, Tensor]:
        """Some dreams and their classes, chosen by chance."""
        order = np.random.default_rng(seed).permutation(len(self.targets))[:AT_A_STEP]
        chosen = torch.from_numpy(order)
        return self.pixels[chosen], self.targets[chosen]

    def loss(self, net: StagedNet, new: Tensor, dreams: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of the dreams among all classes, and how far features moved, on new pictures and dreams.

        Args:
            net: the net in training.
            new: (b, H, W, C) new pictures.
            dreams: (m, H, W, C) dreams.
            targets: (m,) their classes.
        """
        every = torch.cat([new, dreams])
        features = net.features(every)
        with torch.no_grad():
            before = self.teacher.features(every)
        moved = (features - before).square().sum(1).mean() / before.square().sum(1).mean()
        return functional.cross_entropy(net.head(features[len(new) :]), targets) + FEATURES * moved


def hold(net: nn.Module, count: int, seed: int) -> Hold:
    """Remember a net that is about to learn new classes.

    Args:
        net: with a head that keeps old classes.
        count: pictures to dream of each.
        seed: of the dreams.

    Raises:
        UserError: the net keeps no old classes, or has no batch-norm layers to remember statistics.
    """
    if not isinstance(net, StagedNet) or not isinstance(net.head, KeptHead):
        raise UserError("a source that keeps its old classes", "one that does not", "Use source.with_head(keep=True).")
    teacher = copy.deepcopy(net).eval().requires_grad_(False)
    targets = torch.arange(net.head.old.out_features).repeat(count)
    made = [dream(teacher, part, seed + at, STEPS) for at, part in enumerate(targets.split(BATCH))]
    return Hold(teacher, torch.cat(made), targets)


def dream(net: StagedNet, targets: Tensor, seed: int, steps: int) -> Tensor:
    """(m, H, W, C) uint8 pictures that a net takes for these (m,) classes.

    Raises:
        UserError: the net has no batch-norm layers.
    """
    norms = [m for m in net.trunk.modules() if isinstance(m, nn.BatchNorm2d) and m.running_mean is not None]
    if not norms:
        raise UserError("a net with batch-norm layers, to dream from", net.card.name, "Leave hold out of the phase.")
    device = devices.of(net)
    chance = np.random.default_rng([seed, len(targets)])
    front = _front(net)
    shape = (len(targets), front.taken.channels, front.taken.size, front.taken.size)
    planes = torch.from_numpy(chance.standard_normal(shape, dtype=np.float32)).to(device).requires_grad_(True)
    darkest, brightest = front.shift, front.shift + 255 * front.scale
    optimiser = torch.optim.Adam([planes], lr=RATE)
    apart: list[Tensor] = []
    handles = [norm.register_forward_hook(_compare(apart)) for norm in norms]
    try:
        for _ in range(steps):
            apart.clear()
            shift = [int(s) for s in chance.integers(-JITTER, JITTER + 1, 2)]
            output = net.trunk(planes.roll(shift, (2, 3)))
            last = net.card.stages[-1]
            logits = _old(net)(pooled(output, last.layout, net.card.pooling, last.grid))
            loss = functional.cross_entropy(logits, targets.to(device)) + STATISTICS * torch.stack(apart).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                planes.clamp_(darkest, brightest)
    finally:
        for handle in handles:
            handle.remove()
    return _pixels(net, planes.detach())


def _old(net: StagedNet) -> nn.Module:
    """The classifier that a dream must please: of the old classes alone."""
    return net.head.old if isinstance(net.head, KeptHead) else net.head


def _front(net: StagedNet) -> PixelFront:
    assert isinstance(net.front, PixelFront), "nets with batch-norm over maps take pictures"
    return net.front


def _pixels(net: StagedNet, planes: Tensor) -> Tensor:
    """The inverse of what a front does."""
    front = _front(net)
    values = ((planes - front.shift) / front.scale).round().clamp(0, 255)
    values = values.flip(1) if front.taken.colour == "BGR" else values
    return values.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu()


def _compare(apart: list[Tensor]) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    """A hook that notes how far a batch's statistics are from those that a layer remembers, in its own units."""

    def hook(norm: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, spread = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), unbiased=False).add(1e-8).sqrt()
        unit = norm.running_var.mean()
        off = (mean - norm.running_mean).square().mean() + (spread - norm.running_var.sqrt()).square().mean()
        apart.append(off / unit)

    return hook
