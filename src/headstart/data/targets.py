"""Targets as text and as arrays: what stands in a table, in the predictions of a run, and before a model."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from headstart.core.predictions import Targets
from headstart.core.problem import Kind, Task

BETWEEN = re.compile(r"\s*[;|,]\s*")  # labels in one cell of a table


def labels(cell: str) -> str:
    """The text of any number of labels, from a cell that separates them by commas, semicolons or bars.

    >>> labels("red; blue,red"), labels("")
    ('["blue", "red"]', '[]')
    """
    return listed(name for name in BETWEEN.split(cell.strip()) if name)


def listed(names: Iterable[object]) -> str:
    """The same from the labels one by one; None is no label."""
    return json.dumps(sorted({str(name) for name in names if name is not None}), ensure_ascii=False)


def number(cell: str) -> str | None:
    """The text of a finite number; None for what is none.

    >>> number(" 1.50 "), number("n/a"), number("inf")
    ('1.5', None, None)
    """
    try:
        value = float(cell)
    except ValueError:
        return None
    return repr(value) if math.isfinite(value) else None


def names(texts: Sequence[str], kind: Kind) -> tuple[str, ...]:
    """Classes or labels that occur, sorted; none of numbers."""
    if kind == "classification":
        return tuple(sorted(set(texts)))
    if kind == "multi-label":
        return tuple(sorted({name for text in texts for name in json.loads(text)}))
    return ()


def encode(texts: Sequence[str | None], task: Task) -> Targets:
    """Texts -> (n,) codes, (n, L) zeros and ones, or (n,) numbers; None -> -1, -1 throughout, or NaN."""
    if task.kind == "regression":
        return np.array([np.nan if text is None else float(text) for text in texts], dtype=np.float64)
    codes = {name: code for code, name in enumerate(task.classes)}
    if task.kind == "classification":
        return np.array([-1 if text is None else codes[text] for text in texts], dtype=np.int64)
    table = np.zeros((len(texts), len(codes)), dtype=np.int64)
    for row, text in enumerate(texts):
        if text is None:
            table[row] = -1
        else:
            table[row, [codes[name] for name in json.loads(text)]] = 1
    return table


def decode(targets: Targets, task: Task) -> list[str]:
    """The inverse of `encode`."""
    if task.kind == "regression":
        return [repr(float(value)) for value in targets]
    if task.kind == "classification":
        return [task.classes[code] for code in targets]
    return [listed([task.classes[code] for code in np.flatnonzero(row)]) for row in targets]


def spoken(target: Any, task: Task) -> str:
    """One target in words: labels with commas, a number in four digits.

    >>> spoken(np.array([1, 0, 1]), Task("", "multi-label", ("red", "green", "blue")))
    'red, blue'
    >>> spoken(0.123456, Task("", "regression", ()))
    '0.1235'
    """
    if task.kind == "regression":
        return f"{float(target):.4g}"
    if task.kind == "classification":
        return task.classes[int(target)]
    return ", ".join(task.classes[code] for code in np.flatnonzero(target)) or "none"
