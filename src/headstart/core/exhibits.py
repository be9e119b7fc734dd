"""What a report shows of the examples themselves. Written as `exhibits.json` beside the record, unless it is private.

Keys are never renamed within `schema: 1`; new ones may be added.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Exhibit(_Part):
    """An example as a person sees it: a picture, words, lines or cells."""

    picture: str | None = Field(default=None, description="a data: address of a small JPEG")
    words: str | None = Field(default=None, description="the beginning of a text")
    lines: tuple[tuple[float | None, ...], ...] = Field(default=(), description="a series, channel by channel")
    cells: dict[str, str] = Field(default={}, description="the cells of a row")


class Weight(_Part):
    """A part of an example, and what leaving it out does."""

    part: str = Field(description="what it is: words, a column and its cell, steps, a patch")
    span: tuple[float, ...] = Field(default=(), description="where it is: shares of a picture, steps of a series")
    fall: float = Field(description="of what is stated, when it is left out; below zero where that rises")
    odds: float = Field(default=0.0, description="the same of the log odds of a class or label")


class Explanation(_Part):
    """What the delivered model's answer on one example rests on, by occlusion."""

    example: str
    truth: str
    said: str
    stated: float = Field(description="probability of what is said; in regression the number")
    parts: tuple[Weight, ...]


class Exhibits(_Part):
    """Examples by name, and explanations of some."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    shown: dict[str, Exhibit]
    explained: tuple[Explanation, ...] = ()
    why_none: str = Field(default="", description="why nothing is explained; empty where something is")
    seconds: float = Field(default=0.0, description="that the explanations took")

    def to_json(self) -> str:
        """As in `exhibits.json`."""
        return self.model_dump_json(by_alias=True)

    @staticmethod
    def from_json(text: str) -> "Exhibits":
        """Read and validate an `exhibits.json`."""
        return Exhibits.model_validate_json(text)
