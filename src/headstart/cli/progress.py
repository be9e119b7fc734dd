"""Progress on standard error: a live line a step on a terminal, plain lines elsewhere, nothing when quiet."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Task as Line
from rich.text import Text

from headstart.cli.output import plain
from headstart.core import progress as core


class _TimeLeft(ProgressColumn):
    """Elapsed time per unit so far, times the units to come: steady when units are few and long, such as folds."""

    def render(self, task: Line) -> Text:
        if task.finished or task.total is None or not task.completed or task.elapsed is None:
            return Text("")
        seconds = round(task.elapsed / task.completed * max(task.total - task.completed, 0))
        return Text(f"{seconds // 60}:{seconds % 60:02d} left", style="progress.remaining")


class _LiveStep:
    def __init__(self, bars: Progress, line: TaskID) -> None:
        self._bars, self._line = bars, line

    def advance(self, units: float = 1) -> None:
        self._bars.advance(self._line, units)

    def note(self, text: str) -> None:
        self._bars.update(self._line, note=plain(text))


class Live:
    """Steps as lines with a bar, the time gone and the time left; a finished step stays as one line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Progress | None = None
        self._open = 0

    @contextmanager
    def step(self, name: str, total: float | None = None) -> Generator[core.Step]:
        """A step of `total` units."""
        if self._bars is None:
            self._bars = self._start()
        bars = self._bars
        line = bars.add_task("  " * self._open + plain(name), total=total, note="")
        self._open += 1
        try:
            yield _LiveStep(bars, line)
            task = bars.tasks[bars.task_ids.index(line)]
            bars.update(line, total=task.completed or 1, completed=task.completed or 1)
        finally:
            bars.stop_task(line)
            self._open -= 1
            if self._open == 0:
                bars.stop()
                self._bars = None

    def say(self, text: str) -> None:
        """One line above the bars."""
        self._console.print(Text(plain(text)))

    def _start(self) -> Progress:
        bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            _TimeLeft(),
            TextColumn("{task.fields[note]}", markup=False, style="dim"),
            console=self._console,
            redirect_stdout=False,
        )
        bars.start()
        return bars


class Lines:
    """Plain lines at the start and the end of a step: for log files and pipes."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

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


class _LastNote:
    text = ""

    def advance(self, units: float = 1) -> None: ...

    def note(self, text: str) -> None:
        self.text = text


def progress(quiet: bool = False) -> core.Progress:
    """The progress that suits standard error: a terminal, something else, or nobody."""
    if quiet:
        return core.Silent()
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if console.is_terminal and not console.is_dumb_terminal:
        return Live(console)
    return Lines(console.file)
