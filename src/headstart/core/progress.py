"""How long work tells where it stands; the command line draws it, a library caller may ignore it."""

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from headstart.core.protocols import Role  # it loads numpy, which the command line's parser must not


@dataclass(frozen=True)
class Standing:
    """How an arm stands while the work goes on. The record has its final score, with an interval.

    Attributes:
        key: tells rows apart: an arm may choose another source on another fold.
        arm, source, role: who.
        metric, score: what it has scored so far, out of fold.
        on: what that was scored on, such as "2 of 5 folds".
        seconds: that it took so far.
        done: no more of it is planned for now; it may still be scored on further fold maps.
    """

    key: str
    arm: str
    source: str
    role: "Role"
    metric: str
    score: float
    on: str
    seconds: float
    done: bool


class Step(Protocol):
    """One visible piece of work under way."""

    def advance(self, units: float = 1) -> None:
        """That many units are done."""
        ...

    def note(self, text: str) -> None:
        """A short text beside the bar: the fold, the epoch, the loss."""
        ...

    def epoch(self, measured: Mapping[str, float | None]) -> None:
        """An epoch of training is done: its number, rate, losses, accuracies and seconds, None where not measured."""
        ...


class Progress(Protocol):
    """Where steps are shown."""

    def step(self, name: str, total: float | None = None) -> AbstractContextManager[Step]:
        """Open a step of `total` units; used as a context manager."""
        ...

    def say(self, text: str) -> None:
        """One line of prose."""
        ...

    def begins(self, facts: Mapping[str, str]) -> None:
        """What is begun: the data, the sources, the machine, the time; a short text by its name."""
        ...

    def scored(self, standing: Standing) -> None:
        """An arm has been scored on one more fold."""
        ...


class _Quiet:
    def advance(self, units: float = 1) -> None: ...
    def note(self, text: str) -> None: ...
    def epoch(self, measured: Mapping[str, float | None]) -> None: ...


class Silent:
    """Shows nothing: the default of the library."""

    @contextmanager
    def step(self, name: str, total: float | None = None) -> Generator[Step]:  # noqa: ARG002 - the protocol's shape
        """A step nobody sees."""
        yield _Quiet()

    def say(self, text: str) -> None:
        """Nothing."""

    def begins(self, facts: Mapping[str, str]) -> None:
        """Nothing."""

    def scored(self, standing: Standing) -> None:
        """Nothing."""
