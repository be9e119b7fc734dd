"""How good vectors are: the rank of the true word, drift, and lists of pairs that people have judged."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.core.errors import UserError
from headstart.words.vectors import Pair, Table, unit

AT_ONCE = 64  # words whose cosines with the whole table are held at once
SEPARATORS = ("\t", ",", ";")


@dataclass(frozen=True)
class Ranks:
    """Where true words stand among all words of a table, ordered by cosine with their induced vectors.

    Attributes:
        words: how many were ranked.
        median: 1 is the best.
        mrr: mean of 1/rank.
        top10: share within the first ten.
    """

    words: int
    median: float
    mrr: float
    top10: float


def ranks(induced: Table, rows: NDArray[np.intp], directions: Table) -> NDArray[np.int64]:
    """(n,) rank of row rows[i] of (V, D) directions by cosine with induced[i]; ties count against it.

    A vector without a direction says nothing: its rank is V.
    """
    asked, out = unit(induced), np.empty(len(rows), np.int64)
    for at in range(0, len(rows), AT_ONCE):
        cosines = asked[at : at + AT_ONCE] @ directions.T
        true = cosines[np.arange(len(cosines)), rows[at : at + AT_ONCE]]
        out[at : at + AT_ONCE] = (cosines >= true[:, None]).sum(axis=1)
    return out


def summary(found: NDArray[np.int64]) -> Ranks:
    """What ranks come to."""
    return Ranks(len(found), float(np.median(found)), float((1 / found).mean()), float((found <= 10).mean()))


def drift(before: Table, after: Table) -> NDArray[np.float64]:
    """(n,) one minus the cosine of each row before and after; 0 for rows that have no direction."""
    old, new = unit(before), unit(after)
    return np.where(old.any(axis=1), 1 - (old * new).sum(axis=1, dtype=np.float64), 0.0)


def read_pairs(path: Path) -> list[Pair]:
    """Pairs that people have judged: two words and a number a line, between tabs, commas or semicolons.

    Lines that begin with # are left out, and so is a first line whose third field is no number: a header.

    Raises:
        UserError: the file cannot be read or a line is something else.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        came = f"{path}: {'not in UTF-8' if path.is_file() else 'nothing there'}"
        raise UserError("a file of judged pairs", came, "Give word, word and a number a line.") from None
    pairs: list[Pair] = []
    for at, line in enumerate(lines):
        if not line.strip() or line.startswith("#"):
            continue
        mark = next((mark for mark in SEPARATORS if line.count(mark) >= 2), None)
        one = _pair(line.split(mark))
        if one is None and not pairs and at == 0:
            continue
        if one is None:
            raise UserError("two words and a number", f"{path}, line {at + 1}", "Mend or remove that line.")
        pairs.append(one)
    if not pairs:
        raise UserError("a file of judged pairs", f"{path}: none", "Give word, word and a number a line.")
    return pairs


def _pair(fields: list[str]) -> Pair | None:
    try:
        said = float(fields[2])
    except (IndexError, ValueError):
        return None
    return (fields[0].strip(), fields[1].strip(), said) if np.isfinite(said) else None
