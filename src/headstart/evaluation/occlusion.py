"""What an answer rests on: leave out a part of the example and see how far what is stated falls.

Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks" (arXiv 1311.2901), section 4.2, with the
parts of whatever kind of data it is. It only predicts, so it works on any model; it finds what matters alone, not what
matters only together with something else.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.core.predictions import Floats, Ints
from headstart.core.problem import Kind
from headstart.data.dataset import Item, Modality, Piece

ASKED = 16  # examples that the model is asked about before the clock is looked at
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
    seconds: float,
    now: Callable[[], float] = time.perf_counter,
) -> tuple[Occluded, ...]:
    """Examples without each of their parts, as many as there is time for; those of fewer than two parts are left out.

    Args:
        items: the examples.
        others: of the same data set; they say what is usual.
        modality: takes examples apart.
        stated: (n, K) what the model states about n examples; asked about a few at a time.
        named: (n, K) -> (n,) codes of what it names.
        folder: for examples that are files.
        kind: of task.
        seconds: that it may take; an example that would not be done by then is left out, and so are those behind it.
        now: the clock.
    """
    found: list[Occluded] = []
    end = now() + seconds
    for at, item in enumerate(items):
        place = folder / str(at)
        place.mkdir(parents=True)
        whole, parts = modality.pieces(item, others, place)
        if len(parts) < 2:
            continue
        rows = _until(end, [whole, *(part.without for part in parts)], stated, now)
        if rows is None:
            break
        found.append(_one(whole, parts, rows, int(named(rows[:1])[0]), kind))
    return tuple(found)


def _until(
    end: float, items: Sequence[Item], stated: Callable[[Sequence[Item]], Floats], now: Callable[[], float]
) -> Floats | None:
    """(n, K) of all examples; None as soon as it shows that they would not be done by then."""
    found: list[Floats] = []
    started = now()
    for done in range(0, len(items), ASKED):
        spent = now() - started
        if started + (spent * len(items) / done if done else spent) > end:
            return None
        found.append(stated(items[done : done + ASKED]))
    return np.concatenate(found)


def _one(whole: Item, parts: tuple[Piece, ...], rows: Floats, code: int, kind: Kind) -> Occluded:
    stated, odds = rows[:, code], log_odds(rows, code, kind)
    return Occluded(whole.name, code, float(stated[0]), parts, stated[0] - stated[1:], odds[0] - odds[1:])


def log_odds(rows: Floats, code: int, kind: Kind) -> Floats:
    """(n,) log odds of a class against all others, of a label against its absence; zeros of numbers."""
    if kind == "regression":
        return np.zeros(len(rows))
    against = np.delete(rows, code, axis=1).sum(axis=1) if kind == "classification" else 1 - rows[:, code]
    return np.log(np.maximum(rows[:, code], TINY)) - np.log(np.maximum(against, TINY))
