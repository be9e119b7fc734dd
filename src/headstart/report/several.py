"""Several runs side by side on one page: what differs stands out, and it says where scores cannot be compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.core.errors import UserError
from headstart.core.record import Record
from headstart.core.said import stages
from headstart.metrics.scores import metric
from headstart.report import charts, inputs, tables, words
from headstart.report.pages import write_page

NAME = "side-by-side.html"
Told = Callable[[Record], str]


@dataclass(frozen=True)
class Line:
    """One fact of every run.

    Attributes:
        name: of the fact.
        values: of each run, in their order.
        differs: whether they are not all the same.
    """

    name: str
    values: tuple[str, ...]
    differs: bool


def write(runs: Sequence[Path], page: Path) -> Path:
    """Write a page about several runs.

    Args:
        runs: folders of finished runs, from two on.
        page: the file to write.

    Returns:
        The page.

    Raises:
        UserError: fewer than two runs, or a folder that holds none.
    """
    runs = list({run.resolve(): run for run in runs}.values())
    if page.is_dir():
        raise UserError("a file for --out", f"the folder {page}", "Name a file, such as side-by-side.html.")
    if len(runs) < 2:
        raise UserError("at least two runs", str(len(runs)), "Name the folders of the runs to lay side by side.")
    records = [inputs.record(run) for run in runs]
    return write_page("several.html.j2", _context(runs, records), page)


def apart(records: Sequence[Record]) -> tuple[str, ...]:
    """Why scores of these runs cannot be compared; nothing where they can."""
    asked: tuple[tuple[str, Told], ...] = (
        ("the kinds of task", lambda r: r.tasks[0].kind),
        ("the metrics", lambda r: words.name(r.metric)),
        ("the data", lambda r: r.data.fingerprint),
        ("the examples that were scored", _scored),
    )
    differ = [(name, list(dict.fromkeys(map(told, records)))) for name, told in asked]
    return tuple(
        f"{name} differ" + (f": {', '.join(found)}" if name != "the data" else "")
        for name, found in differ
        if len(found) > 1
    )


def _scored(record: Record) -> str:
    """How many, and which of them: what is split off depends on the seed."""
    split = record.data.test == "split" and record.score.on == "test"
    return f"{record.score.n} {record.score.on}" + (f", split off with seed {record.seed}" if split else "")


def _context(runs: Sequence[Path], records: Sequence[Record]) -> dict[str, Any]:
    why = apart(records)
    names = _names(runs)
    scores = [(name, r.score, r.decision.role == "control", False) for name, r in zip(names, records, strict=True)]
    parts = [(heading, _lines(facts, records)) for heading, facts in FACTS]
    return {
        "names": names,
        "records": records,
        "why": why,
        "why_said": "; ".join(why)[:1].upper() + "; ".join(why)[1:],
        "best": None if why else _best(names, records),
        "chart": charts.scores(scores, words.name(records[0].metric)) if not why else None,
        "parts": [*parts, ("Plan of the delivered model", _plans(records))],
        "notes": [(name, record.notes + record.data.warnings) for name, record in zip(names, records, strict=True)],
    }


def _names(runs: Sequence[Path]) -> list[str]:
    """The last part of each folder, or all of it where two share that."""
    last = [run.resolve().name for run in runs]
    return [name if last.count(name) == 1 else str(run) for name, run in zip(last, runs, strict=True)]


def _best(names: Sequence[str], records: Sequence[Record]) -> str:
    """Which scored best, and whether the intervals settle it."""
    sign = 1 if metric(records[0].metric).higher_is_better else -1
    order = sorted(range(len(records)), key=lambda i: sign * records[i].score.value, reverse=True)
    first, second = (records[i].score for i in order[:2])
    over = first.low <= second.high and second.low <= first.high
    told = f"{names[order[0]]} scored best, {words.value(records[0].metric, first.value)}"
    return f"{told}; {'its interval overlaps with' if over else 'its interval is clear of'} that of {names[order[1]]}."


def _lines(facts: Sequence[tuple[str, Told]], records: Sequence[Record]) -> list[Line]:
    """The facts that any run knows."""
    found = [_line(name, [told(record) for record in records]) for name, told in facts]
    return [line for line in found if any(line.values)]


def _plans(records: Sequence[Record]) -> list[Line]:
    """Every setting of any of the plans, phase by phase."""
    settings: list[dict[str, str]] = []
    for record in records:
        arm = next((c for c in record.candidates if c.name == record.decision.delivered), None)
        rows = tables.plan_rows(arm.plan) if arm is not None and arm.plan is not None else []
        settings.append({f"{heading}: {key}": value for heading, entries in rows for key, value in entries})
    names = dict.fromkeys(name for one in settings for name in one)
    return [_line(name, [one.get(name, "") for one in settings]) for name in names]


def _line(name: str, values: Sequence[str]) -> Line:
    return Line(name, tuple(values), len(set(values)) > 1)


def _gain(record: Record) -> str:
    gain = record.gain
    if gain is None:
        return "not measured"
    return f"{words.change(record.metric, gain.value)} ({words.gain_between(record.metric, gain)})"


def _source(record: Record) -> str:
    arm = next((c for c in record.candidates if c.name == record.decision.delivered), None)
    return (arm.source or "none") if arm is not None else ""


def _licence(record: Record) -> str:
    named = {one.name: one.licence for one in record.sources}
    return named.get(_source(record)) or ""


def _control(record: Record) -> str:
    found = record.control
    return f"{found.name}, {words.value(record.metric, found.value)}" if found else "none"


def _error(record: Record) -> str:
    found = record.calibration.error_after
    return "" if found is None else f"{found:.3f}"


FACTS: tuple[tuple[str, tuple[tuple[str, Told], ...]], ...] = (
    (
        "Outcome",
        (
            ("Verdict", lambda r: r.verdict.claim),
            ("Metric", lambda r: words.name(r.metric)),
            ("Score", lambda r: words.value(r.metric, r.score.value)),
            ("Interval", lambda r: words.between(r.metric, r.score)),
            ("Scored on", lambda r: f"{r.score.n:,} examples, {r.score.on}"),
            ("Gain over the best without transfer", _gain),
            ("Strongest control", _control),
            ("Calibration error", _error),
        ),
    ),
    (
        "Delivered",
        (
            ("Model", lambda r: f"{r.decision.delivered} ({r.decision.role})"),
            ("Source", _source),
            ("Stages", lambda r: stages(r.stages)),
            ("Licence", _licence),
            ("Rule", lambda r: r.decision.rule),
        ),
    ),
    (
        "Data",
        (
            ("Read from", lambda r: r.data.path),
            ("Fingerprint", lambda r: r.data.fingerprint[:16]),
            ("To learn from", lambda r: f"{r.data.n_train:,}"),
            ("Test", lambda r: f"{r.data.n_test:,}, {r.data.test}" if r.data.n_test else "none"),
            ("Predicted", lambda r: words.labels(r.tasks[0])),
            ("Skipped", lambda r: f"{len(r.data.skipped):,}"),
            ("Duplicates", lambda r: f"{len(r.data.duplicates):,} groups"),
        ),
    ),
    (
        "Cost",
        (
            ("Asked for", lambda r: f"{r.budget.minutes:g} min"),
            ("Time", lambda r: words.seconds(r.seconds.total)),
            ("of it features", lambda r: words.seconds(r.seconds.extract)),
            ("of it training", lambda r: words.seconds(r.seconds.train)),
            ("Peak memory", lambda r: f"{r.peak_memory_mb:,.0f} MB"),
        ),
    ),
    (
        "Sources that were tried",
        (("Names", lambda r: ", ".join(one.name for one in r.sources)),),
    ),
    (
        "Made with",
        (
            ("Seed", lambda r: str(r.seed)),
            ("Versions", lambda r: ", ".join(f"{name} {version}" for name, version in r.versions.items())),
        ),
    ),
)
