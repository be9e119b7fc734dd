"""What one request may ask for, and how a request is refused."""

from dataclasses import dataclass, replace

from headstart.core.errors import UserError

MB = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Bounds that keep one client from taking the machine from the others.

    Attributes:
        request: bytes of a request's body.
        held: bytes of all bodies in memory at a time.
        examples: in one request.
        waiting: examples that wait to be answered.
        pixels: of a picture.
        characters: of a text.
        values: of a series, over all its channels.
        body_seconds: in which a request must have arrived.
        answer_seconds: in which it must be answered.
        connections: open at a time.
    """

    request: int = 20 * MB
    held: int = 80 * MB
    examples: int = 64
    waiting: int = 256
    pixels: int = 50_000_000
    characters: int = 100_000
    values: int = 100_000
    body_seconds: float = 20.0
    answer_seconds: float = 60.0
    connections: int = 256

    def of(self, megabytes: float | None) -> "Limits":
        """The same with another size of requests.

        Raises:
            UserError: it is not above zero.
        """
        if megabytes is None:
            return self
        if not 0 < megabytes <= 1000:
            raise UserError("--limit above zero, at most 1000", f"{megabytes:g}", "Give megabytes, such as --limit 20.")
        return replace(self, request=int(megabytes * MB), held=int(4 * megabytes * MB))


class RefusedError(UserError):
    """A request that gets no answer.

    Args:
        status: of HTTP.
        expected: what was expected.
        came: what came instead.
        do: what to do about it.
        retry: seconds after which it may be asked again.
    """

    def __init__(self, status: int, expected: str, came: str, do: str, retry: int | None = None) -> None:
        super().__init__(expected, came, do)
        self.status, self.retry = status, retry

    @property
    def line(self) -> str:
        """In one line."""
        return f"expected {self.expected}, got {self.came}. {self.do}"
