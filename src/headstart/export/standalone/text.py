"""A text -> what the graph takes, as headstart prepared it when the model was fitted. Needs numpy and tokenizers."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer


@lru_cache
def tokenizer(path: Path, window: int) -> Any:
    """As long as the net reads at once; what is longer overflows into further windows."""
    found = Tokenizer.from_file(str(path))
    found.enable_truncation(window)
    found.no_padding()
    return found


def prepared(text: str, taken: dict[str, Any], folder: Path) -> Any:
    """(w, t) int64 token numbers of a text, or of what stands in a file ending in .txt or .md: a row a window."""
    text = Path(text).read_text(encoding="utf-8") if text.endswith((".txt", ".md")) else text
    first = tokenizer(folder / taken["tokenizer"], taken["window"]).encode(text)
    windows = [one.ids for one in (first, *first.overflowing)][: taken["windows"]]
    out = np.full((len(windows), max(map(len, windows))), taken["pad"], dtype=np.int64)
    for row, ids in zip(out, windows, strict=True):
        row[: len(ids)] = ids
    return out
