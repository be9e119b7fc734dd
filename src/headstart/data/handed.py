"""Data that is handed in as an object -> a table in the cache, which is read from there as any other file is.

Frames of pandas, tables of Arrow, data sets of Hugging Face, arrays. Nothing of theirs is imported for it: who has such
an object has imported what it needs. Equal data gives the same file, so a run goes on where it was.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from headstart.core.errors import UserError
from headstart.core.extras import require
from headstart.data.arrays import Encode, answers, array, columns, is_a, kept, missing, shows, strange
from headstart.data.tables import SPLITS, is_file, text_columns

FOLDER = "handed"
ROWS = 1000  # at a time
TARGET = "target"  # what the second of a pair of arrays is called
LOOKED_AT = 200  # rows in which names of files are looked for
OBJECTS = "a pandas DataFrame, a pyarrow Table, a datasets.Dataset or DatasetDict"
KNOWN = f"a path, {OBJECTS}, or a pair (examples, targets)"
SAVED = (("dataset_dict.json",), ("dataset_info.json", "state.json"))  # in a folder that `datasets` has saved to

Given = str | Path | Any
"""A path, or an object that `handed` knows."""
Parts = Mapping[str, Iterable[pa.Table]]
"""Tables by the part that they are of; "" where there is but one."""


def handed(
    given: Given, target: str | None, root: Path, encode: Encode, *, files: bool = True
) -> tuple[Path, str | None]:
    """Where data lies, and the name of its target: a path as it is, anything else written below `root`.

    Args:
        given: a path or an object; of what `datasets` has saved, what is in it.
        target: the label column; of a data set of Hugging Face its only column of classes, where none is named.
        root: of the cache.
        encode: how arrays become pictures.
        files: whether what names a file stands for it; of texts it does not.

    Raises:
        UserError: it is none of the known objects, or one that cannot be written as a table.
    """
    name = type(given).__name__.lower()
    target = None if target is None else str(target)  # a frame may number its columns
    if isinstance(given, str | Path):
        path = Path(given)
        name, found = path.resolve().stem, _saved(path)
        if found is None:
            return path, target
        given = found
    if isinstance(given, tuple):
        return _write(_arrays(given, root / FOLDER, encode), root / FOLDER, "arrays"), target or TARGET
    features: dict[str, Any] = {}
    made = [_plain(one, part, features, root / FOLDER, files=files) for part, one in _each(_adapted(given))]
    if not made:
        raise UserError("data with rows", f"a {type(given).__name__} without any", "Hand in some examples.")
    classes = [column for column, feature in features.items() if feature.get("_type") == "ClassLabel"]
    target = target or (classes[0] if len(classes) == 1 else None)
    return _write(_joined(made), root / FOLDER, name), target


def examples(given: Any, root: Path, encode: Encode, *, files: bool = True) -> Path | list[str | Path | None]:
    """Examples without targets: paths and strings as they are, an object as the table that it is written to.

    Args:
        given: paths or strings, None where one is missing; or an object that `handed` knows, or an array of examples.
        root: of the folder that is written into.
        encode: how arrays become pictures.
        files: see `handed`.

    Raises:
        UserError: it cannot be written as a table.
    """
    if isinstance(given, str | Path):
        return [given]
    if _adapter(given) is not None:
        return handed(given, None, root, encode, files=files)[0]
    whole: Any = given if is_a(given, "numpy", "ndarray") or is_a(given, "torch", "Tensor") else None
    if not isinstance(given, Iterable) or isinstance(given, Mapping | Set) or (whole is not None and not whole.ndim):
        raise UserError(f"paths, an array of examples, {OBJECTS}", f"a {type(given).__name__}", "Put it into a list.")
    cells = whole if whole is not None else [None if missing(one) else one for one in given]
    if all(one is None or isinstance(one, str | Path) for one in cells):
        return [str(one) if isinstance(one, str) else one for one in cells]  # of NumPy's strings
    try:
        table = _of_cells(cells, root / FOLDER, encode)
    except (pa.ArrowException, ValueError) as error:
        raise strange(str(error).splitlines()[0]) from None
    return _write(_plain(table, "", {}, root / FOLDER, files=files), root / FOLDER, "arrays")


def _of_cells(cells: Any, folder: Path, encode: Encode) -> pa.Table:
    if isinstance(cells, list) and all(isinstance(one, Mapping) for one in cells):
        names = dict.fromkeys(name for one in cells for name in one)
        return pa.Table.from_pylist([{name: one.get(name) for name in names} for one in cells])
    found = array(cells)
    if shows(found):
        raise UserError("several pictures", f"one, of shape {found.shape}", "Put it into a list.")
    return pa.table(columns(found, folder, encode))


def _joined(made: list[pa.Table]) -> pa.Table:
    """The rows of all; where one has no such column, its rows have nothing there."""
    try:
        return pa.concat_tables(made, promote_options="permissive")
    except pa.ArrowException as error:
        do = "Give each column one type in all parts."
        raise UserError("parts whose columns agree", str(error).splitlines()[0], do) from None


def _saved(path: Path) -> Any:
    """What `datasets` has saved there, as a folder or as a Parquet file; None where it has not."""
    if any(all(is_file(path, name) for name in names) for names in SAVED):
        library = require("datasets", "datasets")
        try:
            return library.load_from_disk(str(path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError("a data set as `datasets` saves it", f"{path} ({said})", "Save it again.") from None
    try:
        ours = path.suffix.lower() == ".parquet" and b"huggingface" in (pq.read_schema(path).metadata or {})
    except (pa.ArrowException, OSError):  # reading it will say so
        return None
    return pq.read_table(path) if ours else None


def _adapted(given: Any) -> Parts:
    """What an object holds, by the name of its class: nobody's package is imported to ask."""
    adapter = _adapter(given)
    if adapter is None:
        raise UserError(KNOWN, f"a {type(given).__name__}", "Write it to a file, or make one of these of it.")
    return adapter(given)


def _adapter(given: Any) -> Callable[[Any], Parts] | None:
    known = (ADAPTERS.get((kind.__module__.partition(".")[0], kind.__name__)) for kind in type(given).__mro__)
    return next((one for one in known if one is not None), None)


def _frame(given: Any) -> Parts:
    _check_names([str(name) for name in given.columns])
    try:
        return {"": [pa.Table.from_pandas(given, preserve_index=False).replace_schema_metadata(None)]}
    except (pa.ArrowException, TypeError, ValueError) as error:
        do = "Give each column one type: numbers, text, lists of numbers."
        raise UserError("a DataFrame of plain columns", str(error).splitlines()[0], do) from None


def _check_names(names: list[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        do = "Give each column a name of its own."
        raise UserError("columns of different names", f"{twice!r} twice", do)


def _batches(given: Any) -> Iterator[pa.Table]:
    about = given.features.arrow_schema.metadata
    for batch in given.with_format("arrow").iter(ROWS):
        yield batch.replace_schema_metadata(about)


def _splits(given: Any) -> Parts:
    return {name if len(given) > 1 else "": _batches(one) for name, one in given.items()}


def _streamed(given: Any) -> Parts:
    do = "Take some: datasets.Dataset.from_list(list(data.take(1000)), features=data.features)."
    raise UserError("a data set that can be read again", f"a {type(given).__name__}", do)


ADAPTERS: Mapping[tuple[str, str], Callable[[Any], Parts]] = MappingProxyType(
    {
        ("pandas", "DataFrame"): _frame,
        ("pyarrow", "Table"): lambda given: {"": [given]},
        ("datasets", "Dataset"): lambda given: {"": _batches(given)},
        ("datasets", "DatasetDict"): _splits,
        ("datasets", "IterableDataset"): _streamed,
        ("datasets", "IterableDatasetDict"): _streamed,
    }
)
"""Package and class -> what one of its objects holds."""


def _each(parts: Parts) -> Iterator[tuple[str, pa.Table]]:
    yield from ((part, table) for part, tables in parts.items() for table in tables if len(table))


def _plain(table: pa.Table, part: str, features: dict[str, Any], folder: Path, *, files: bool = True) -> pa.Table:
    """A table of plain columns: classes by name, pictures as paths, and what part it is of.

    Args:
        table: as it was handed in.
        part: "" is not said.
        features: what Hugging Face says of the columns; filled.
        folder: for what is written.
        files: whether what names a file is made to name it from anywhere.
    """
    _check_names(table.column_names)
    features |= _features(table)
    for at, field in enumerate(table.schema):
        about = features.get(field.name, {})
        if about.get("_type") in ("Audio", "Video", "Pdf"):
            do = f"Leave it out: .remove_columns({field.name!r})."
            raise UserError("numbers, text, classes, lists or pictures", f"the {about['_type']} {field.name!r}", do)
        column = _named(table[field.name], about)
        if _holds_pictures(field.type):
            column = pa.chunked_array([[_picture(cell, folder) for cell in column.to_pylist()]], pa.string())
        if pa.types.is_floating(field.type):  # NaN is nothing, as it is in a frame
            column = pa.chunked_array([pa.array(column.to_numpy(), field.type, from_pandas=True)])
        table = table.set_column(at, field.name, column)
    for name in text_columns(table, None) if files else ():
        table = table.set_column(table.column_names.index(name), name, _absolute(table[name]))
    if not part:
        return table.replace_schema_metadata(None)
    free = next((one for one in SPLITS if one not in map(str.casefold, table.column_names)), None)
    if free is None:
        raise UserError("a column name for the parts", f"{', '.join(SPLITS)} taken", "Rename one of these columns.")
    return table.add_column(0, free, pa.array([part] * len(table))).replace_schema_metadata(None)


def _features(table: pa.Table) -> dict[str, Any]:
    """What Hugging Face's own metadata says of columns."""
    said = (table.schema.metadata or {}).get(b"huggingface")
    told = {} if said is None else json.loads(said)["info"]["features"]
    return {name: about for name, about in told.items() if isinstance(about, dict)}  # older ones write lists as lists


def _named(column: pa.ChunkedArray, about: Mapping[str, Any]) -> pa.ChunkedArray:
    """Codes of classes as their names; -1 is no class."""
    inner = about.get("feature", {})
    if about.get("_type") == "ClassLabel":
        names = about["names"]
        return pa.chunked_array([[_name(names, code) for code in column.to_pylist()]], pa.string())
    if isinstance(inner, dict) and inner.get("_type") == "ClassLabel":
        names = inner["names"]
        told = [None if codes is None else [_name(names, code) for code in codes] for codes in column.to_pylist()]
        return pa.chunked_array([told], pa.list_(pa.string()))
    return column


def _name(names: list[str], code: int | None) -> str | None:
    return None if code is None or code < 0 else names[code]


def _holds_pictures(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and {kind.field(i).name for i in range(kind.num_fields)} == {"bytes", "path"}


def _picture(cell: dict[str, Any] | None, folder: Path) -> str | None:
    """Where a picture lies, seen from the table: its own file, or one of the cache by its content."""
    if cell is None:
        return None
    if cell["bytes"] is None:
        return None if cell["path"] is None else str(Path(cell["path"]).resolve())
    return kept(cell["bytes"], folder)


def _absolute(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Names of files, seen from where the program runs, as they are seen from anywhere; texts as they are."""
    if not any(is_file(Path(), one) for one in column.slice(0, LOOKED_AT).to_pylist()):
        return column
    found = [str(Path(one).resolve()) if is_file(Path(), one) else one for one in column.to_pylist()]
    return pa.chunked_array([found], pa.string())


def _arrays(given: tuple[Any, ...], folder: Path, encode: Encode) -> pa.Table:
    """A pair of examples and targets as a table.

    Strings are texts or paths; uint8 (n, H, W) or (n, H, W, 3) are pictures, and so is a list of them or of PIL's, of
    any sizes; other (n, C, T), and lists of (C, T), are series of C channels, (n, D) rows of a table. Lists as targets
    are labels.
    """
    if len(given) != 2:
        raise UserError("a pair (examples, targets)", f"{len(given)} things", "Give both, in this order.")
    examples, targets = array(given[0]), answers(given[1])
    if examples.ndim == 0 or targets.ndim != 1 or len(examples) != len(targets) or not len(targets):
        came = f"arrays of shape {examples.shape} and {targets.shape}"
        raise UserError("as many examples as targets", came, "Give a target for each example.")
    table = _plain(pa.table(columns(examples, folder, encode)), "", {}, folder)
    try:
        return table.append_column(TARGET, pa.array(targets.tolist(), from_pandas=True))
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        do = "Give classes, numbers, or lists of labels; None where there is none."
        raise UserError("targets of one type", str(error).splitlines()[0], do) from None


def _write(table: pa.Table, folder: Path, name: str) -> Path:
    """The table's own file, by its content."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{os.getpid()}.parquet"
    try:
        pq.write_table(table.combine_chunks(), aside)
    except pa.ArrowException as error:
        aside.unlink(missing_ok=True)
        do = "Leave such columns out, or make numbers, text or lists of them."
        raise UserError("columns that a Parquet file takes", str(error).splitlines()[0], do) from None
    with aside.open("rb") as file:
        digest = sha256(file.read()).hexdigest()
    return aside.replace(folder / f"{name}-{digest[:12]}.parquet")
