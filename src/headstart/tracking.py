"""A run as a tracker sees it while it goes on: what was asked, every epoch, every fold's score, the verdict.

The trackers are accelerate's. They listen and nothing else: numbers do not depend on them, and one that fails costs the
run a line. Only what a tracker does by itself goes to the network, and only where the user names it.
"""

import contextlib
import os
import re
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from headstart.core.errors import UserError, unknown_name
from headstart.core.extras import installed, require
from headstart.core.progress import Progress, Standing, Step
from headstart.core.record import AskedRecord, Record

TRACKERS: Mapping[str, str] = MappingProxyType(
    {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow", "trackio": "trackio"}
)
"""What `--track` takes, and the package that each comes in."""
ELSEWHERE: Mapping[str, str] = MappingProxyType({"mlflow": "MLFLOW_TRACKING_URI", "trackio": "TRACKIO_SPACE_ID"})
"""The variable that sends what a tracker is told to another machine."""
HERE = re.compile(r"(file|sqlite):|(?![a-z][\w+.\-]+:|databricks)", re.IGNORECASE)  # addresses of MLflow that are files
PROJECT = "headstart"
ODD = re.compile(r"[^\w\-. :/]")  # in names of curves: MLflow takes nothing else
Row = Mapping[str, object]
Told = Callable[[Record, list[Row]], None]
"""Given the record and the rows of its history, at the end."""


def check(name: str | None, *, offline: bool) -> None:
    """Refuse a tracker that is not there, or may not be told, before anything is read.

    Raises:
        UserError: nobody knows the name, its package is missing, or it tells another machine and no network is allowed.
    """
    if name is None:
        return
    if name not in TRACKERS:
        raise unknown_name("tracker", name, TRACKERS)
    require("accelerate", "track")
    if not installed(TRACKERS[name]):
        do = f"Install it: pip install {TRACKERS[name]}"
        raise UserError(f"the package {TRACKERS[name]} for --track {name}", "an installation without it", do)
    if offline:
        _check_offline(name)


def _check_offline(name: str) -> None:
    variable = ELSEWHERE.get(name, "")
    address = os.environ.get(variable, "")  # not shown: it may hold a password
    if address and not (name == "mlflow" and HERE.match(address)):
        do = f"Unset {variable}, or leave --offline out."
        raise UserError(f"a tracker on this machine for --offline --track {name}", f"another address in {variable}", do)


@contextmanager
def tracked(name: str | None, run: Path, said: AskedRecord, progress: Progress) -> Generator[tuple[Progress, Told]]:
    """A progress that also tells a tracker, and what tells it the end; without a name, nothing is added.

    Args:
        name: of the tracker.
        run: the run's folder; TensorBoard's files lie beside it, in `tensorboard/<its name>`.
        said: what was asked.
        progress: where steps are shown.
    """
    if name is None:
        yield progress, lambda _record, _history: None
        return
    log = Log(progress.say, name)
    log.begin(run, said)
    try:
        yield Tracked(progress, log), log.end
    finally:
        log.close()


@dataclass
class Log:
    """A tracker that may fail; then it is left alone.

    Attributes:
        say: where that is said.
        name: of the tracker.
        steps: logged so far. All curves share this count: some trackers take no step that is behind.
    """

    say: Callable[[str], None]
    name: str
    steps: int = 0
    _tracker: Any = field(default=None, repr=False)

    def begin(self, run: Path, said: AskedRecord) -> None:
        """Open the tracker, with what was asked as its configuration."""
        asked = {key: _plain(value) for key, value in said.model_dump().items() if value not in (None, (), False)}
        own = {"wandb": {"name": run.name, **({"mode": "offline"} if said.offline else {})}}
        own |= {"mlflow": {"run_name": run.name}, "trackio": {"name": run.name}}
        folder = run.parent / "tensorboard" if self.name == "tensorboard" else run.parent
        project = run.name if self.name == "tensorboard" else PROJECT

        def opened() -> None:
            # On the processor: no accelerator is claimed by a listener.
            made = require("accelerate", "track").Accelerator(cpu=True, log_with=self.name, project_dir=str(folder))
            made.init_trackers(project, asked, own)
            self._tracker = made

        self._try(opened)

    def log(self, values: Mapping[str, object]) -> None:
        """One point of some curves; what is not known is no point."""
        known = {ODD.sub("", key): value for key, value in values.items() if value is not None}
        self.steps += 1
        if self._tracker is not None and known:
            self._try(lambda: self._tracker.log(known, step=self.steps))

    def end(self, record: Record, history: list[Row]) -> None:
        """What came of it, and the epochs of the final training, which no step shows."""
        for row in history:
            if row["unit"] == "final":
                values = {key: row[key] for key in row if key not in ("arm", "unit", "seconds")}
                self.log({f"{row['arm']}, final/{key}": value for key, value in values.items()})
        self.log({f"final/{name}": value for name, value in record.scores.items()})
        gain = {} if record.gain is None else {"gain": record.gain.value, "gain low": record.gain.low}
        high = {} if record.gain is None else {"gain high": record.gain.high}
        self.log({f"final/{key}": value for key, value in {**gain, **high, "seconds": record.seconds.total}.items()})
        if self.name == "tensorboard":  # only it keeps words beside numbers
            self.log({"verdict": record.verdict.sentence, "delivered": record.decision.delivered})

    def close(self) -> None:
        """Let the tracker write what it holds back."""
        if self._tracker is not None:
            self._try(self._tracker.end_training)

    def _try(self, what: Callable[[], None]) -> None:
        """Do it; what trackers print goes where progress does, and what they raise is said once."""
        try:
            with contextlib.redirect_stdout(sys.stderr):
                what()
        except Exception as error:  # noqa: BLE001 - whatever fails in a tracker must not cost the run
            self._tracker = None
            said = (str(error).splitlines() or [""])[0]
            self.say(f"{self.name} does not take what it is told ({type(error).__name__}: {said}); going on without it")


@dataclass(frozen=True)
class Tracked:
    """See `headstart.core.progress.Progress`: shows what another one does, and logs it."""

    shown: Progress
    to: Log

    @contextmanager
    def step(self, name: str, total: float | None = None) -> Generator[Step]:
        """A step whose epochs are logged under its name."""
        inner: AbstractContextManager[Step] = self.shown.step(name, total)
        with inner as step:
            yield _Step(step, name, self.to)

    def say(self, text: str) -> None:
        """One line of prose."""
        self.shown.say(text)

    def begins(self, facts: Mapping[str, str]) -> None:
        """What is begun."""
        self.shown.begins(facts)

    def scored(self, standing: Standing) -> None:
        """An arm's score so far, on one more fold."""
        self.shown.scored(standing)
        self.to.log({f"{standing.metric}/{standing.arm}": standing.score, f"seconds/{standing.arm}": standing.seconds})


@dataclass(frozen=True)
class _Step:
    shown: Step
    name: str
    to: Log

    def advance(self, units: float = 1) -> None:
        self.shown.advance(units)

    def note(self, text: str) -> None:
        self.shown.note(text)

    def epoch(self, measured: Mapping[str, float | None]) -> None:
        self.shown.epoch(measured)
        self.to.log({f"{self.name}/{key}": value for key, value in measured.items() if key != "seconds"})


def _plain(value: object) -> str | float | bool:
    """A value as every tracker takes it."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return value if isinstance(value, int | float | bool) else str(value)
