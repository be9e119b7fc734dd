"""`report.html`: everything a run found out on one self-contained page, the verdict first."""

from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from headstart.core.exhibits import Exhibits
from headstart.core.record import Record
from headstart.evaluation.closing import next_steps
from headstart.metrics.scores import RIGHT
from headstart.report import charts, drawings, inputs, tables, words
from headstart.report.answers import answers
from headstart.report.pages import write_page
from headstart.report.pairs import alike

NAME = "report.html"
_CURVES = 4  # arms whose training curves are drawn
_PARTS = {
    "image": "a patch of a 7 by 7 grid, in place of which goes the mean colour",
    "text": "words, of the first 160",
    "series": "a window, in place of which goes the line between its ends",
    "table": "a cell, in place of which goes the column's median or most frequent category",
}
_CONTENTS = {
    "know": "What to know", "score": "Score", "candidates": "Candidates", "stages": "Stages", "labels": "Labels",
    "training": "Training", "confusion": "Confusion", "mistakes": "Mistakes", "suspects": "Suspect labels",
    "pairs": "Duplicates", "explained": "Explanations", "time": "Time", "data": "Data", "sources": "Sources",
    "plan": "Plan", "reproduce": "Reproduce",
}  # fmt: skip


def write(run: Path, *, called: Path | None = None, thumbnails: bool = True) -> Path:
    """Write `report.html` into a run's folder, from its record, history, predictions and, where kept, exhibits.

    Args:
        run: the folder of a finished run.
        called: the folder as the reader will find it, where the run still stands aside.
        thumbnails: whether what was kept of the examples is on it.

    Returns:
        The path of the page.

    Raises:
        UserError: there is no finished run in that folder.
    """
    return write_page("run.html.j2", _context(run, called or run, thumbnails=thumbnails), run / NAME)


def _context(run: Path, called: Path, *, thumbnails: bool) -> dict[str, Any]:
    record = inputs.record(run)
    found = inputs.outputs(run, record)
    arms = tables.ranked(record)
    delivered = next((c for c in arms if c.name == record.decision.delivered), None)
    plan = delivered.plan if delivered is not None else None
    right = words.name(RIGHT[record.tasks[0].kind])
    context = {
        "record": record,
        "title": Path(record.data.path).name or record.data.path,
        "labels": words.labels(record.tasks[0]),
        "metric": words.name(record.metric),
        "next_steps": next_steps(record),
        "right": right,
        "value": partial(words.value, record.metric),
        "between": partial(words.between, record.metric),
        "change": partial(words.change, record.metric),
        "gain_between": partial(words.gain_between, record.metric),
        "scores": [(words.name(name).capitalize(), f"{score:.4f}") for name, score in record.scores.items()],
        "candidates": arms,
        "candidates_chart": charts.candidates(arms, record.decision.delivered, words.name(record.metric)),
        "stages_chart": charts.stages(record.stage_curve, right) if record.stage_curve else None,
        "similarity": tables.similarity(record),
        "measured": _measured(record),
        "trainings": _trainings(run, record),
        "answers": answers(found, record),
        "plan": tables.plan_rows(plan) if plan is not None else None,
        "times": tables.times(record),
        "work": tables.work(record),
        "commands": tables.commands(record, called),
        "versions": [("Seed", str(record.seed)), *record.versions.items()],
        **_examples(run, record, found, inputs.exhibits(run) if thumbnails else Exhibits(shown={})),
    }
    return context | {"contents": _contents(context)}


def _examples(run: Path, record: Record, found: inputs.Outputs | None, kept: Exhibits) -> dict[str, Any]:
    """What the page shows of single examples: by name only, where nothing of them may be shown."""
    number = record.tasks[0].kind == "regression"
    see = {name: drawings.shown(one) for name, one in kept.shown.items()}
    blank = drawings.shown(None)
    groups = alike(record, inputs.predicted(run, record))
    return {
        "mistakes": [(m, see.get(m.name, blank)) for m in inputs.worst(found, inputs.MISTAKES)],
        "suspects": [(s, see.get(s.name, blank)) for s in inputs.suspicious(run, record, inputs.SUSPECTS)],
        "pairs": [(group, [(m, see.get(m.name, blank)) for m in group.members]) for group in groups],
        "explained": [drawings.explained(one, kept.shown.get(one.example), number=number) for one in kept.explained],
        "explaining": kept.seconds,
        "unexplained": kept.why_none,
        "parts_are": _PARTS.get(record.data.modality, "a part"),
        "learned_from": found is not None and found.on != "test",
        "look": record.data.modality if kept.shown else "names",
        "exhibited": bool(kept.shown),
    }


def _contents(context: dict[str, Any]) -> list[tuple[str, str]]:
    """The sections that the page has, in order."""
    record, found = context["record"], context["answers"]
    there = {
        "know": record.notes or record.data.warnings or record.self_test,
        "stages": context["stages_chart"],
        "labels": context["measured"],
        "training": context["trainings"],
        "confusion": found and found["matrix"],
        "explained": context["explained"] or context["unexplained"],
    } | {name: context[name] for name in ("mistakes", "suspects", "pairs", "plan")}
    return [(name, heading) for name, heading in _CONTENTS.items() if there.get(name, True)]


def _measured(record: Record) -> dict[str, Any] | None:
    """The measures of transfer: the curve, what it says of labels, what more of them are worth."""
    found, metric = record.measures, record.metric
    if found is None:
        return None
    worth = [words.price(metric, one) for one in found.prices if one.worth.low > 0]
    return {
        "curve": found.curve,
        "why_none": found.why_none,
        "chart": charts.learning(found.curve, words.name(metric), found.priced, tables.doubled(record))
        if found.curve
        else None,
        "saved": words.saved(metric, found.curve) if found.curve else None,
        "times": words.times(found.curve) if found.curve else None,
        "priced": found.priced,
        "worth": worth,
        "soon": words.soon(found.threshold) if found.threshold else None,
    }


def _trainings(run: Path, record: Record) -> list[tuple[str, Markup]]:
    epochs = inputs.history(run)
    arms = list(dict.fromkeys(e["arm"] for e in epochs))
    arms.sort(key=lambda arm: arm != record.decision.delivered)
    return [(arm, charts.training(arm, [e for e in epochs if e["arm"] == arm])) for arm in arms[:_CURVES]]
