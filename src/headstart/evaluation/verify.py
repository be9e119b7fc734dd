"""Recompute every interval of a record from its predictions, without the model."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.core.errors import UserError
from headstart.core.record import Record
from headstart.evaluation import evidence as kept
from headstart.evaluation.figures import Figures, figures
from headstart.evaluation.transfer_measures import measures
from headstart.metrics.scores import metric

TOLERANCE = 1e-9

Fact = tuple[str, float | str | None, float | str | None]


@dataclass(frozen=True)
class Row:
    """One figure: what the record says and what the predictions say."""

    what: str
    recorded: float | str | None
    recomputed: float | str | None
    equal: bool


@dataclass(frozen=True)
class VerifyReport:
    """The outcome of a verification."""

    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        """Everything agrees."""
        return all(row.equal for row in self.rows)


def verify(run: Path) -> VerifyReport:
    """Compare `record.json` with `predictions.parquet`.

    Raises:
        UserError: one of the files is missing or unreadable.
    """
    record, evidence, history = _read(run)
    again = figures(evidence, record.decision.delivered, metric(record.metric), record.seed)
    facts = [*_facts(record, again), *_measured(record, evidence, history)]
    return VerifyReport(tuple(_row(*fact) for fact in facts))


def _read(run: Path) -> tuple[Record, kept.Evidence, list[dict[str, Any]]]:
    try:
        record = Record.from_json((run / "record.json").read_text(encoding="utf-8"))
        trained = run / "history.jsonl"
        lines = trained.read_text(encoding="utf-8").splitlines() if trained.exists() else []
        return record, kept.read(run / kept.NAME), [json.loads(line) for line in lines]
    except (OSError, ValueError, KeyError) as error:
        said = str(error).splitlines()[0]
        raise UserError("a finished run with record.json and predictions.parquet", f"{run} ({said})", "Name a run folder that fit has written.") from None  # fmt: skip # noqa: E501


def _facts(record: Record, again: Figures) -> Iterator[Fact]:
    yield from _interval("score", record.score, again.score)
    for name, value in record.scores.items():
        yield f"scores.{name}", value, again.scores[name]
    yield "calibration.temperature", record.calibration.temperature, again.reading.temperature
    yield "calibration.off", record.calibration.off, again.off
    yield "calibration.tau", record.calibration.tau, again.reading.tau
    classes = record.tasks[0].classes
    weights = zip(classes, record.calibration.weights(classes), again.reading.weights.tolist(), strict=False)
    yield from ((f"calibration.class_weights.{name}", was, now) for name, was, now in weights)
    judged = again.comparison
    if record.gain is not None and record.control is not None and judged is not None:
        yield from _interval("gain", record.gain, judged.gain)
        yield from _interval("control", record.control, judged.of_control)
        yield "verdict", record.verdict.claim, judged.claim
        yield "control.name", record.control.name, judged.control
        yield "decision.p_gain", record.decision.p_gain, judged.p_gain
        yield "decision.p_harm", record.decision.p_harm, judged.p_harm
    if record.audit is not None and again.audit is not None:
        yield "audit.gain", record.audit.gain, again.audit.value
        yield "audit.low", record.audit.low, again.audit.low
        yield "audit.high", record.audit.high, again.audit.high
    for candidate in record.candidates:
        if candidate.score is not None:
            yield from _interval(f"candidates.{candidate.name}", candidate.score, again.arms[candidate.name][0])
        if candidate.test is not None:
            yield from _interval(f"candidates.{candidate.name}.test", candidate.test, again.tested[candidate.name])


def _measured(record: Record, evidence: kept.Evidence, history: list[dict[str, Any]]) -> Iterator[Fact]:
    """The measures of transfer, of records that have them."""
    said = record.measures
    if said is None:
        return
    again = measures(evidence, metric(record.metric), record.seed, history, said.why_none, said.seconds)
    recomputed = dict(_flat("measures", again.model_dump()))
    for what, value in _flat("measures", said.model_dump()):
        yield what, value, recomputed.get(what)


def _flat(what: str, value: Any) -> Iterator[tuple[str, float | str | None]]:
    """Every single value of nested ones, by its path."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _flat(f"{what}.{name}", one)
    elif isinstance(value, tuple | list):
        for at, one in enumerate(value):
            yield from _flat(f"{what}.{at}", one)
    else:
        yield what, value


def _interval(what: str, recorded: object, again: object) -> Iterator[tuple[str, float | None, float | None]]:
    for end in ("value", "low", "high"):
        yield f"{what}.{end}", getattr(recorded, end), getattr(again, end)


def _row(what: str, recorded: float | str | None, again: float | str | None) -> Row:
    if isinstance(recorded, float) and isinstance(again, float):
        return Row(what, recorded, again, abs(recorded - again) <= TOLERANCE)
    return Row(what, recorded, again, recorded == again)
