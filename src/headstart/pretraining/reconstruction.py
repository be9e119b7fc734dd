"""TimeNet learns to reconstruct series, last step first, from its last states (Malhotra et al. 2017)."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.modalities.series.prepare import resampled
from headstart.modalities.series.read import unlabelled_below
from headstart.modalities.series.values import Values
from headstart.nets.timenet import Decoder, TimeNet
from headstart.pretraining.made import made
from headstart.pretraining.objective import Asked
from headstart.sources.card import Card, Licence, SeriesInput, TrainedOn
from headstart.sources.front import scaled
from headstart.sources.providers.series import TIMENET, describe_series, untrained

VERSION = "1"
LENGTHS = (32, 64, 96, 128)  # of a batch: short ones teach the same and cost less
STEPS = 128 * 64  # of all series of a batch together
MADE_STEPS = 128
CROPPED, LEAST = 0.5, 24  # share of series of which a part is shown, and its steps at least
RATE = 3e-3
OWN = Licence(name="your own", commercial=True)  # whoever runs it has trained it
SCALED = SeriesInput()


class Autoencoder(nn.Module):
    """TimeNet, and what reads a series out of its last states again."""

    def __init__(self, encoder: TimeNet) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = Decoder()

    def forward(self, series: Tensor) -> Tensor:
        """(b, t) -> (b, t): the same series, last step first; each step is told the true one before it."""
        wanted = series.flip(1)
        before = nn.functional.pad(wanted[:, :-1], (1, 0))
        return self.decoder(before, [states[:, -1] for states in self.encoder.states(series[:, :, None])])


@dataclass(frozen=True)
class Reconstruction:
    """See `headstart.pretraining.objective.Objective`.

    Attributes:
        pools: channels of series, by the file or folder that they are of; made ones are the last.
        called: what each pool is called.
        net: encoder and decoder.
        seed: of what each step shows.
        made: how many series were made.
    """

    pools: tuple[Sequence[Values], ...]
    called: tuple[str, ...]
    net: Autoencoder
    seed: int
    made: int
    rate: float = RATE

    @cached_property
    def identity(self) -> str:
        """sha256 of version, seed and every value."""
        digest = hashlib.sha256(f"{VERSION} {self.seed} {LENGTHS} {STEPS}".encode())
        for pool in self.pools:
            digest.update(b"pool")
            for one in pool:
                digest.update(one.tobytes())
        return digest.hexdigest()

    def facts(self) -> Mapping[str, Any]:
        """Names and numbers."""
        return {"data": list(self.called), "series": sum(map(len, self.pools)), "made": self.made}

    def loss(self, step: int) -> Tensor:
        """Mean squared error of the reconstruction."""
        series = self.batch(step)
        return (self.net(series) - series.flip(1)).square().mean()

    def batch(self, step: int) -> Tensor:
        """(b, t) series: half of them made ones where there are any, the others from every pool alike."""
        draw = np.random.default_rng([self.seed, step])
        steps = int(draw.choice(LENGTHS))
        own = len(self.pools) - (self.made > 0)
        rows = np.empty((STEPS // steps, steps), dtype=np.float32)
        for row in rows:
            last = self.made > 0 and (not own or draw.random() < 0.5)
            pool = self.pools[-1 if last else int(draw.integers(own))]
            row[:] = resampled(_part(pool[int(draw.integers(len(pool)))], draw), steps)
        return scaled(torch.from_numpy(rows), SCALED)

    def encoder(self) -> tuple[nn.Module, Callable[[str, str], Card]]:
        """TimeNet alone."""
        facts = self.facts()
        trained = TrainedOn(name=", ".join(self.called), n=facts["series"], kind="series")
        architecture, _ = untrained(TIMENET, 0)
        model = self.net.encoder.eval()

        def card(name: str, sha256: str) -> Card:
            return describe_series(
                model, name=name, architecture=architecture, licence=OWN, trained_on=trained, sha256=sha256
            )

        return model, card


def reconstruction(asked: Asked) -> Reconstruction:
    """Read and make what is learned from.

    Raises:
        UserError: a file that cannot be read, or nothing to learn from.
    """
    pools = [(path.name, [row for values in unlabelled_below(path) for row in values]) for path in asked.data]
    if asked.generated:
        series = made(asked.generated, MADE_STEPS, np.random.default_rng([asked.seed, 0]))
        pools.append((f"{asked.generated:,} made series", list(series)))
    empty = next((name for name, pool in pools if not pool), None)
    if not pools or empty is not None:
        came = "nothing" if empty is None else f"none in {empty}"
        raise UserError("series to learn from", came, "Name files of series, or ask for some with --generated 10000.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(asked.seed)
        _, encoder = untrained(TIMENET, asked.seed)
        assert isinstance(encoder, TimeNet), "it is built as one"
        net = Autoencoder(encoder)
    names, series = zip(*pools, strict=True)
    return Reconstruction(series, names, net, asked.seed, asked.generated)


def _part(series: Values, draw: np.random.Generator) -> Values:
    """A series, or a part of it."""
    if len(series) <= LEAST or draw.random() >= CROPPED:
        return series
    steps = int(draw.integers(max(LEAST, len(series) // 4), len(series) + 1))
    begin = int(draw.integers(len(series) - steps + 1))
    return series[begin : begin + steps]
