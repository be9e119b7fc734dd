"""Files that `torch.save` wrote, zip or legacy: tensors by name, and nothing else. No code in them is ever run.

torch's own weights-only unpickler does the reading: it knows tensors and containers and refuses every other name. What
it does not look at is checked here: zip members that grow when they are read, tensors that are larger than the file
that holds them, dictionaries that hold themselves.
"""

import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstart.core.errors import UserError
from headstart.sources.formats.checks import said, shown, sound, there

CONTAINERS = (  # where training scripts put the weights among other things; the first that is there is taken
    "state_dict", "model_state_dict", "model_state", "model", "net_state_dict", "net", "network", "module", "weights",
    "params", "backbone", "encoder", "netG_state_dict", "netG", "generator_state_dict", "generator",
)  # fmt: skip
DEEPEST = 8  # dictionaries inside one another
MOST = 200_000  # entries
TIED = 4  # how often the same stored numbers may be used: tied weights share theirs, a bomb repeats one number
ZIP = b"PK"

REASONS = (  # what torch says -> what came, what to do
    (r"GLOBAL ([\w.]+)", "a pickle that wants to run {}", "It was not run. Ask for its state_dict, or safetensors."),
    (r"TorchScript", "a program (TorchScript)", "It was not run. Save the state_dict of its net."),
    (r"central directory|[Uu]nexpected EOF|^EOFError", "cut short", "Download it again."),
    (r"Unsupported operand|magic number|subdirectory", "no file that torch.save wrote", "Check where it comes from."),
)


def read(path: Path) -> dict[str, Tensor]:
    """Tensors by name; nested dictionaries are joined with dots.

    Raises:
        UserError: the file is damaged, wants code to be run, or holds something other than finite tensors.
    """
    _check_zip(there(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of what is refused below
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - broken bytes make an unpickler raise anything
        raise _refused(path, error) from None
    tensors = dict(_flat(path, _unwrapped(found), ""))
    _check_bytes(path, tensors)
    return sound(path, tensors)


def _check_zip(path: Path) -> None:
    """Files of torch hold their members as they are: what grows when it is read was not written by torch."""
    with path.open("rb") as file:
        if file.read(len(ZIP)) != ZIP:
            return
    try:
        with zipfile.ZipFile(path) as archive:
            stated = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise UserError("a whole file of torch", f"{path}: cut short ({said(error)})", "Download it again.") from None
    if stated > path.stat().st_size:
        came = f"{path}: members of {stated:,} bytes in a file of {path.stat().st_size:,}"
        raise UserError("a file of torch, which is not compressed", came, "It was not opened; do not use it.")


def _refused(path: Path, error: Exception) -> UserError:
    text = f"{type(error).__name__} {error}"
    for pattern, came, do in REASONS:
        match = re.search(pattern, text)
        if match:
            return UserError("a file of tensors", f"{path}: {came.format(*map(shown, match.groups()))}", do)
    return UserError("a file of tensors", f"{path}: damaged ({said(error)})", "Download it again.")


def _unwrapped(found: Any) -> Any:
    """What lies in the usual containers, as deep as they are nested."""
    for _ in range(DEEPEST):
        inside = None
        if isinstance(found, Mapping):
            inside = next((found[name] for name in CONTAINERS if isinstance(found.get(name), Mapping)), None)
        if inside is None:
            break
        found = inside
    return found


def _flat(path: Path, found: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Dotted names and tensors of nested dictionaries; iterative, and counted: they may hold themselves."""
    waiting: list[tuple[str, Any, int]] = [(prefix, found, 0)]
    for _ in range(MOST):
        if not waiting:
            return
        name, value, depth = waiting.pop()
        if isinstance(value, Tensor):
            yield name, _dense(path, name, value)
        elif isinstance(value, Mapping) and depth < DEEPEST:
            below = [(_joined(path, name, key), inside, depth + 1) for key, inside in value.items()]
            waiting += reversed(below)
        else:
            kind = "too many dictionaries inside one another" if isinstance(value, Mapping) else type(value).__name__
            came = f"{path}: {shown(name) if name else 'the whole'} is {kind}"
            raise UserError("only tensors by name", came, "Save the net's state_dict by itself.")
    raise UserError(f"at most {MOST:,} entries", f"{path}: more", "Save the net's state_dict by itself.")


def _joined(path: Path, name: str, key: object) -> str:
    if not isinstance(key, str):
        raise UserError("tensors by name", f"{path}: the key {shown(key)}", "Save the net's state_dict by itself.")
    return f"{name}.{key}" if name else key


def _dense(path: Path, name: str, tensor: Tensor) -> Tensor:
    if tensor.device.type != "cpu" or tensor.layout != torch.strided or tensor.is_quantized:
        kind = "no numbers" if tensor.device.type != "cpu" else "sparse or quantised numbers"
        raise UserError("plain tensors", f"{path}: {shown(name)} holds {kind}", "Save the weights again as float32.")
    return tensor.detach()


def _check_bytes(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """A tensor may be a view that repeats few stored numbers: a small file would fill the memory."""
    stated, most = 0, TIED * path.stat().st_size
    for name, tensor in tensors.items():
        stated += tensor.numel() * tensor.element_size()
        if stated > most:
            came = f"{path}: {shown(name)} repeats what is stored"
            raise UserError("tensors no larger than their file", came, "It was not used; save contiguous tensors.")
