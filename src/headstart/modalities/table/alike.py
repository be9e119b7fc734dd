"""Whether two tables have the same columns in the same units, and what is worth knowing where they do not."""

import json
from collections.abc import Sequence

import numpy as np

from headstart.core.predictions import Floats
from headstart.data.dataset import Item
from headstart.sources.card import Column, TableInput

ENOUGH = 30  # numbers to compare distributions on
OTHER = 1.75  # times as wide, or as narrow: what samples of one unit seldom are, and degrees of Fahrenheit are
BENT = 0.12  # of a deviation, on average, by which the quantiles of many numbers may miss a line and still be a unit's
FAR = 5.0  # times as wide, or as narrow: whatever the shape, that is no sample of one unit
FEW_BENT = 1.5  # over the root of their number, where numbers are few
SHOWN = 6


def caveats(items: Sequence[Item], taken: TableInput) -> tuple[str, ...]:
    """Columns that one side lacks, categories that the source has not seen, numbers that seem to be in another unit."""
    if not taken.columns:
        return ()
    rows = [json.loads(item.content) for item in items]
    here, there = dict.fromkeys(name for row in rows for name in row), [one.name for one in taken.columns]
    said: list[str] = []
    if missing := [name for name in there if name not in here]:
        said.append(f"columns that only the source table has, read as missing: {_some(missing)}")
    if unread := [name for name in here if name not in there]:
        said.append(f"columns that the source table has not, which transfer does not read: {_some(unread)}")
    for column in taken.columns:
        values = [row[column.name] for row in rows if row.get(column.name) is not None]
        said += _of_numbers(column, values) if column.kind == "number" else _of_categories(column, values)
    return tuple(said)


def _of_categories(column: Column, values: Sequence[str]) -> list[str]:
    new = sorted(set(values) - set(column.categories)) if column.categories else []
    share = sum(value in set(new) for value in values) / max(len(values), 1)
    if not new:
        return []
    return [f"categories of {column.name!r} that the source has not seen, in {share:.0%} of the rows: {_some(new)}"]


def _of_numbers(column: Column, values: Sequence[float]) -> list[str]:
    if len(values) < ENOUGH or len(column.quantiles) < 2:
        return []
    line = unit_change(np.array(column.quantiles), np.array(values))
    if line is None:
        return []
    times, plus = line
    return [
        f"column {column.name!r} looks like the source's in another unit: about {times:.3g} times it"
        f"{f' {plus:+.3g}' if abs(plus) > 0.05 * abs(times) * float(np.ptp(column.quantiles)) else ''}"
        "; convert one of them, unless the rows themselves differ so much"
    ]


def unit_change(quantiles: Floats, values: Floats) -> tuple[float, float] | None:
    """(a, b) where the values are distributed about as a times the source's plus b, and a is far from one; else None.

    Args:
        quantiles: of the source's numbers, evenly spaced.
        values: of the other table.
    """
    inner = slice(len(quantiles) // 10, len(quantiles) - len(quantiles) // 10)  # extremes depend on how many there are
    old = quantiles[inner]
    new = np.quantile(values, np.linspace(0, 1, len(quantiles)))[inner]
    if old.std() == 0 or new.std() == 0 or len(np.unique(new)) < len(new) / 2:
        return None
    times = float(new.std() / old.std())
    plus = float(new.mean() - times * old.mean())
    bent = np.abs((new - plus) / times - old).mean() / old.std()
    shaped = bent < max(BENT, FEW_BENT * len(values) ** -0.5)
    bound = OTHER if shaped else FAR
    return None if 1 / bound < times < bound else (times, plus)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
