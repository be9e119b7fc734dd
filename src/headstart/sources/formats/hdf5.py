"""Keras weight files (`.h5`, `.weights.h5`, `.keras`) -> arrays by name.

Only plain numeric arrays that lie in the file itself are read. Links out of it are refused before they are followed,
`config.json` is looked at for the names of layers, and nothing in a file is ever executed or unpacked by its own path.
"""

import io
import json
import re
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.errors import UserError
from headstart.core.extras import require
from headstart.sources.formats.checks import said, shown, sound, there

LARGEST = 2_000_000_000  # bytes of all weights, and of the member of a zip; Keras' largest net of these has 0.6 GB
LARGEST_CONFIG = 20_000_000
DEEPEST, MOST = 16, 50_000  # groups in groups, objects: hard links may form circles
WEIGHTS, CONFIG = "model.weights.h5", "config.json"
OPTIMISER = ("optimizer", "optimizer_weights")
BROKEN = (
    OSError, RuntimeError, KeyError, ValueError, TypeError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error,
    NotImplementedError,
)  # fmt: skip

# Keras 3 numbers the variables of a layer; their ranks tell which they are. What is not listed keeps its number.
VARIABLES: Mapping[tuple[int, ...], tuple[str, ...]] = {
    (4,): ("kernel",),
    (4, 1): ("kernel", "bias"),
    (2, 1): ("kernel", "bias"),
    (4, 4): ("depthwise_kernel", "pointwise_kernel"),
    (1, 1, 1, 1): ("gamma", "beta", "moving_mean", "moving_variance"),
    (1, 1, 0): ("mean", "variance", "count"),
}
# Keras 1 wrote the released weights of VGG with these; its "std" holds the variance.
KERAS_1 = {"W": "kernel", "b": "bias", "running_mean": "moving_mean", "running_std": "moving_variance"}


def read(path: Path) -> dict[str, NDArray[Any]]:
    """Every weight of a Keras file by `layer/weight`, such as `block1_conv1/kernel`, whichever format it is in.

    Layers of a model inside a model are named as if they stood outside; where that gives two weights one name, both
    have their whole path. The state of an optimiser is not looked at; counters and seeds are no weights and left out.

    Args:
        path: of a file that Keras wrote.

    Raises:
        UserError: h5py is not installed, or the file is no such file, damaged, too large, or has anything in it that
            weights do not need.
    """
    h5py = require("h5py", "keras")
    try:
        content, config = _members(path) if _is_zip(there(path)) else (path, None)
        with h5py.File(content, "r") as file:
            return sound(path, _arrays(file, config, h5py))
    except UserError:
        raise
    except BROKEN as error:
        do = "It is damaged or of another kind: fetch it again, or save it again as .h5 or .keras."
        raise UserError("a weight file of Keras (.h5, .weights.h5 or .keras)", f"{path}: {said(error)}", do) from None


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


# --- the zip around it


def _members(path: Path) -> tuple[io.BytesIO, Any]:
    with zipfile.ZipFile(path) as archive:
        config = json.loads(_member(archive, CONFIG, LARGEST_CONFIG))
        return io.BytesIO(_member(archive, WEIGHTS, LARGEST)), config


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """One member, read by its name; what its header says of its size is checked, and not trusted."""
    info = archive.NameToInfo.get(name)
    if info is None:
        do = "Save the model again with Keras 3: model.save('NAME.keras')."
        raise UserError(f"a .keras file with {name} in it", f"{archive.filename} without", do)
    with archive.open(info) as member:
        data = b"" if info.file_size > limit else member.read(limit + 1)
    if max(info.file_size, len(data)) > limit:
        raise _too_large(f"at most {limit:,} bytes in {name}")
    return data


# --- what lies in it


def _arrays(file: Any, config: Any, h5py: Any) -> dict[str, NDArray[Any]]:
    found: dict[str, Any] = {}
    for path, data in _datasets(file, h5py):
        found[path] = data
        if len(found) > MOST:
            raise _too_large(f"at most {MOST:,} arrays")
    if sum(data.nbytes for data in found.values()) > LARGEST:
        raise _too_large(f"at most {LARGEST:,} bytes of weights")
    numbered = any(re.search(r"(^|/)vars/\d+$", path) for path in found)
    names = _numbered(file, found, _layer_names(config)) if numbered else _named(file, found)
    twice = {name for name, count in Counter(names.values()).items() if count > 1}
    kept = {path: name for path, name in names.items() if found[path].dtype.kind == "f"}
    return {(path if name in twice else name): np.asarray(found[path][()]) for path, name in kept.items()}


def _datasets(group: Any, h5py: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every array below a group that is one of plain numbers, by its path."""
    if depth > DEEPEST:
        raise _refused(path, f"groups {DEEPEST} deep at most", "deeper ones")
    for key in group:
        here = f"{path}/{key}" if path else str(key)
        if here in OPTIMISER:
            continue
        link = group.get(key, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise _refused(here, "weights inside the file", f"a link elsewhere ({type(link).__name__})")
        child = group[key]
        if isinstance(child, h5py.Group):
            yield from _datasets(child, h5py, here, depth + 1)
        else:
            _check_plain(here, child, h5py)
            yield here, child


def _check_plain(path: str, data: Any, h5py: Any) -> None:
    if not isinstance(data, h5py.Dataset) or data.shape is None:
        raise _refused(path, "arrays and groups of arrays", "something else")
    if data.external is not None or data.is_virtual:
        raise _refused(path, "weights inside the file", "an array that lies in other files")
    if data.dtype.kind not in "fiu" or "dtype" in data.attrs:  # Keras keeps bfloat16 as integers, and says so there
        kind = shown(str(data.attrs.get("dtype", data.dtype)))
        raise _refused(path, "arrays of plain numbers", f"one of {kind}")


def _refused(path: str, expected: str, came: str) -> UserError:
    return UserError(expected, f"{came} at {shown(path)}", "Save the weights again as float32; do not use this file.")


def _too_large(expected: str) -> UserError:
    return UserError(expected, "more", "It would not fit into memory; do not use this file.")


# --- names


def _named(file: Any, found: Mapping[str, Any]) -> dict[str, str]:
    """Files up to Keras 2, and `.h5` of Keras 3: LAYER/SCOPE/weight:0, where a layer in an inner model has a scope."""
    outer = "model_weights/" if "model_weights" in file else ""
    known = _strings(file[outer] if outer else file, "layer_names")
    rests = {path: path.removeprefix(outer) for path in found}
    layers = {path: _layer(rest, known) for path, rest in rests.items()}
    scopes: defaultdict[str, set[str]] = defaultdict(set)
    for path, layer in layers.items():
        scopes[layer].add(_scope(rests[path], layer))
    return {
        path: _weight(layer if len(scopes[layer]) == 1 else _scope(rests[path], layer), path.rpartition("/")[2])
        for path, layer in layers.items()
    }


def _layer(path: str, known: Sequence[str]) -> str:
    """The layer that a path belongs to; names of DenseNet's layers have a "/" in them."""
    inside = [name for name in known if path.startswith(f"{name}/")]
    return max(inside, key=len, default=path.partition("/")[0])


def _scope(path: str, layer: str) -> str:
    return path.removeprefix(f"{layer}/").rpartition("/")[0]


def _weight(layer: str, leaf: str) -> str:
    plain = re.sub(r"_\d+$", "", leaf.removesuffix(":0")).removeprefix(f"{layer}_")
    return f"{layer}/{KERAS_1.get(plain, plain)}"


def _strings(group: Any, name: str) -> tuple[str, ...]:
    """An attribute of strings, which Keras cuts into name0, name1, ... where it is long."""
    parts = [key for key in group.attrs if re.fullmatch(rf"{name}\d*", key)]
    found = [np.ravel(group.attrs[key]).tolist() for key in sorted(parts, key=lambda key: (len(key), key))]
    return tuple(s.decode("utf-8", "replace") if isinstance(s, bytes) else str(s) for part in found for s in part)


def _numbered(file: Any, found: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """`.weights.h5` of Keras 3: PATH/vars/0, with the layer's name beside the variables or in the configuration."""
    of_layer: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for path, data in found.items():
        layer, _, number = path.rpartition("/")
        of_layer[layer][number] = data
    result: dict[str, str] = {}
    for layer, variables in of_layer.items():
        place = layer.removesuffix("vars").rstrip("/")
        said = file[layer].attrs.get("name") if layer else None
        name = said if isinstance(said, str) else names.get(place, place.rpartition("/")[2])
        ordered = sorted(variables, key=lambda number: (len(number), number))
        kinds = VARIABLES.get(tuple(variables[number].ndim for number in ordered), ordered)
        result |= {f"{layer}/{n}" if layer else n: f"{name}/{k}" for n, k in zip(ordered, kinds, strict=True)}
    return result


def _layer_names(model: Any, inside: str = "") -> dict[str, str]:
    """Where Keras 3 keeps each layer of a configuration -> its name: by class, counted through in their order."""
    settings = model.get("config") if isinstance(model, dict) else None
    seen: Counter[str] = Counter()
    result: dict[str, str] = {}
    for layer in settings.get("layers", ()) if isinstance(settings, dict) else ():
        kind = _snake(str(layer["class_name"]))
        place = f"{inside}layers/{kind}" + (f"_{seen[kind]}" if seen[kind] else "")
        seen[kind] += 1
        result[place] = str(layer["config"]["name"]) if "name" in layer["config"] else kind
        result |= _layer_names(layer, f"{place}/")
    return result


def _snake(kind: str) -> str:
    """SeparableConv2D -> separable_conv2d.

    >>> _snake("SeparableConv2D"), _snake("BatchNormalization")
    ('separable_conv2d', 'batch_normalization')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", kind).lower()
