"""Progress on standard error: live lines and a table that fills on a terminal, plain lines elsewhere."""

import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import IO

from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Task as Line
from rich.table import Column, Table
from rich.text import Text

import headstart
from headstart.cli.output import ROLES, plain, table
from headstart.core import progress as core

_WIDEST = 96  # of the banner: longer lines are harder to read
BRIEF = 2.0  # seconds from which a finished step is worth a line
_BELOW = 7  # lines of a terminal that the table of arms leaves to the steps under way


class _TimeLeft(ProgressColumn):
    """Elapsed time per unit so far, times the units to come: steady when units are few and long, such as folds."""

    def render(self, task: Line) -> Text:
        if task.finished or task.total is None or not task.completed or task.elapsed is None:
            return Text("")
        return Text(f"{_clock(task.elapsed / task.completed * max(task.total - task.completed, 0))} left", style="cyan")


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


class _Screen(Progress):
    """The arms that were scored so far, and below them the steps under way."""

    arms: Mapping[str, core.Standing] = MappingProxyType({})

    def get_renderables(self) -> Iterable[RenderableType]:
        if self.arms:
            yield _arms(list(self.arms.values()), self.console)
            yield ""
        yield self.make_tasks_table(self.tasks)


def _arms(standings: list[core.Standing], console: Console) -> Table:
    """The last arms of the table, in the order in which they came; those that are not done yet are dim."""
    last = standings[-max(console.height - _BELOW, 3) :]
    columns = ("so far", "role", "source", last[0].metric.replace("_", " "), "on", "seconds")
    rows = [(a.arm, a.role, a.source or "-", f"{a.score:.3f}", a.on, f"{a.seconds:.1f}") for a in last]
    if console.width < ROLES:
        rows, columns = [(arm, *rest) for arm, _, *rest in rows], (columns[0], *columns[2:])
    unfinished = {at: "dim" for at, one in enumerate(last) if not one.done}
    return table(columns, rows, (columns[-3], "seconds"), cut=("source",), styles=unfinished, out=console)


class _LiveStep:
    def __init__(self, bars: Progress, line: TaskID) -> None:
        self._bars, self._line = bars, line

    def advance(self, units: float = 1) -> None:
        self._bars.advance(self._line, units)

    def note(self, text: str) -> None:
        self._bars.update(self._line, note=plain(text))

    def epoch(self, measured: Mapping[str, float | None]) -> None: ...


class Live:
    """Steps as lines with a bar, the time gone and the time left; one that took a while leaves a line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._screen: _Screen | None = None
        self._arms: dict[str, core.Standing] = {}
        self._open = 0

    @contextmanager
    def held(self) -> Generator[core.Progress]:
        """Keep the table of arms on the screen between steps; it goes when all went well, for results to follow."""
        with self._shown():
            yield self

    @contextmanager
    def step(self, name: str, total: float | None = None) -> Generator[core.Step]:
        """A step of `total` units."""
        with self._shown() as screen:
            depth = len(screen.tasks)
            line = screen.add_task("  " * depth + plain(name), total=total, note="")
            try:
                yield _LiveStep(screen, line)
                task = screen.tasks[screen.task_ids.index(line)]
                if depth == 0 and (seconds := task.elapsed or 0.0) >= BRIEF:
                    self._tick(plain(name), seconds)
            finally:
                screen.remove_task(line)

    def say(self, text: str) -> None:
        """One line above the bars."""
        self._console.print(Text(plain(text)))

    def begins(self, facts: Mapping[str, str]) -> None:
        """A box with a line a fact."""
        rows = Table.grid(padding=(0, 2))
        rows.add_column(style="cyan")
        rows.add_column()
        for name, fact in facts.items():
            rows.add_row(name, Text(plain(fact)))
        title = Text(f"headstart {headstart.__version__}", style="bold")
        wide = min(self._console.width, _WIDEST)
        self._console.print(Panel(rows, title=title, title_align="left", border_style="dim", width=wide))

    def scored(self, standing: core.Standing) -> None:
        """A row of the table, or what it is now."""
        self._arms[standing.key] = standing

    def _tick(self, name: str, seconds: float) -> None:
        mark = "*" if self._console.options.ascii_only else "\N{CHECK MARK}"
        said = Text.assemble((f"{mark} ", "green"), name, (f"  {_clock(seconds)}", "dim"))
        self._console.print(said, no_wrap=True, overflow="ellipsis")

    @contextmanager
    def _shown(self) -> Generator[_Screen]:
        """The screen, from the first that needs it to the last."""
        screen = self._screen = self._screen or self._start()
        self._open += 1
        try:
            yield screen
        except BaseException:
            screen.live.transient = False  # what was found so far stays in sight
            raise
        finally:
            self._open -= 1
            if self._open == 0:
                screen.stop()
                self._screen = None

    def _start(self) -> _Screen:
        half = Column(no_wrap=True, overflow="ellipsis", max_width=max(self._console.width // 2 - 4, 16))
        rest = Column(no_wrap=True, overflow="ellipsis")
        screen = _Screen(
            TextColumn("{task.description}", markup=False, table_column=half),
            BarColumn(bar_width=min(24, self._console.width // 6)),
            TimeElapsedColumn(),
            _TimeLeft(),
            TextColumn("{task.fields[note]}", markup=False, style="dim", table_column=rest),
            console=self._console,
            redirect_stdout=False,
            transient=True,
        )
        screen.arms = self._arms
        screen.start()
        return screen


class Lines:
    """Plain lines at the start and the end of a step, and one an arm: for log files and pipes."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._told: set[str] = set()

    @contextmanager
    def step(self, name: str, total: float | None = None) -> Generator[core.Step]:
        """A step whose units are not shown."""
        of = "" if total is None else f" ({total:g})"
        self.say(f"{name}{of} ...")
        began = time.perf_counter()
        step = _LastNote()
        yield step
        self.say(f"{name}: {time.perf_counter() - began:.1f} s" + (f", {step.text}" if step.text else ""))

    def say(self, text: str) -> None:
        """One line."""
        self._stream.write(plain(text) + "\n")
        self._stream.flush()

    def begins(self, facts: Mapping[str, str]) -> None:
        """A line a fact."""
        for name, fact in facts.items():
            self.say(f"{name}: {fact}")

    def scored(self, standing: core.Standing) -> None:
        """One line when the arm is first done."""
        one = standing
        if one.done and one.key not in self._told:
            self._told.add(one.key)
            of = f" from {one.source}" if one.source and one.role == "transfer" else ""
            self.say(f"{one.role} {one.arm}{of}: {one.metric} {one.score:.3f} on {one.on}, {one.seconds:.1f} s")


class _LastNote:
    text = ""

    def advance(self, units: float = 1) -> None: ...

    def note(self, text: str) -> None:
        self.text = text

    def epoch(self, measured: Mapping[str, float | None]) -> None: ...


def progress(quiet: bool = False) -> core.Progress:
    """The progress that suits standard error: a terminal, something else, or nobody."""
    if quiet:
        return core.Silent()
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if console.is_terminal and not console.is_dumb_terminal:
        return Live(console)
    return Lines(console.file)


@contextmanager
def showing(quiet: bool = False) -> Generator[core.Progress]:
    """`progress` for a whole command: on a terminal the table of arms stays until the results take its place."""
    shown = progress(quiet)
    if isinstance(shown, Live):
        with shown.held() as live:
            yield live
    else:
        yield shown


@contextmanager
def starting(shown: core.Progress) -> Generator[None]:
    """What is done before the first step is a step of its own on a terminal, and nothing elsewhere."""
    if isinstance(shown, Live):
        with shown.step("starting"):
            yield
    else:
        yield
