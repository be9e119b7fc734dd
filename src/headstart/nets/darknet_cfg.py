"""A Darknet `.cfg`: `[kind]` sections of `key=value` lines; the first, `[net]`, says what the input is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from headstart.core.errors import UserError, did_you_mean

ALIASES = {  # Darknet's own short names
    "network": "net",
    "conv": "convolutional",
    "conn": "connected",
    "max": "maxpool",
    "avg": "avgpool",
    "soft": "softmax",
}
LARGEST = 65_536  # of any number in a cfg that we read: channels, pixels, strides


@dataclass(frozen=True)
class Section:
    """One section of a cfg.

    Attributes:
        kind: the word in brackets, in full ("convolutional").
        options: as written, without blanks and comments.
        line: where it begins, from 1.
    """

    kind: str
    options: Mapping[str, str]
    line: int

    def word(self, key: str, default: str) -> str:
        """The text of an option."""
        return self.options.get(key, default)

    def integer(self, key: str, default: int, *, low: int = 1, high: int = LARGEST) -> int:
        """A whole number within bounds.

        Raises:
            UserError: something else stands there.
        """
        return self._whole(key, self.options.get(key, str(default)), low, high)

    def integers(self, key: str) -> tuple[int, ...]:
        """Whole numbers, separated by commas; negative ones count backwards.

        Raises:
            UserError: something else stands there, or nothing.
        """
        return tuple(self._whole(key, word, -LARGEST, LARGEST) for word in self.options.get(key, "").split(","))

    def number(self, key: str, default: float, *, low: float, high: float) -> float:
        """A number within bounds.

        Raises:
            UserError: something else stands there.
        """
        text = self.options.get(key, str(default))
        try:
            value = float(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            self.refuse(f"{key} as a number from {low} to {high}", repr(text))
        return value

    def refuse(self, expected: str, came: str) -> NoReturn:
        """Say what is wrong with this section.

        Raises:
            UserError: always.
        """
        where = f"[{self.kind}] at line {self.line} of the cfg"
        raise UserError(f"{expected} in {where}", came, "Mend the cfg, or use one that fits the weights.")

    def _whole(self, key: str, text: str, low: int, high: int) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            self.refuse(f"{key} as a whole number from {low} to {high}", repr(text))
        return value


def parse(text: str) -> tuple[Section, ...]:
    """The sections of a cfg in order, `[net]` first.

    Raises:
        UserError: a line that is none, or another first section than `[net]`.
    """
    found: list[tuple[str, dict[str, str], int]] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = "".join(raw.partition("#")[0].split())
        if not line or line.startswith(";"):
            continue
        if line.startswith("[") and line.endswith("]"):
            kind = line[1:-1].lower()
            found.append((ALIASES.get(kind, kind), {}, number))
            continue
        key, equals, value = line.partition("=")
        if not equals or not found:
            raise UserError("[section] or key=value lines after [net] in the cfg", f"line {number}: {raw[:60]!r}", HINT)
        found[-1][1][key] = value
    if not found or found[0][0] != "net":
        came = f"[{found[0][0]}]" if found else "no section at all"
        raise UserError("a Darknet cfg, whose first section is [net]", came, HINT)
    return tuple(Section(*parts) for parts in found)


HINT = "Give the .cfg that belongs to the .weights."


def known(section: Section, name: str, what: str, names: Mapping[str, object]) -> str:
    """The name, if it is in a table; near names are offered if not.

    Raises:
        UserError: it is not.
    """
    if name not in names:
        section.refuse(f"a known {what}", f"{name!r} ({did_you_mean(name, names)})")
    return name
