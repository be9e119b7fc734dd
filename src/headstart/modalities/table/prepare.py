"""A row -> two numbers a cell, as a source's card lists its columns. Stateless: nothing here is fitted.

A row is written as JSON, `{"age": 31.0, "sex": "f", "income": null}`, its columns in the order of their names.
"""

import json
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from headstart.core.errors import UserError
from headstart.data.word_numbers import category
from headstart.linear.cells import NOTHING, NUMBER
from headstart.sources.card import Column, TableInput

SHARED = 0.5  # of the columns of either side, at least, must be the other's too


def cells(content: str, taken: TableInput) -> NDArray[np.float32]:
    """(2, columns) float32: the numbers, NaN where there is none, and what stands there, see `headstart.linear.cells`.

    Raises:
        UserError: the row is not of the same columns, or not of the same kinds.
    """
    row = json.loads(content)
    if taken.columns:
        check_columns(tuple(row), taken)
    found = np.full((2, len(taken.columns) or len(row)), np.nan, dtype=np.float32)
    found[1] = NOTHING
    for at, column in enumerate(taken.columns or [Column(name=name, kind=kind_of(row[name])) for name in row]):
        value = row.get(column.name)
        if value is None:
            continue
        if kind_of(value) != column.kind:
            do = "Give both tables the same types, or rename one of the columns."
            raise UserError(f"a {column.kind} in column {column.name!r}, as in the source table", repr(value), do)
        if column.kind == "number":
            found[:, at] = value, NUMBER
        else:
            found[1, at] = category(value)
    return found


def kind_of(value: float | str | None) -> Literal["number", "category"]:
    """Of a cell as it stands in JSON."""
    return "category" if isinstance(value, str) else "number"


@lru_cache(maxsize=64)
def check_columns(here: tuple[str, ...], taken: TableInput) -> None:
    """Refuse rows of another table altogether.

    Raises:
        UserError: too few columns are common.
    """
    there = [column.name for column in taken.columns]
    common = set(here) & set(there)
    if len(common) >= SHARED * min(len(here), len(there)) and common:
        return
    came = f"{len(common)} of {', '.join(there[:6])}, where the rows have {', '.join(here[:6])}"
    raise UserError("rows with the columns of the source table", came, "Name equal columns alike in both tables.")
