"""Fracast-0's encoder of series: one block of causal convolutions, applied at dilations 1, 2, 4, ... 512.

The weights ship in the package fracast (Apache-2.0); this is its net, written for what the released config asks.
Besides the values it sees how far each step is from the last one, and the phase of the strongest periods that a
periodogram finds.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH, HIDDEN, SPAN, DILATIONS = 64, 96, 3, 10
PERIODS, SIGNIFICANT = 4, 0.05
RECENCY = 5
SCALES = 4  # frequencies that a dilation is told by
TINY = 1e-12


class SwiGlu(nn.Module):
    """A gated layer."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(WIDTH, 2 * HIDDEN)
        self.down = nn.Linear(HIDDEN, WIDTH)

    def forward(self, steps: Tensor) -> Tensor:
        """(b, t, D) -> (b, t, D)."""
        gate, value = self.up(steps).chunk(2, dim=-1)
        return self.down(functional.silu(gate) * value)


def normed(norm: nn.Module, steps: Tensor) -> Tensor:
    """A norm in float32, as its weights are, whatever the precision around it."""
    return norm(steps.float())


class Block(nn.Module):
    """A causal convolution a channel, a layer over channels, and a gated layer, each added and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.dw_weight = nn.Parameter(torch.empty(WIDTH, 1, SPAN))
        self.dw_bias = nn.Parameter(torch.zeros(WIDTH))
        self.pw = nn.Linear(WIDTH, WIDTH)
        self.ffn = SwiGlu()
        self.norm1, self.norm2 = nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH)
        nn.init.kaiming_uniform_(self.dw_weight, a=5**0.5)

    def forward(self, steps: Tensor, dilation: int) -> Tensor:
        """(b, t, D) -> (b, t, D)."""
        before = functional.pad(steps.transpose(1, 2), ((SPAN - 1) * dilation, 0))
        seen = functional.conv1d(before, self.dw_weight, self.dw_bias, dilation=dilation, groups=WIDTH)
        steps = normed(self.norm1, steps + self.pw(seen.transpose(1, 2)))
        return normed(self.norm2, steps + self.ffn(steps))


class Scale(nn.Module):
    """Tells the shared block at which dilation it is: a factor and a shift for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.to_gb = nn.Linear(2 * SCALES, 2 * WIDTH)
        nn.init.zeros_(self.to_gb.weight)
        nn.init.zeros_(self.to_gb.bias)

    def forward(self, steps: Tensor, dilation: int) -> Tensor:
        """(b, t, D) -> (b, t, D)."""
        angle = math.log2(dilation) / 2.0 ** torch.arange(SCALES, dtype=torch.float32, device=steps.device) * math.pi
        factor, shift = self.to_gb(torch.cat([angle.sin(), angle.cos()])).chunk(2)
        return steps * (1 + factor) + shift


class Periodic(nn.Module):
    """The phase of each step in the strongest periods of its series."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(2 * PERIODS, WIDTH)

    def forward(self, values: Tensor, real: Tensor) -> Tensor:
        """(b, t) values and where they are real -> (b, t, D)."""
        found = periods(values, real)[:, None, :]
        at = torch.arange(values.shape[1], dtype=torch.float32, device=values.device)[None, :, None]
        angle = 2 * math.pi * at / found.clamp(min=1)
        phases = torch.stack([angle.sin(), angle.cos()], dim=-1) * (found > 0)[..., None]
        return self.proj(phases.flatten(2))


def periods(values: Tensor, real: Tensor) -> Tensor:
    """(b, 4) whole periods, strongest first: local maxima of the periodogram that noise would hardly give; else 0."""
    length = values.shape[1]
    mean = (values * real).sum(1, keepdim=True) / real.sum(1, keepdim=True).clamp(min=1)
    centred = torch.where(real, values, mean)
    centred = centred - centred.mean(dim=1, keepdim=True)
    points = 1 << math.ceil(math.log2(max(2, length)))
    power = torch.view_as_real(torch.fft.rfft(centred, n=points)).square().sum(dim=2)[:, 1:]
    share = power / power.sum(dim=1, keepdim=True).clamp(min=TINY)
    count = share.shape[1]
    longest = max(2, length // 2)
    bins = torch.arange(count, device=values.device)
    allowed = (bins >= max(0, points // longest - 1)) & (bins <= min(count - 1, points // 2 - 1))
    beside = functional.pad(share, (1, 1), value=math.inf)
    loud = share >= math.log(max(2, count) / SIGNIFICANT) / max(2, count)
    peak = (share > beside[:, :-2]) & (share > beside[:, 2:]) & loud & allowed
    strength, at = share.where(peak, -math.inf).topk(min(PERIODS, count), dim=1)
    found = torch.round(points / (at + 1)).where(strength.isfinite(), 0)
    return functional.pad(found, (0, PERIODS - found.shape[1]))


def recency(length: int, device: torch.device) -> Tensor:
    """(t, 5): how far each step is from the last, on five scales."""
    far = (torch.arange(length, dtype=torch.float32, device=device) - (length - 1)) / length
    near = far.abs()
    fades = [torch.exp(-rate * near) for rate in (0.5, 2.0, 8.0)]
    return torch.stack([far, -torch.log1p(near) / math.log(2.0), *fades], dim=1)


class Fracast(nn.Module):
    """The encoder; `after` holds nothing but a place to tap behind each dilation."""

    def __init__(self) -> None:
        super().__init__()
        self.in_proj = nn.Linear(2 + RECENCY, WIDTH)
        self.periodic = Periodic()
        self.scale = Scale()
        self.block = Block()
        self.after = nn.ModuleList(nn.Identity() for _ in range(DILATIONS))
        self.norm = nn.RMSNorm(WIDTH)

    def forward(self, given: Tensor) -> Tensor:
        """(b, 2, t) values and where they are real, padding before them -> (b, t, D)."""
        values, cover = given[:, 0], given[:, 1]
        place = recency(given.shape[2], given.device).expand(len(given), -1, -1)
        steps = self.in_proj(torch.cat([given.transpose(1, 2), place], dim=2)) + self.periodic(values, cover > 0)
        for at, tap in enumerate(self.after):
            steps = tap(self.block(self.scale(steps, 2**at), 2**at))
        return normed(self.norm, steps)
