"""What a run answers, and how an answer is written."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from headstart.core.exhibits import Exhibit
from headstart.core.progress import Silent
from headstart.core.record import SkippedFile
from headstart.saved import Prediction, Saved
from headstart.serve.uploads import Example

Told = Prediction | SkippedFile


class Near(BaseModel):
    """A training example that the model takes for alike."""

    name: str
    label: str
    similarity: float = Field(description="of their features: cosine, 1 for equal ones")
    shown: Exhibit | None = Field(default=None, description="how it looks, where the run keeps that")


class Answer(BaseModel):
    """What the delivered model says of one example; or, among others, why it says nothing."""

    name: str = Field(description="of the example, as it was sent")
    label: str | None = Field(default=None, description="the class; all labels, with commas; the number")
    probability: float | None = Field(default=None, description="of that label, calibrated")
    probabilities: Mapping[str, float] = Field(default={}, description="of all classes or labels, calibrated")
    labels: tuple[str, ...] | None = Field(default=None, description="where there may be any number of them")
    value: float | None = Field(default=None, description="where a number is predicted")
    off: float | None = Field(default=None, description="90 % of numbers are at most so far off")
    unlike: bool | None = Field(default=None, description="it is like nothing that was trained on; null: not known")
    nearest: tuple[Near, ...] = Field(default=(), description="the training examples most alike, the nearest first")
    shown: Exhibit | None = Field(default=None, description="how the example looks, where a client cannot know")
    error: str | None = Field(default=None, description="why there is no answer")
    status: int = Field(default=200, description="of HTTP, had it been asked alone")


class Answers(BaseModel):
    """One answer an example, in order."""

    answers: tuple[Answer, ...]


class Health(BaseModel):
    """It is there."""

    status: Literal["ok"] = "ok"


class Error(BaseModel):
    """Why a request gets no answer."""

    error: str = Field(description="what was expected, what came, what to do")


def answer(saved: Saved, given: Sequence[str | Path]) -> list[Told]:
    """What the model says of each example, in order; of one that cannot be read, why."""
    found = [*saved.answers(given, Silent())]
    assert len(found) == len(given), "each of them is one example"
    return found


def written(example: Example, told: Told | None, exhibit: Callable[[str], Exhibit | None]) -> Answer:
    """An answer as it goes out, under the client's own name for the example.

    Args:
        example: that was asked about.
        told: of it; None where it was refused.
        exhibit: what a person sees of a training example, by its name.
    """
    if example.refused is not None:
        return Answer(name=example.name, error=example.refused.line, status=example.refused.status)
    if isinstance(told, Prediction):
        near = (Near(name=one.name, label=one.label, similarity=one.similarity, shown=exhibit(one.name))
                for one in told.nearest)  # fmt: skip
        return Answer(
            name=example.name, label=told.label, probability=told.probability, probabilities=told.probabilities,
            labels=told.labels, value=told.value, off=told.off, unlike=told.unlike, nearest=tuple(near),
            shown=example.shown,
        )  # fmt: skip
    why = told.why if told is not None else ""
    line = f"expected an example that can be read, got {example.name}: {why}. Repair it."
    return Answer(name=example.name, error=line.replace(str(example.given), example.name), status=422)
