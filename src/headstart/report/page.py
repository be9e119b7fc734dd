"""`report.html`: everything a run found out on one self-contained page, the verdict first."""

import base64
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from headstart.core.record import Record
from headstart.metrics.scores import RIGHT
from headstart.report import charts, inputs, tables, words
from headstart.report.answers import answers

_HERE = Path(__file__).parent
_CURVES = 4  # arms whose training curves are drawn
_SHOWN = 12  # mistakes, the surest first


def write(run: Path, *, examples: Mapping[str, bytes | str] | None = None, called: Path | None = None) -> Path:
    """Write `report.html` into a run's folder, from its record, history and predictions.

    Args:
        run: the folder of a finished run.
        examples: JPEG or PNG bytes, or words, by example name, for (some of) the names that `mistakes` gives; without
            them the page shows names only.
        called: the folder as the reader will find it, where the run still stands aside.

    Returns:
        The path of the page.

    Raises:
        UserError: there is no finished run in that folder.
    """
    html = _environment().get_template("page.html.j2").render(_context(run, examples or {}, called or run))
    page, aside = run / "report.html", run / ".report.html.part"
    aside.write_text(html, encoding="utf-8", errors="replace")
    return aside.replace(page)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"seconds": words.seconds, "percent": words.percent}
    return environment


def _context(run: Path, examples: Mapping[str, bytes | str], called: Path) -> dict[str, Any]:
    record = inputs.record(run)
    found = inputs.outputs(run, record)
    arms = tables.ranked(record)
    delivered = next((c for c in arms if c.name == record.decision.delivered), None)
    plan = delivered.plan if delivered is not None else None
    right = words.name(RIGHT[record.tasks[0].kind])
    return {
        "style": Markup((_HERE / "style.css").read_text(encoding="utf-8")),
        "record": record,
        "title": Path(record.data.path).name or record.data.path,
        "metric": words.name(record.metric),
        "right": right,
        "value": partial(words.value, record.metric),
        "between": partial(words.between, record.metric),
        "change": partial(words.change, record.metric),
        "gain_between": partial(words.gain_between, record.metric),
        "candidates": arms,
        "candidates_chart": charts.candidates(arms, record.decision.delivered, words.name(record.metric)),
        "stages_chart": charts.stages(record.stage_curve, right) if record.stage_curve else None,
        "measured": _measured(record),
        "trainings": _trainings(run, record),
        "answers": answers(found, record),
        "mistakes": [(m, _shown(examples.get(m.name))) for m in inputs.worst(found, _SHOWN)],
        "plan": tables.plan_rows(plan) if plan is not None else None,
        "times": tables.times(record),
        "commands": tables.commands(record, called),
    }


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


def _shown(example: bytes | str | None) -> dict[str, str | None]:
    """A picture as an address that needs no network, or the words of a text."""
    if example is None:
        return {"picture": None, "words": None}
    if isinstance(example, str):
        return {"picture": None, "words": example}
    kind = "png" if example.startswith(b"\x89PNG") else "jpeg"
    return {"picture": f"data:image/{kind};base64,{base64.b64encode(example).decode()}", "words": None}
