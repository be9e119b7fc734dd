"""Files that only series come in: `.ts` of the UCR and UEA archives, UCR's plain tables, and arrays in `.npz`."""

import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from headstart.core.errors import UserError
from headstart.core.problem import Kind
from headstart.data import tables
from headstart.data.folders import Entry, label_of
from headstart.modalities.series.values import Values, packed

PLAIN = (".tsv", ".txt", ".csv")
SHORTEST = 8  # numbers in the first line of a plain table
FIELDS = re.compile(r"[,;\s]\s*")
STAMPED = re.compile(r"\(([^()]*),([^(),]*)\)")  # (time,value)
MISSING = {"?", "nan", ""}


def of_ts(path: Path) -> list[Entry]:
    """The series of a `.ts` file: channels between colons, the target behind the last, times of readings left out.

    Raises:
        UserError: it is none, or a line that cannot be read.
    """
    lines = _lines(path)
    heads = {line.split()[0].lower(): line.split()[1:] for _, line in lines if line.startswith("@")}
    if "@data" not in heads:
        raise UserError("a .ts file with a line @data", f"{path} without one", "Save it in the UCR format again.")
    labelled = any(heads.get(name, ["false"])[0].lower() == "true" for name in ("@classlabel", "@targetlabel"))
    begin = next(at for at, (_, line) in enumerate(lines) if line.lower().startswith("@data"))
    return [_of_line(path, number, line, labelled) for number, line in lines[begin + 1 :]]


def kind_of(path: Path) -> Kind:
    """The kind of task that a file says it is for: `.ts` in its head, `.npz` by the numbers that are its targets."""
    if path.suffix.lower() == ".ts":
        numbers = any(line.lower().split() == ["@targetlabel", "true"] for _, line in _lines(path))
        return "regression" if numbers else "classification"
    if path.suffix.lower() == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            known = arrays["y"] if "y" in arrays.files else np.empty(0)
        return tables.kind_of(pa.chunked_array([pa.array(known)]))
    return "classification"


def _of_line(path: Path, number: int, line: str, labelled: bool) -> Entry:
    *channels, last = line.split(":") if not STAMPED.search(line) else re.split(r":(?![^()]*\))", line)
    channels, label = (channels, label_of(last)) if labelled else ([*channels, last], None)
    rows = [_numbers(path, number, _values(channel)) for channel in channels]
    if len({len(row) for row in rows}) > 1:
        came = f"{', '.join(str(len(row)) for row in rows)} in line {number} of {path}"
        raise UserError("channels of one length", came, "Give every channel of a series the same steps.")
    return _entry(path, number, np.array(rows, dtype=np.float32).reshape(len(rows), -1), label)


def _values(channel: str) -> Sequence[str]:
    stamped = STAMPED.findall(channel)
    return [value for _, value in stamped] if stamped else channel.split(",")


def of_plain(path: Path) -> list[Entry]:
    """The series of a table without a header: the class first, then the values.

    Raises:
        UserError: a line that cannot be read.
    """
    found: list[Entry] = []
    for number, line in _lines(path):
        label, *fields = FIELDS.split(line)
        found.append(_entry(path, number, _numbers(path, number, fields)[None], _class_of(label)))
    return found


def is_plain(path: Path) -> bool:
    """Whether a file is a table of numbers without a header."""
    if path.suffix.lower() not in PLAIN or not path.is_file():
        return False
    try:
        with path.open(encoding="utf-8-sig") as file:
            _, *fields = FIELDS.split(file.readline().strip())
    except (OSError, UnicodeDecodeError):
        return False
    return len(fields) >= SHORTEST and all(_is_number(field) for field in fields)


def of_arrays(path: Path) -> list[Entry]:
    """The series of an `.npz`: `X` (n, steps) or (n, channels, steps), and `y` (n,) where there are classes.

    NaN behind the last step of a series is padding.

    Raises:
        UserError: arrays of other names or shapes.
    """
    do = "Save it with numpy.savez(FILE, X=series, y=classes)."
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in ("X", "y") if name in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile):  # numpy's own words would advise to load pickles
        raise UserError("an .npz file of plain arrays", str(path), do) from None
    series = found.get("X")
    if series is None or series.ndim not in (2, 3) or series.dtype.kind not in "fiub":
        came = "none" if series is None else f"{series.dtype} {series.shape}"
        raise UserError("numbers X (n, steps) or (n, channels, steps)", f"{came} in {path}", do)
    labels = found.get("y")
    if labels is not None and labels.shape != (len(series),):
        raise UserError(f"classes y of the {len(series)} series X", f"{labels.shape} in {path}", do)
    known = [None if labels is None else _class_of(str(labels[at])) for at in range(len(series))]
    rows = series.reshape(len(series), -1, series.shape[-1]).astype(np.float32)
    return [_entry(path, at, row, label) for at, (row, label) in enumerate(zip(rows, known, strict=True), 1)]


def _entry(path: Path, number: int, values: Values, label: str | None) -> Entry:
    return Entry(f"{path.name}:{number}", path, label or None, content=packed(values))


def _class_of(text: str) -> str:
    """A class as one spelling: archives write 1 as 1.0000000e+00."""
    for read in (int, float):  # whole numbers first: the largest of them floats cannot tell apart
        try:
            value = read(text)
        except (ValueError, OverflowError):
            continue
        if value != value:
            return ""  # NaN is no class
        return str(int(value)) if isinstance(value, int) or value.is_integer() else text
    return label_of(text)


def _numbers(path: Path, number: int, fields: Sequence[str]) -> Values:
    try:
        return np.array(["nan" if field.strip().lower() in MISSING else field for field in fields], dtype=np.float32)
    except ValueError as error:
        do = "Write numbers, and ? where one is missing."
        raise UserError("numbers", f"{error} in line {number} of {path}", do) from None


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _lines(path: Path) -> list[tuple[int, str]]:
    """Lines with something in them and their numbers, without remarks."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError("a file of series in UTF-8", f"other bytes in {path}", "Save it as UTF-8.") from None
    except OSError as error:
        raise UserError("a file of series", f"{path} ({error.strerror})", "Check the path.") from None
    return [(at, line) for at, line in _numbered(text) if line and line[0] not in "#%"]


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    return ((at, line.strip()) for at, line in enumerate(text.splitlines(), 1))


FILES = {".ts": of_ts, ".npz": of_arrays, **dict.fromkeys(PLAIN, of_plain)}
"""What reads a file of each ending; tables with a header are read elsewhere."""
