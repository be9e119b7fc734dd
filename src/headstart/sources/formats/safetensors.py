"""Files of safetensors: a JSON header and plain numbers. The library checks sizes and offsets; here it is told why."""

import re
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from headstart.core.errors import UserError
from headstart.sources.formats.checks import said, sound, there

AGAIN = "Download it again."
REASONS = (  # what the library says -> what came, what to do
    (r"header too large", "a header beyond 100 MB, or no safetensors at all", "Check where it comes from."),
    (r"header too small", "cut short within its header", AGAIN),
    (r"incomplete metadata", "cut short, or with bytes that belong to no tensor", AGAIN),
    (r"invalid offset", "tensors that overlap or leave gaps", "It was not used; check where it comes from."),
    (r"invalid shape|overflow", "a tensor whose shape is not its size", "It was not used; check where it comes from."),
    (r"invalid (JSON|UTF-8)", "a header that cannot be read", "Check where it comes from."),
)


def read(path: Path) -> dict[str, Tensor]:
    """Tensors by name.

    Raises:
        UserError: the file is damaged, lies about itself, or holds something other than finite numbers.
    """
    try:
        found = load_file(there(path))
    except (SafetensorError, OSError, ValueError, RuntimeError, MemoryError) as error:
        raise _refused(path, error) from None
    return sound(path, found)


def _refused(path: Path, error: Exception) -> UserError:
    for pattern, came, do in REASONS:
        if re.search(pattern, str(error)):
            return UserError("a file of safetensors", f"{path}: {came}", do)
    return UserError("a file of safetensors", f"{path}: damaged ({said(error)})", AGAIN)
