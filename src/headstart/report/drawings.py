"""Small drawings by hand: a series as lines, and how much each part of an example matters, with and without colour."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from headstart.core.exhibits import Exhibit, Explanation, Weight
from headstart.report.words import amount, percent

WIDTH, HEIGHT = 200, 90  # of a series, in its own units
FAINT = 0.1  # of the largest, below which a part is left as it is
NOTHING = 0.01  # of a probability: what changes no answer
LEVELS = 4  # of emphasis

Lines = Sequence[Sequence[float | None]]


def shown(exhibit: Exhibit | None) -> dict[str, Any]:
    """An example as the page shows it; a series is drawn."""
    if exhibit is None:
        return {"picture": None, "words": None, "drawn": None, "cells": {}}
    drawn = series(exhibit.lines) if exhibit.lines else None
    return {"picture": exhibit.picture, "words": exhibit.words, "drawn": drawn, "cells": exhibit.cells}


def series(lines: Lines, behind: Markup | str = "") -> Markup:
    """The channels of a series in one frame, each between its own smallest and largest value."""
    paths = Markup("").join(
        Markup('<path d="{}" class="c{}"/>').format(_path(line), at % 6 + 1) for at, line in enumerate(lines)
    )
    return Markup('<svg viewBox="0 0 {} {}" class="series" preserveAspectRatio="none">{}{}</svg>').format(
        WIDTH, HEIGHT, behind, paths
    )


def _path(line: Sequence[float | None]) -> str:
    """Where the pen goes; it is lifted where a value is missing."""
    known = [value for value in line if value is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)
    found: list[str] = []
    for at, value in enumerate(line):
        if value is None:
            continue
        down = found and line[at - 1] is not None
        y = HEIGHT - 6 - (HEIGHT - 12) * ((value - low) / (high - low) if high > low else 0.5)
        found.append(f"{'L' if down else 'M'}{WIDTH * at / max(len(line) - 1, 1):.1f} {y:.1f}")
    return "".join(found)


def explained(one: Explanation, exhibit: Exhibit | None, *, number: bool) -> dict[str, Any]:
    """An explanation as the page shows it: by patches, windows, words or bars, and in a sentence.

    Args:
        one: the explanation.
        exhibit: the example.
        number: whether what is stated is a number, not a probability.
    """
    parts, moved = one.parts, any(abs(part.fall) >= NOTHING for part in one.parts) or number
    if not moved:  # the probability is all but certain: its odds still tell what it rests on
        parts = tuple(part.model_copy(update={"fall": part.odds}) for part in one.parts)
    scale = max((abs(part.fall) for part in parts), default=0.0) or float("inf")
    picture, lines = (exhibit.picture, exhibit.lines) if exhibit else (None, ())
    words = exhibit is not None and exhibit.words is not None
    return {
        "name": one.example,
        "said": one.said,
        "truth": one.truth,
        "right": one.said == one.truth,
        "stated": None if number else percent(one.stated),
        "picture": picture,
        "patches": _patches(parts, scale) if picture else None,
        "drawn": series(lines, _windows(parts, scale)) if lines else None,
        "words": [(part.part, _sign(part, scale), _level(part, scale)) for part in parts] if words else [],
        "bars": [] if picture or lines or words else _bars(parts, scale, number=number, moved=moved),
        "sentence": _sentence(parts, number=number, quoted=words) if moved else _unmoved(parts),
    }


def _sign(part: Weight, scale: float) -> str:
    """Whether a part speaks for or against what is said; nothing where it hardly matters."""
    if abs(part.fall) < FAINT * scale:
        return ""
    return "for" if part.fall > 0 else "against"


def _level(part: Weight, scale: float) -> int:
    """Emphasis from 1 to `LEVELS`."""
    return min(int(LEVELS * abs(part.fall) / scale) + 1, LEVELS)


def _patches(parts: Sequence[Weight], scale: float) -> Markup:
    """Patches of a picture over it: the stronger the darker, the strongest framed; against is hatched by its frame."""
    made = Markup("")
    for part in parts:
        if not (sign := _sign(part, scale)):
            continue
        left, top, right, bottom = part.span
        kind = f"{sign} l{_level(part, scale)}"
        made += Markup('<rect x="{:.4f}" y="{:.4f}" width="{:.4f}" height="{:.4f}" class="{}"/>').format(
            left, top, right - left, bottom - top, kind
        )
    return Markup('<svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">{}</svg>').format(made)


def _windows(parts: Sequence[Weight], scale: float) -> Markup:
    """Windows of a series behind it, as high as they matter."""
    steps, made = max((part.span[1] for part in parts), default=1), Markup("")
    for part in parts:
        if not (sign := _sign(part, scale)):
            continue
        start, end = part.span
        tall = HEIGHT * min(abs(part.fall) / scale, 1)
        made += Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="{} l{}"/>').format(
            WIDTH * start / steps, HEIGHT - tall, WIDTH * (end - start) / steps, tall, sign, _level(part, scale)
        )
    return made


def _bars(parts: Sequence[Weight], scale: float, *, number: bool, moved: bool) -> list[dict[str, Any]]:
    """The cells that matter most, as bars."""
    ordered = sorted(parts, key=lambda part: -abs(part.fall))[:8]
    return [
        {
            "part": part.part,
            "sign": _sign(part, scale) or "none",
            "width": round(100 * abs(part.fall) / scale, 1),
            "fall": amount(part.fall, number=number) if moved else "",
        }
        for part in ordered
    ]


def _sentence(parts: Sequence[Weight], *, number: bool, quoted: bool) -> str:
    """The parts that matter most, in words."""
    ordered = sorted(parts, key=lambda part: -abs(part.fall))[:3]
    told = [part for part in ordered if abs(part.fall) >= FAINT * abs(ordered[0].fall) > 0]
    mark = '"' if quoted else ""
    said = "; ".join(f"without {mark}{part.part}{mark}: {amount(-part.fall, number=number)}" for part in told)
    return said or "No part changes the number."


def _unmoved(parts: Sequence[Weight]) -> str:
    """Where no part changes the probability: which comes nearest to it."""
    nearest = max(parts, key=lambda part: abs(part.fall), default=None)
    if nearest is None or not nearest.fall:
        return "No part matters by itself."
    return f"No part matters by itself; {nearest.part} comes nearest."
