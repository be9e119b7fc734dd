"""What a client has sent -> examples, within limits, judged by content and not by what it claims to be.

Pictures and series become files with names of our own in a folder of our own; a client's name for them is only ever
said back. Texts and rows never become files.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from headstart.core.errors import HeadstartError
from headstart.core.exhibits import Exhibit
from headstart.modalities.image import header
from headstart.modalities.series import archive
from headstart.modalities.series.read import entries
from headstart.modalities.series.values import Values, unpacked
from headstart.modalities.table.columns import MARKS
from headstart.modalities.table.read import known, spelled
from headstart.serve.limits import Limits, RefusedError
from headstart.sources.card import Column

NAMED = 120  # characters of a client's name for an example
DIGITS = 18  # of a whole number in JSON; longer ones are read as floats
STEPS, CHANNELS = 160, 6  # of a series that are shown
TABLE = 2_000_000  # bytes


@dataclass(frozen=True)
class Example:
    """One thing that is asked about.

    Attributes:
        name: what the client calls it.
        given: a text, a row in JSON, or a file of ours; as `Saved.predict` takes it.
        refused: why there is nothing to ask about.
        shown: how it looks, where a client cannot know.
    """

    name: str
    given: str | Path | None = None
    refused: RefusedError | None = None
    shown: Exhibit | None = None


@dataclass(frozen=True)
class Desk:
    """Where uploads are looked through.

    Attributes:
        folder: an empty one, for this request.
        limits: of it.
        column: what the run says of the columns or channels that it has read.
        numbers: for names of files.
    """

    folder: Path
    limits: Limits
    column: str | None = None
    numbers: "count[int]" = field(default_factory=count)

    def file(self, ending: str = "") -> Path:
        """A new name."""
        return self.folder / f"{next(self.numbers)}{ending}"


@dataclass(frozen=True)
class Form:
    """How one kind of data is sent.

    Attributes:
        file: examples in a file; raises `RefusedError`, or any `HeadstartError` that reading raises.
        value: an example in JSON; None where there is no such form.
        schema: JSON Schema of that.
        media: types of files that the page offers.
        says: in a few words.
    """

    file: Callable[[str, bytes, Desk], list[Example]]
    value: Callable[[str, Any, Desk], Example] | None
    schema: Mapping[str, Any]
    media: str
    says: str


def called(name: str, at: int) -> str:
    r"""A client's name for an example, as it may be said back.

    >>> called("../../etc/passwd\0", 1), called("", 2)
    ('../../etc/passwd', 'example 2')
    """
    kept = "".join(one for one in name if one.isprintable()).strip()
    return kept[:NAMED] or f"example {at}"


def values(body: bytes) -> Any:
    """JSON.

    Raises:
        RefusedError: it is none, or so deep or odd that it cannot be read.
    """
    try:
        return json.loads(body.decode("utf-8"), parse_int=_whole)
    except (ValueError, RecursionError):
        raise RefusedError(400, "JSON in UTF-8", "something else", "See /openapi.json for what is taken.") from None


def _whole(text: str) -> int | float:
    return int(text) if len(text) <= DIGITS else float(text)


def _picture(name: str, body: bytes, desk: Desk) -> list[Example]:
    why = header.refusal(body, desk.limits.pixels)
    if why:
        status = {"not a": 415, "too l": 413}.get(why[:5], 422)
        raise RefusedError(status, "a picture", f"{name}: {why}", "Send it smaller, or in another format.")
    path = desk.file()
    path.write_bytes(body)
    return [Example(name, path)]


def _text(name: str, given: Any, desk: Desk) -> Example:
    most = desk.limits.characters
    if not isinstance(given, str):
        raise RefusedError(422, "a text", type(given).__name__, 'Send a string, such as {"example": "some words"}.')
    if len(given) > most:
        raise RefusedError(413, f"a text of at most {most:,} characters", f"{len(given):,}", "Send a part of it.")
    if not given.strip() or not _is_unicode(given):
        raise RefusedError(422, "a text", "nothing that could be read", "Send some words in UTF-8.")
    return Example(name, given)


def _text_file(name: str, body: bytes, desk: Desk) -> list[Example]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RefusedError(415, "a text in UTF-8", f"{name} with other bytes", "Save it as UTF-8.") from None
    if "\0" in text:
        raise RefusedError(415, "a text", f"{name} with zero bytes", "Send a file of plain text.")
    return [_text(name, text, desk)]


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= one <= "\udfff" for one in text)


def _row(name: str, given: Any, desk: Desk) -> Example:  # noqa: ARG001 - the form of all
    if not isinstance(given, dict):
        raise RefusedError(422, "a row", type(given).__name__, 'Send an object, such as {"example": {"age": 31}}.')
    text = json.dumps(given)
    if not _is_unicode("".join(one for one in (*given, *given.values()) if isinstance(one, str))):
        raise RefusedError(422, "a row in Unicode", "half a character", "Send UTF-8.")
    return Example(name, text)


def _row_file(name: str, body: bytes, desk: Desk) -> list[Example]:
    if len(body) > TABLE:
        raise RefusedError(413, f"a table of at most {TABLE:,} bytes", f"{len(body):,} in {name}", "Send fewer rows.")
    text = _decoded(name, body, "a table: CSV, TSV or JSON lines")
    ending, columns = _tabular(text), known(desk.column)
    rows = (
        _of_lines(text, columns)
        if ending == ".jsonl"
        else _of_cells(text, "\t" if ending == ".tsv" else "", columns, name)
    )
    found = list(islice(rows, desk.limits.examples + 1))
    _few(len(found), desk.limits)
    several = [{column.name: row.get(column.name) for column in columns} for row in found]
    each = [(f"{name}:{at}" if len(found) > 1 else name, row) for at, row in enumerate(several, 1)]
    return [replace(_row(one, row, desk), shown=Exhibit(cells=_spelled(row))) for one, row in each]


def _of_lines(text: str, columns: Sequence[Column]) -> Iterator[dict[str, Any]]:
    """JSON line by line: parsers of whole tables fall over nested or sparse ones."""
    for line in text.split("\n"):
        if line.strip():
            row = values(line.encode())
            if not isinstance(row, dict):
                raise RefusedError(422, "an object in each line", type(row).__name__, 'Send lines such as {"age": 31}.')
            if not any(column.name in row for column in columns):  # it would be answered from nothing
                came = f"{', '.join(row)[:60] or 'none'} in a line"
                raise RefusedError(422, "columns that the run has read", came, "See /about for these.")
            yield row


def _of_cells(text: str, mark: str, columns: Sequence[Column], name: str) -> Iterator[dict[str, Any]]:
    """The cells of known columns: numbers, and categories as they are spelled; None where nothing stands."""
    mark = mark or max(",;", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    try:
        header = [one.strip() for one in next(reader, [])]
        for column in columns:
            if header.count(column.name) != 1:
                came = f"{header.count(column.name) or 'none'} in {name}"
                raise RefusedError(422, f"one column {column.name!r}", came, "Its cells may be empty.")
        for cells in reader:
            row = dict(zip(header, cells, strict=False))
            if cells or len(header) == 1:  # in one column an empty line is a missing value
                yield {one.name: _cell(row.get(one.name, ""), one, name) for one in columns}
    except csv.Error as error:
        raise RefusedError(422, "a table", f"{name}: {error}", "Repair the file.") from None


def _cell(text: str, column: Column, name: str) -> float | str | None:
    if text.strip().casefold() in MARKS:
        return None
    if column.kind == "category":  # training has read true and false as such
        return text.strip().capitalize() if text.strip().casefold() in ("true", "false") else text.strip()
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        expected = f"a number in column {column.name!r} of {name}"
        raise RefusedError(422, expected, repr(text[:60]), "Leave empty what is not known.")
    return value


def _spelled(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: spelled(one) if isinstance(one, float) else "" if one is None else str(one) for name, one in row.items()
    }


def _series(name: str, given: Any, desk: Desk) -> Example:
    do = 'Send a list a channel, such as {"example": [[0.1, 0.2, 0.3]]}; null where a value is missing.'
    listed = given if isinstance(given, list) else []
    rows = [listed] if listed and not isinstance(listed[0], list) else listed
    if not rows or not all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
        raise RefusedError(422, "channels of one length", "something else", do)
    _short(name, sum(map(len, rows)), desk)
    if not all(one is None or (isinstance(one, int | float) and not isinstance(one, bool)) for r in rows for one in r):
        raise RefusedError(422, "numbers", "something else", do)
    with np.errstate(over="ignore"):  # what does not fit is infinite, which the reader refuses
        return _taken(name, np.array([[np.nan if one is None else one for one in r] for r in rows], np.float32), desk)


def _short(name: str, size: int, desk: Desk) -> None:
    if size > desk.limits.values:
        expected = f"a series of at most {desk.limits.values:,} values"
        raise RefusedError(413, expected, f"{size:,} in {name}", "Send a part of it.")


def _series_file(name: str, body: bytes, desk: Desk) -> list[Example]:
    ending = _ending(name, body)
    if ending == ".jsonl":  # what parses whole tables of JSON dies of nested ones
        do = 'As JSON send {"example": [[0.1, 0.2, 0.3]]}.'
        raise RefusedError(415, "series: .ts, .npz, CSV or TSV", f"{name} with lines of JSON", do)
    if ending == ".npz" and (why := archive.refusal(body, desk.limits.request)):
        raise RefusedError(
            413 if why.startswith("too large") else 422, "series", f"{name}: {why}", "Repair it, or send less."
        )
    path = desk.file(ending)
    path.write_bytes(body)
    try:
        found = entries(path, json.loads(desk.column or "{}").get("names", ()))
    except HeadstartError as error:
        raise RefusedError(
            422, "series", str(error).replace(str(path), name).splitlines()[0], "Repair the file."
        ) from None
    finally:
        path.unlink()
    if len(found) > desk.limits.examples:
        most = f"at most {desk.limits.examples} series at a time"
        raise RefusedError(413, most, f"{len(found):,} in {name}", "Send several requests.")
    several = len(found) > 1
    each = [(f"{name}:{at}" if several else name, unpacked(one.content or "1:")) for at, one in enumerate(found, 1)]
    return [_taken(called, one, desk) for called, one in each]


def _ending(name: str, body: bytes) -> str:
    """Of the form that a file is in, by what it holds."""
    if body.startswith(b"PK"):
        return ".npz"
    text = _decoded(name, body, "series: .ts, .npz, or a table of numbers")
    return ".ts" if "@data" in text.lower() else _tabular(text)


def _decoded(name: str, body: bytes, expected: str) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RefusedError(415, expected, f"{name} with other bytes", "Send one of these.") from None


def _tabular(text: str) -> str:
    first = text.lstrip()[:100_000].partition("\n")[0]
    return ".jsonl" if first.startswith("{") else ".tsv" if "\t" in first else ".csv"


def _taken(name: str, series: Values, desk: Desk) -> Example:
    """A series as a file of ours."""
    _short(name, series.size, desk)
    path = desk.file(".npz")
    np.savez(path, X=series[None])
    return Example(name, path, shown=Exhibit(lines=_drawn(series)))


def _drawn(series: Values) -> tuple[tuple[float | None, ...], ...]:
    """Every so many-th step of the first channels, in four digits."""
    steps = series.shape[1]
    at = np.unique(np.linspace(0, max(steps - 1, 0), min(STEPS, steps)).astype(int))
    rows = series[:CHANNELS, at].tolist()
    return tuple(tuple(float(f"{one:.4g}") if np.isfinite(one) else None for one in row) for row in rows)


_LISTS = {"type": "array", "items": {"type": "array", "items": {"type": ["number", "null"]}}}
FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "image": Form(_picture, None, {}, "image/jpeg,image/png,image/webp,image/gif,image/bmp,image/tiff",
                      "a picture: JPEG, PNG, WEBP, GIF, BMP or TIFF"),
        "text": Form(_text_file, _text, {"type": "string"}, ".txt,.md,text/plain", "a text in UTF-8"),
        "series": Form(_series_file, _series, _LISTS, ".ts,.npz,.csv,.tsv,.txt",
                       "series: .ts, .npz, a table of numbers, or a list a channel"),
        "table": Form(_row_file, _row, {"type": "object"}, ".csv,.tsv,.jsonl",
                      "rows: CSV, TSV, JSON lines, or an object with a value a column"),
    }
)  # fmt: skip
"""By kind of data."""


def examples(kind: str, files: list[tuple[str, bytes]], desk: Desk, *, alone: bool) -> list[Example]:
    """The examples in files, in order; one that is refused stands among them with the reason.

    Raises:
        RefusedError: the only one is refused, or there are too many.
    """
    found: list[Example] = []
    for at, (name, body) in enumerate(files, 1):
        found += _kept(called(name, at), alone, lambda one, body=body: FORMS[kind].file(one, body, desk))
        _few(len(found), desk.limits)
    return found


def given(kind: str, several: list[Any], desk: Desk, *, alone: bool) -> list[Example]:
    """The examples in JSON values; see `examples`.

    Raises:
        RefusedError: the only one is refused, this kind of data has no such form, or there are too many.
    """
    _few(len(several), desk.limits)
    read = FORMS[kind].value or _no_value
    return [
        one
        for at, each in enumerate(several, 1)
        for one in _kept(f"example {at}", alone, lambda name, each=each: [read(name, each, desk)])
    ]


def _no_value(name: str, given: Any, desk: Desk) -> Example:  # noqa: ARG001 - the form of all
    do = "Send the file as the body, or files as multipart/form-data."
    raise RefusedError(415, "a file", "JSON", do)


def _few(there: int, limits: Limits) -> None:
    if there > limits.examples:
        expected = f"at most {limits.examples} examples at a time"
        raise RefusedError(413, expected, f"{there:,} or more", "Send several requests.")


def _kept(name: str, alone: bool, read: Callable[[str], list[Example]]) -> list[Example]:
    try:
        return read(name)
    except RefusedError as refused:
        if alone:
            raise
        return [Example(name, refused=refused)]
