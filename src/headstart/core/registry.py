"""Registries: built-ins by a string that is imported on first use, outsiders by entry point."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from headstart.core.errors import unknown_name


@dataclass(frozen=True)
class Registry:
    """Names and where they live.

    Args:
        kind: what the names are ("strategy"), for messages.
        builtin: name -> "module:attribute".
        group: the entry-point group through which other packages add names.
    """

    kind: str
    builtin: Mapping[str, str]
    group: str

    def names(self) -> tuple[str, ...]:
        """Every known name, the built-in ones first, each group in its own order."""
        outside = [e.name for e in entry_points(group=self.group) if e.name not in self.builtin]
        return (*self.builtin, *outside)

    def load(self, name: str) -> Any:
        """The object behind a name.

        Raises:
            UserError: nobody registered that name; the message offers near ones.
        """
        if name in self.builtin:
            module, attribute = self.builtin[name].split(":")
            return getattr(importlib.import_module(module), attribute)
        for entry in entry_points(group=self.group):
            if entry.name == name:
                return entry.load()
        raise unknown_name(self.kind, name, self.names())
