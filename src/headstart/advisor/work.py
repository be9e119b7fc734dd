"""`work.json`: minutes turned into work once. Work is executed, not the clock: it can be killed, resumed, replayed."""

import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headstart.core.errors import UserError
from headstart.core.problem import Kind
from headstart.core.protocols import Machine
from headstart.features.backends import Mode

NAME = "work.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Asked(_Part):
    """What the user asked for, and of which data. Work of one question does not answer another."""

    fingerprint: str
    target: str | None
    sources: tuple[str, ...]
    identities: tuple[str, ...] = Field(default=(), description="of the sources: other weights are another question")
    strategies: tuple[str, ...]
    stage: str | None
    minutes: float
    metric: str
    deliver: Literal["auto", "transfer", "control"]
    seed: int
    text: str | None = Field(default=None, description="the column of a table that the examples stand in")
    kind: Kind = Field(default="classification", description="of task")
    plans: str = Field(description="sha256 of all plans of this version: other defaults are another question")


class LeftOut(_Part):
    """Something that did not fit into the time, with the minutes that it would need."""

    name: str
    minutes: float
    why: str


class Climb(_Part):
    """A gradient arm that was granted time: tried for `epochs` on an inner split, scored on folds if it does well."""

    arm: str
    source: str
    epochs: int
    choices: int = Field(
        default=1, description="of rate and norm policy that are tried, where its plan leaves them open"
    )
    seconds: float = Field(description="that it needs at most, scoring included")


class Work(_Part):
    """All that decides what is computed. With the same seed it gives the same record."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    asked: Asked
    sources: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    forward: dict[str, float]
    step: dict[str, dict[str, float]] = Field(description="arm -> source -> seconds of a training step, an example")
    solve: float
    repeats: int | None = Field(
        default=None, description="fold maps that tier 0 runs; null until it is known what one costs"
    )
    climbs: tuple[Climb, ...] | None = Field(default=None, description="null until tier 0 is done")
    m: int | None = Field(default=None, description="folds that finalists are scored on; null until arms have chosen")
    finalists: int | None = Field(default=None, description="arms of each side, transfer and control, that are scored")
    not_climbed: tuple[LeftOut, ...] = ()
    pruned: dict[str, str] = Field(default_factory=dict)
    modes: dict[str, Mode] = Field(default_factory=dict, description="precision and backend of each source's features")

    @property
    def machine(self) -> Machine:
        """The timed steps."""
        step = {(arm, source): value for arm, found in self.step.items() for source, value in found.items()}
        return Machine(self.forward, step, self.solve)


def check_minutes(minutes: float) -> None:
    """Refuse a budget that is no time at all.

    Raises:
        UserError: not a positive, finite number.
    """
    if not 0 < minutes < float("inf"):
        raise UserError("a positive number of minutes", str(minutes), "Try --minutes 10.")


def read(path: Path) -> Work:
    """A work file.

    Raises:
        UserError: it is not there, or it is no work file of this version.
    """
    try:
        return Work.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            "a work.json of a former run", f"{path} ({error.strerror})", "Name the file in its run."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise UserError("a work.json", f"{path}: {where}: {first['msg']}", "Use one that fit has written.") from None


def write(folder: Path, work: Work) -> None:
    """Write aside and rename."""
    replace_text(folder / NAME, work.model_dump_json(by_alias=True, indent=2))


def replace_text(path: Path, text: str) -> None:
    """A file appears whole or not at all."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def replace_json(path: Path, value: Any) -> None:
    """The same for a JSON value."""
    replace_text(path, json.dumps(value, indent=2))
