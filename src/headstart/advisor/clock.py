"""Where the time went."""

import time
from collections.abc import Generator
from contextlib import contextmanager


class Clock:
    """Seconds by the name of the stage they went into."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self.spent: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Time what happens inside, on top of what the stage already has."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.spent[name] = self.spent.get(name, 0.0) + time.perf_counter() - started

    @property
    def total(self) -> float:
        """Seconds since the clock was made."""
        return time.perf_counter() - self._started
