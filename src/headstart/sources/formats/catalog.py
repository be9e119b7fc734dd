"""Which reader a file of weights has: by its ending. Loads no framework before a file is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.core.errors import UserError
from headstart.core.registry import Registry

READERS = Registry(
    kind="ending of a weight file",
    builtin={
        ".safetensors": "headstart.sources.formats.safetensors:read",
        ".pt": "headstart.sources.formats.pickled:read",
        ".pth": "headstart.sources.formats.pickled:read",
        ".bin": "headstart.sources.formats.pickled:read",
        ".ckpt": "headstart.sources.formats.pickled:read",
        ".h5": "headstart.sources.formats.hdf5:read",
        ".keras": "headstart.sources.formats.hdf5:read",
        ".onnx": "headstart.sources.formats.onnx:read",
    },
    group="headstart.formats",
)


def read(path: Path) -> Mapping[str, Any]:
    """Arrays by name out of a file of weights: tensors of torch, or of numpy, as its format has them.

    Raises:
        UserError: no reader for that ending, or the reader refuses the file.
    """
    ending = path.suffix.lower()
    if ending not in READERS.names():
        do = f"Known endings: {', '.join(READERS.names())}. Name the file by what it is."
        raise UserError("a file of weights", f"{path}, which ends in {ending or 'nothing'}", do)
    return READERS.load(ending)(path)
