"""The record of a comparison: every cell of the table that was asked for, what it scored and what it gained.

Keys are never renamed within `schema: 1`; new ones may be added.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from headstart.core.plan import Plan
from headstart.core.record import AskedRecord, Claim, DataRecord, Gain, Score, SourceRecord, Status
from headstart.core.said import examples, folds, gain, interval, stages
from headstart.core.shown import Shown

NONE = "none"  # as a source: what can be had without any


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class CellRecord(_Part):
    """One (source, strategy): a gain is over the strongest control, its interval holds for all cells at once."""

    name: str = Field(description="strategy@source, as in predictions.parquet")
    source: str = Field(description='"none" for a control')
    strategy: str
    role: Literal["transfer", "control"]
    stages: tuple[str, ...] = Field(default=(), description="read in most folds")
    score: Score | None = None
    gain: Gain | None = None
    claim: Claim | None = None
    seconds: float = 0.0
    status: Status = "done"
    why: str = ""
    plan: Plan | None = Field(default=None, description="as it was resolved in the first fold")

    @property
    def said(self) -> str:
        """What is to be said of it beside its numbers."""
        return self.claim or self.why or ("control" if self.role == "control" else "")


class ComparisonRecord(_Part):
    """Everything that a comparison found out. Written as `comparison.json`, printed by `--json`."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    data: DataRecord
    sources: tuple[SourceRecord, ...]
    metric: str
    folds: int
    seeds: int = Field(description="how many fold maps, and training seeds")
    epochs: int | None = Field(description="tried at most, where the user said so")
    control: str | None = Field(description="the strongest control; null where none was asked for")
    cells: tuple[CellRecord, ...] = Field(description="best first, then those without a score")
    notes: tuple[str, ...]
    seconds: float = Field(description="of this call; cells state their own, whenever they were computed")
    work_done: dict[str, int] = Field(description="counted work: units computed, units resumed")
    seed: int
    versions: dict[str, str]
    asked: AskedRecord | None = Field(default=None, description="null in records of before it was kept")

    def to_json(self) -> str:
        """Indented JSON, as in `comparison.json`."""
        return self.model_dump_json(by_alias=True, indent=2)

    def shown(self) -> Shown:
        """The table, best first."""
        columns = ("source", "strategy", "stage", f"{self.metric} [interval]", "gain [interval]", "seconds", "")
        rows = tuple(
            (
                c.source, c.strategy, stages(c.stages), interval(c.score), gain(c.gain), f"{c.seconds:.1f}", c.said
            )
            for c in self.cells
        )  # fmt: skip
        n = self.data.n_train
        below = (
            f"{n:,} {examples(self.data.modality, n)}, {folds(self.folds, self.seeds)}; gains are paired, over "
            "the strongest control, and hold for all rows at once (90%)",
            *(f"note: {note}" for note in (*self.data.warnings, *self.notes)),
        )
        return Shown(f"{len(self.cells)} ways, measured on the same folds", rows, columns, columns[3:6], below)

    def __str__(self) -> str:
        return str(self.shown())

    def _repr_html_(self) -> str:
        return self.shown().html()

    @staticmethod
    def from_json(text: str) -> "ComparisonRecord":
        """Read and validate a `comparison.json`."""
        return ComparisonRecord.model_validate_json(text)
