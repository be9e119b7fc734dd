"""Answers as a file: CSV, JSON lines or Parquet, written as they come; it appears when it is whole."""

import csv
import json
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from headstart.core.errors import UserError, did_you_mean
from headstart.core.problem import Task
from headstart.core.record import SkippedFile
from headstart.saved import Answer, Prediction

PROBABILITY = "p_"  # before the name of a class, so that none is taken for another column
ROWS = 1024  # of Parquet that are written at once
PART = ".part"  # behind the name, until it is whole

Row = dict[str, Any]


class Rows(Protocol):
    """An open file of rows."""

    def write(self, rows: Sequence[Row]) -> None:
        """Append these."""
        ...


def columns(task: Task) -> dict[str, pa.DataType]:
    """Names and types of a file's columns: one row an example, in order; `error` says why there is no answer."""
    number = task.kind == "regression"
    said = (
        {"value": pa.float64(), "off": pa.float64()} if number else {"label": pa.string(), "probability": pa.float64()}
    )
    each = {f"{PROBABILITY}{name}": pa.float64() for name in task.classes}
    return {"file": pa.string(), **said, **each, "unlike": pa.bool_(), "error": pa.string()}


def row(answer: Answer) -> Row:
    """What a file says of one example; a column that is not here is empty."""
    if isinstance(answer, SkippedFile):
        return {"file": _spelled(answer.name), "error": _spelled(answer.why)}
    said = {"label": answer.label, "probability": answer.probability}
    if answer.value is not None:
        said = {"value": answer.value, "off": answer.off}
    each = {f"{PROBABILITY}{name}": p for name, p in answer.probabilities.items()}
    return {"file": _spelled(answer.file), **said, **each, "unlike": answer.unlike}


def _spelled(name: str) -> str:
    """A name of which every byte can be written: file systems allow what is no text."""
    return name.encode("utf-8", "backslashreplace").decode()


def check(path: Path) -> None:
    """Whether answers could be written there.

    Raises:
        UserError: another ending, a folder that is not there, or a file that is.
    """
    if path.suffix.lower() not in FORMATS:
        do = did_you_mean(path.suffix, FORMATS)
        raise UserError(f"a file that ends in {', '.join(FORMATS)}", str(path), do)
    if not path.parent.is_dir():
        raise UserError("a folder that is there", str(path.parent), "Make it, or name another file.")
    if path.exists():
        raise UserError("a new file", f"{path}, which is there", "Name another, or remove this one.")


def write(path: Path, answers: Iterable[Answer], task: Task) -> Iterator[Answer]:
    """Write answers as they come, and hand them on.

    Args:
        path: ends in .csv, .jsonl or .parquet; what an interruption leaves is beside it, with `.part` at its end.
        answers: of a run.
        task: of that run.

    Raises:
        UserError: see `check`; or nothing can be written there.
    """
    check(path)
    part = path.with_name(
        f"{path.name}.{uuid.uuid4().hex[:8]}{PART}"
    )  # two may write at a time; the first has the name
    wanted, any_answer = columns(task), False
    try:
        with FORMATS[path.suffix.lower()](part, wanted) as file:
            there = iter(answers)
            while some := list(islice(there, ROWS)):
                file.write([dict.fromkeys(wanted) | row(one) for one in some])
                any_answer = any_answer or any(isinstance(one, Prediction) for one in some)
                yield from some
        if any_answer:
            check(path)
            part.replace(path)
        else:  # nothing to keep, and the same command may be given again
            part.unlink()
    except OSError as error:
        raise UserError("a file that can be written", f"{path} ({error.strerror})", "Name another.") from None


class _Csv:
    def __init__(self, file: Any, names: Iterable[str]) -> None:
        self._rows = csv.DictWriter(file, list(names))
        self._rows.writeheader()

    def write(self, rows: Sequence[Row]) -> None:
        self._rows.writerows(rows)


class _Lines:
    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, rows: Sequence[Row]) -> None:
        self._file.writelines(f"{json.dumps(one, allow_nan=False)}\n" for one in rows)


class _Parquet:
    def __init__(self, file: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._file, self._schema = file, schema

    def write(self, rows: Sequence[Row]) -> None:
        self._file.write_table(pa.Table.from_pylist(list(rows), schema=self._schema))


@contextmanager
def _csv(path: Path, wanted: Mapping[str, pa.DataType]) -> Generator[Rows]:
    with path.open("w", newline="", encoding="utf-8") as file:
        yield _Csv(file, wanted)


@contextmanager
def _lines(path: Path, wanted: Mapping[str, pa.DataType]) -> Generator[Rows]:  # noqa: ARG001 - every line says its names
    with path.open("w", encoding="utf-8") as file:
        yield _Lines(file)


@contextmanager
def _parquet(path: Path, wanted: Mapping[str, pa.DataType]) -> Generator[Rows]:
    schema = pa.schema(list(wanted.items()))
    with pq.ParquetWriter(path, schema) as file:
        yield _Parquet(file, schema)


FORMATS: Mapping[str, Callable[[Path, Mapping[str, pa.DataType]], AbstractContextManager[Rows]]] = MappingProxyType(
    {".csv": _csv, ".jsonl": _lines, ".parquet": _parquet}
)
