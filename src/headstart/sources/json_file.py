"""A foreign JSON file, read."""

import json
from pathlib import Path
from typing import Any, cast

from headstart.core.errors import UserError
from headstart.sources.formats.checks import said


def read(path: Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        UserError: no JSON object.
    """
    return parse(path.read_bytes(), str(path))


def parse(text: str | bytes, name: str) -> dict[str, Any]:
    """The object in a text; `name` says which in messages."""
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError("a JSON object", f"{name}: {said(error)}", "Download the file again.") from None
    if not isinstance(found, dict):
        raise UserError("a JSON object", f"{name}: another value", "Download the file again.")
    return cast("dict[str, Any]", found)
