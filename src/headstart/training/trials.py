"""What a plan leaves open - rate, norm policy, epochs - tried out: successive halving over epochs.

Every option trains for a quarter of the epochs, a third of them goes on to a half, and a third of those to the end
(Jamieson and Talwalkar 2016, arXiv 1502.07943; Li et al. 2018, arXiv 1603.06560). All are on the schedule of the whole
length and pause in it: nothing that one rung has trained is trained again.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

from headstart.core.plan import Norm, Plan, Train

# Most promising first: on 600 ELPV photos 1e-4 won, on 1,224 3e-4; nets for 28 pixels want 3e-3.
RATES = (3e-4, 1e-3, 1e-4, 3e-3)
# Nets with layer norms: MiniLM, after eight epochs of lp-ft on 128 tweets, knew of 500 others 66.0 % at 1e-3, 74.0 at
# 3e-4, 75.8 at 1e-4, 76.4 at 3e-5.
SMALL_RATES = (3e-5, 1e-4, 1e-5, 3e-4)
NORMS: tuple[Norm, ...] = ("inference", "train", "adapt")
RUNGS = (0.25, 0.5, 1.0)  # of the epochs, at which options are compared
KEPT = 3  # of so many options one goes on

_Net = TypeVar("_Net")


@dataclass(frozen=True)
class Choice:
    """One way of filling in what a plan leaves open; what it fixes stays as it is."""

    rate: float
    norm: Norm

    def of(self, plan: Plan, epochs: int) -> Plan:
        """The plan with nothing left open."""
        return plan.resolve(epochs=epochs, lr=self.rate, norm=self.norm)

    def __str__(self) -> str:
        return f"rate {self.rate:g}, norms in {self.norm}"


def choices(plan: Plan, *, statistics: bool, layer_norms: bool = False) -> tuple[Choice, ...]:
    """All ways of filling in what the plan leaves open, most promising first.

    Args:
        plan: its phases share one rate and one norm policy where they leave them open.
        statistics: the net has norms that keep statistics of their own; without, one norm policy is as good as another.
        layer_norms: it has layer norms, as transformers do, and so wants smaller rates.
    """
    phases = [phase for phase in plan.phases if isinstance(phase, Train)]
    every = SMALL_RATES if layer_norms else RATES
    rates = every if any(phase.lr is None for phase in phases) else every[:1]
    norms = NORMS if statistics and any(phase.norm is None for phase in phases) else NORMS[:1]
    return tuple(Choice(rate, norm) for norm, rate in product(norms, rates))


def rungs(count: int, epochs: int) -> list[tuple[int, int]]:
    """(options that train, epochs each has behind it then) of every rung.

    >>> rungs(4, 8)
    [(4, 2), (2, 4), (1, 8)]
    """
    found: list[tuple[int, int]] = []
    for share in RUNGS:
        found.append((count, math.ceil(share * epochs)))
        count = math.ceil(count / KEPT)
    return found


def epochs_run(count: int, epochs: int) -> int:
    """Epochs that all options together train for; so many times the data is gone through.

    >>> epochs_run(1, 8), epochs_run(4, 8)
    (8, 16)
    """
    steps = rungs(count, epochs)
    before = (0, *(reached for _, reached in steps))
    return sum(many * (reached - last) for (many, reached), last in zip(steps, before, strict=False))


def halving(
    tried: Sequence[Choice], epochs: int, run: Callable[[Choice, int], _Net], loss: Callable[[_Net], float]
) -> tuple[Choice, _Net]:
    """The choice with the least loss among those that were let on to the end, and its net.

    Args:
        tried: most promising first; of equal ones the first stays.
        epochs: of a whole training.
        run: trains a choice up to so many epochs, going on from where it paused.
        loss: of a net, on examples that it did not learn from.
    """
    standing, nets = list(tried), list[_Net]()
    for many, reached in rungs(len(tried), epochs):
        losses = [loss(net) for net in nets]
        order = sorted(range(len(nets)), key=losses.__getitem__)
        standing = [standing[at] for at in order[:many]] or standing
        nets = [run(one, reached) for one in standing]
    losses = [loss(net) for net in nets]
    best = losses.index(min(losses))
    return standing[best], nets[best]
