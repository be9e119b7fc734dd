"""Words and numbers as people read them, where several layers say them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol


class Interval(Protocol):
    """A value with its bounds."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


EXAMPLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"image": ("photo", "photos"), "text": ("text", "texts"), "series": ("series", "series"), "table": ("row", "rows")}
)
LISTED = 3  # stages


def examples(modality: str, n: float) -> str:
    """What examples of a kind of data are called.

    >>> examples("image", 1), examples("table", 2), examples("sound", 2)
    ('photo', 'rows', 'examples')
    """
    one, many = EXAMPLES.get(modality, ("example", "examples"))
    return one if n == 1 else many


def stages(names: Sequence[str]) -> str:
    """Stages of a source, by their ends where there are many.

    >>> stages(["stem", "head"]), stages(["stem", "a", "b", "head"]), stages([])
    ('stem, head', 'stem to head (4)', '-')
    """
    return f"{names[0]} to {names[-1]} ({len(names)})" if len(names) > LISTED else ", ".join(names) or "-"


def folds(count: int, maps: int) -> str:
    """What was measured on.

    >>> folds(5, 1), folds(5, 3)
    ('5 folds', '5 folds on each of 3 maps')
    """
    return f"{count} folds" if maps == 1 else f"{count} folds on each of {maps} maps"


def signed(number: float, digits: int = 3) -> str:
    """A difference with its sign; what rounds to nothing has none.

    >>> signed(0.0613), signed(-0.04, 1), signed(0.04, 1)
    ('+0.061', '0.0', '0.0')
    """
    rounded = round(number, digits)
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"


def interval(score: Interval | None) -> str:
    """`0.876 [0.861, 0.890]`, or a dash."""
    return "-" if score is None else f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"


def gain(found: Interval | None) -> str:
    """`+0.041 [-0.012, +0.094]`, or a dash."""
    return "-" if found is None else f"{signed(found.value)} [{signed(found.low)}, {signed(found.high)}]"
