"""How long work tells where it stands; the command line draws it, a library caller may ignore it."""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Step(Protocol):
    """One visible piece of work under way."""

    def advance(self, units: float = 1) -> None:
        """That many units are done."""
        ...

    def note(self, text: str) -> None:
        """A short text beside the bar: the fold, the epoch, the loss."""
        ...


class Progress(Protocol):
    """Where steps are shown."""

    def step(self, name: str, total: float | None = None) -> AbstractContextManager[Step]:
        """Open a step of `total` units; used as a context manager."""
        ...

    def say(self, text: str) -> None:
        """One line of prose."""
        ...


class _Quiet:
    def advance(self, units: float = 1) -> None: ...
    def note(self, text: str) -> None: ...


class Silent:
    """Shows nothing: the default of the library."""

    @contextmanager
    def step(self, name: str, total: float | None = None) -> Generator[Step]:  # noqa: ARG002 - the protocol's shape
        """A step nobody sees."""
        yield _Quiet()

    def say(self, text: str) -> None:
        """Nothing."""
