"""What an answer rests on: leave out a part of the example and see how far what is stated falls.

Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks" (arXiv 1311.2901), section 4.2, with the
parts of whatever kind of data it is. It only predicts, so it works on any model; it finds what matters alone, not what
matters only together with something else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.core.predictions import Floats, Ints
from headstart.core.problem import Kind
from headstart.data.dataset import Item, Modality, Piece

TINY = 1e-300  # of a probability, so that its logarithm is one


@dataclass(frozen=True)
class Occluded:
    """One example without each of its parts.

    Attributes:
        name: of the example.
        code: of what is named: a class, a label; 0 of a number.
        stated: its probability, or the number.
        parts: of the example.
        falls: (p,) how much less is stated without each part; below zero where it is more.
        odds: (p,) the same of the log odds, which still move where a probability is all but 0 or 1; zeros of numbers.
    """

    name: str
    code: int
    stated: float
    parts: tuple[Piece, ...]
    falls: Floats
    odds: Floats


def occlude(
    items: Sequence[Item],
    others: Sequence[Item],
    modality: Modality,
    stated: Callable[[Sequence[Item]], Floats],
    named: Callable[[Floats], Ints],
    folder: Path,
    kind: Kind,
    most: int,
) -> tuple[Occluded, ...]:
    """Examples without each of their parts, as many as may be; those that have fewer than two parts are left out.

    Args:
        items: the examples.
        others: of the same data set; they say what is usual.
        modality: takes examples apart.
        stated: (n, K) what the model states about n examples; asked once, for everything.
        named: (n, K) -> (n,) codes of what it names.
        folder: for examples that are files.
        kind: of task.
        most: predictions that may be made.
    """
    taken: list[tuple[Item, tuple[Piece, ...]]] = []
    for at, item in enumerate(items):
        place = folder / str(at)
        place.mkdir(parents=True)
        whole, parts = modality.pieces(item, others, place)
        if len(parts) > 1 and len(parts) < most:
            most -= 1 + len(parts)
            taken.append((whole, parts))
    if not taken:
        return ()
    found = stated([one for whole, parts in taken for one in (whole, *(part.without for part in parts))])
    ends = np.cumsum([1 + len(parts) for _, parts in taken])
    blocks = zip(taken, np.split(found, ends[:-1]), strict=True)
    return tuple(_one(whole, parts, rows, int(named(rows[:1])[0]), kind) for (whole, parts), rows in blocks)


def _one(whole: Item, parts: tuple[Piece, ...], rows: Floats, code: int, kind: Kind) -> Occluded:
    stated, odds = rows[:, code], log_odds(rows, code, kind)
    return Occluded(whole.name, code, float(stated[0]), parts, stated[0] - stated[1:], odds[0] - odds[1:])


def log_odds(rows: Floats, code: int, kind: Kind) -> Floats:
    """(n,) log odds of a class against all others, of a label against its absence; zeros of numbers."""
    if kind == "regression":
        return np.zeros(len(rows))
    against = np.delete(rows, code, axis=1).sum(axis=1) if kind == "classification" else 1 - rows[:, code]
    return np.log(np.maximum(rows[:, code], TINY)) - np.log(np.maximum(against, TINY))
