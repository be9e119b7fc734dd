"""The ledger: every finished unit of work on disk, so that a killed run goes on from the last one."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from headstart.core.predictions import Floats
from headstart.core.protocols import State


@dataclass(frozen=True)
class Done:
    """What a unit left behind.

    Attributes:
        probabilities: (k, C) for the examples it predicted.
        seconds: it took.
        source, stages, plan: what was chosen inside; the plan is JSON.
        history: one mapping an epoch.
        notes: lines for the record.
    """

    probabilities: Floats
    seconds: float
    source: str | None = None
    stages: tuple[str, ...] = ()
    plan: str | None = None
    history: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = field(default=())


class Ledger:
    """Finished work under one folder. Each file is written aside and renamed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.resumed = 0
        self.computed = 0
        self._mine: set[str] = set()
        (folder / "units").mkdir(parents=True, exist_ok=True)

    def workspace(self, name: str) -> Path:
        """Where a unit under way keeps its checkpoints."""
        return self.folder / "checkpoints" / name

    def __contains__(self, name: str) -> bool:
        """Whether a unit is there; `get` may still find that it cannot be read."""
        return self._path(name).exists()

    def get(self, name: str) -> Done | None:
        """A finished unit, or None. A file that cannot be read counts as not finished."""
        read = _read(self._path(name))
        if read is None:
            return None
        self.resumed += name not in self._mine
        self._mine.add(name)  # looked up again it is no other unit
        arrays, facts = read
        return Done(
            probabilities=arrays["probabilities"],
            seconds=facts["seconds"],
            source=facts["source"],
            stages=tuple(facts["stages"]),
            plan=facts["plan"],
            history=tuple(facts["history"]),
            notes=tuple(facts["notes"]),
        )

    def put(self, name: str, done: Done) -> None:
        """Keep a finished unit and drop its checkpoints."""
        facts = asdict(done)
        facts.pop("probabilities")
        _write(self._path(name), {"probabilities": np.ascontiguousarray(done.probabilities)}, facts)
        self.computed += 1
        self._mine.add(name)
        shutil.rmtree(self.workspace(name), ignore_errors=True)

    def once(self, name: str, make: Callable[[], Done]) -> Done:
        """A finished unit, made and kept where it was not there."""
        known = self.get(name)
        if known is not None:
            return known
        done = make()
        self.put(name, done)
        return done

    def get_state(self, name: str) -> State | None:
        """A fitted model at rest, or None."""
        read = _read(self._path(f"state.{name}"))
        return None if read is None else State(*read)

    def put_state(self, name: str, state: State) -> None:
        """Keep a fitted model."""
        arrays = {key: np.asarray(value, order="C") for key, value in state.arrays.items()}
        _write(self._path(f"state.{name}"), arrays, dict(state.meta))

    def _path(self, name: str) -> Path:
        return self.folder / "units" / f"{name}.safetensors"


def _write(path: Path, arrays: dict[str, Any], facts: Mapping[str, Any]) -> None:
    aside = path.with_name(f".{path.name}.aside")
    save_file(arrays, aside, metadata={"facts": json.dumps(facts)})
    aside.replace(path)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads(file.metadata()["facts"])
            return {key: file.get_tensor(key) for key in file.keys()}, facts  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, KeyError, ValueError):
        return None
