"""What is learned from data of one kind, without labels. A new one is a file and a line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from headstart.core.registry import Registry
from headstart.sources.card import Card

OBJECTIVES = Registry(
    kind="kind of data to learn from without labels",
    builtin={"series": "headstart.pretraining.reconstruction:reconstruction"},
    group="headstart.pretraining",
)


@dataclass(frozen=True)
class Asked:
    """What to learn from.

    Attributes:
        data: files and folders, all of one kind.
        generated: how many made examples to learn from beside them.
        seed: of everything random.
    """

    data: tuple[Path, ...]
    generated: int
    seed: int


class Objective(Protocol):
    """A net, its data and its loss."""

    @property
    def net(self) -> nn.Module:
        """All that learns."""
        ...

    @property
    def rate(self) -> float:
        """The peak learning rate of Adam."""
        ...

    @property
    def identity(self) -> str:
        """Equal only if the data, the net and what is done with them are."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """What was learned from, for the record."""
        ...

    def loss(self, step: int) -> Tensor:
        """The loss of a step; its batch depends on the step's number alone, so that a resumed run sees the same."""
        ...

    def encoder(self) -> tuple[nn.Module, Callable[[str, str], Card]]:
        """The part that is kept, in eval mode, and its card by name and sha256 of the weights."""
        ...


Make = Callable[[Asked], Objective]
