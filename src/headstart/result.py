"""What `fit` gives back: the record of a run, and its delivered model."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from headstart import runs
from headstart.core.problem import Task
from headstart.core.progress import Progress, Silent
from headstart.core.record import Record, Verdict
from headstart.data.handed import Given
from headstart.evaluation import evidence
from headstart.evaluation.closing import next_steps, shown
from headstart.saved import Answer, Prediction, Saved


@dataclass(frozen=True)
class Result:
    """A finished run: its record, and the delivered model ready to predict."""

    record: Record
    run: Path

    @property
    def verdict(self) -> Verdict:
        """Whether transfer helped."""
        return self.record.verdict

    @property
    def task(self) -> Task:
        """What is predicted."""
        told = self.record.tasks[0]
        return Task(told.name, told.kind, told.classes)

    def predict(self, given: Given, progress: Progress | None = None) -> list[Prediction]:
        """Labels and calibrated probabilities, or numbers and how far they are off.

        Args:
            given: files, or what `fit` takes as data: a frame, a table, arrays without targets; or texts, as strings.
            progress: told how far it is.

        Raises:
            UserError: a file cannot be read, or the run's source cannot be had.
        """
        return self._opened.predict(given, progress or Silent())

    def answers(self, given: Given, progress: Progress | None = None) -> Iterator[Answer]:
        """The same one after the other, of as many as one likes; of what cannot be read the reason (`SkippedFile`).

        Args:
            given: files, or folders of files at any depth; or as `predict` takes it.
            progress: told how far it is.

        Raises:
            UserError: the run's source cannot be had.
        """
        return self._opened.answers(given, progress or Silent())

    def predictions(self) -> pa.Table:
        """What every arm said of every example that it had not learned from, as an Arrow table.

        `.to_pandas()` makes a data frame of it, and `datasets.Dataset(table)` a data set.

        Returns:
            A row an arm, repeat and example: `example` (its name), `key` (sha256 of its content), `group`, `truth`,
            `arm`, `role`, `on` ("out-of-fold" or "test"), `repeat`, `fold`, and `probabilities` in the order of the
            record's classes, not yet calibrated; of numbers the one that is predicted.
        """
        return evidence.said(self.run / evidence.NAME)

    @cached_property
    def _opened(self) -> Saved:
        return Saved.open(self.run)

    def save(self, path: str | Path) -> Path:
        """Copy the run to a new folder.

        Raises:
            UserError: the folder exists and is not empty.
        """
        return runs.copy(self.run, Path(path))

    def __str__(self) -> str:
        r = self.record
        score, source = r.score, r.sources[0].name if r.sources else "no source"
        return (
            f"{r.strategy} from {source}: {r.metric} {score.value:.3f} [{score.low:.3f}, {score.high:.3f}] "
            f"on {score.n} examples ({score.on})\n"
            + "\n".join((r.verdict.sentence, *next_steps(r), f"{r.seconds.total:.0f} s, {self.run}"))
        )

    def _repr_html_(self) -> str:
        return shown(self.record).html()
