"""What a run says of itself to those who ask it."""

import json

from pydantic import BaseModel, Field

from headstart.core.problem import Kind
from headstart.core.record import Record
from headstart.core.said import examples
from headstart.report import words
from headstart.serve.limits import Limits
from headstart.serve.uploads import FORMS

LISTED = 20  # classes in the title of the page


class Source(BaseModel):
    """Where knowledge came from, and on which terms."""

    name: str
    licence: str | None


class Column(BaseModel):
    """Of a table."""

    name: str
    kind: str = Field(description="number or category")


class Bounds(BaseModel):
    """Of one request."""

    request: int = Field(description="bytes")
    examples: int
    pixels: int
    characters: int
    values: int = Field(description="of a series")


class About(BaseModel):
    """A served run."""

    modality: str
    takes: str = Field(description="what may be sent")
    media: str = Field(description="types of files")
    task: str
    kind: Kind
    classes: tuple[str, ...]
    columns: tuple[Column, ...] = ()
    metric: str
    score: float
    low: float
    high: float
    said: str = Field(description="the score in words")
    verdict: str
    delivered: str
    sources: tuple[Source, ...]
    limits: Bounds


def about(record: Record, column: str | None, limits: Limits) -> About:
    """From the record of a run.

    Args:
        record: of the run.
        column: what its model says of the columns that it reads.
        limits: of requests.
    """
    task, score, modality = record.tasks[0], record.score, record.data.modality
    of = "it had not seen" if score.on == "test" else "each time left out of what it learned from"
    said = (
        f"{words.name(record.metric).capitalize()} {words.value(record.metric, score.value)} "
        f"({100 * score.level:.0f} % interval {words.between(record.metric, score)}) "
        f"on {score.n:,} {examples(modality, score.n)} {of}."
    )
    known = json.loads(column or "{}") if modality == "table" else {}
    form = FORMS[modality]
    return About(
        modality=modality, takes=form.says, media=form.media, task=task.name, kind=task.kind, classes=task.classes,
        columns=tuple(Column(name=name, kind=kind) for name, kind in known.items()),
        metric=record.metric, score=score.value, low=score.low, high=score.high, said=said,
        verdict=record.verdict.sentence, delivered=record.decision.delivered,
        sources=tuple(Source(name=one.name, licence=one.licence) for one in record.sources),
        limits=Bounds(request=limits.request, examples=limits.examples, pixels=limits.pixels,
                      characters=limits.characters, values=limits.values),
    )  # fmt: skip
