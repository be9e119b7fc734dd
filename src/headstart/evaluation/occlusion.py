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
from headstart.data.dataset import Item, Modality, Piece


@dataclass(frozen=True)
class Occluded:
    """One example without each of its parts.

    Attributes:
        name: of the example.
        code: of what is named: a class, a label; 0 of a number.
        stated: its probability, or the number.
        parts: of the example.
        falls: (p,) how much less is stated without each part; below zero where it is more.
    """

    name: str
    code: int
    stated: float
    parts: tuple[Piece, ...]
    falls: Floats


def occlude(
    items: Sequence[Item],
    others: Sequence[Item],
    modality: Modality,
    stated: Callable[[Sequence[Item]], Floats],
    named: Callable[[Floats], Ints],
    folder: Path,
) -> tuple[Occluded, ...]:
    """Every example without each of its parts; those that have fewer than two are left out.

    Args:
        items: the examples.
        others: of the same data set; they say what is usual.
        modality: takes examples apart.
        stated: (n, K) what the model states about n examples; asked once, for everything.
        named: (n, K) -> (n,) codes of what it names.
        folder: for examples that are files.
    """
    taken: list[tuple[Item, tuple[Piece, ...]]] = []
    for at, item in enumerate(items):
        place = folder / str(at)
        place.mkdir(parents=True)
        whole, parts = modality.pieces(item, others, place)
        taken += [(whole, parts)] if len(parts) > 1 else []
    if not taken:
        return ()
    found = stated([one for whole, parts in taken for one in (whole, *(part.without for part in parts))])
    ends = np.cumsum([1 + len(parts) for _, parts in taken])
    blocks = zip(taken, np.split(found, ends[:-1]), strict=True)
    return tuple(_one(whole, parts, rows, named) for (whole, parts), rows in blocks)


def _one(whole: Item, parts: tuple[Piece, ...], rows: Floats, named: Callable[[Floats], Ints]) -> Occluded:
    code = int(named(rows[:1])[0])
    return Occluded(whole.name, code, float(rows[0, code]), parts, rows[0, code] - rows[1:, code])
