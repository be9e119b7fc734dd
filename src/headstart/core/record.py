"""The record of a run: what was measured, claimed, decided and delivered.

Keys are never renamed within `schema: 1`; new ones may be added. `schema()` is the JSON Schema that the documentation
publishes.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from headstart.core.plan import Plan

Status = Literal["done", "pruned", "unaffordable", "failed", "skipped"]
Claim = Literal["helped", "hurt", "undecided"]
On = Literal["test", "out-of-fold"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class TaskRecord(_Part):
    """A task: its label space."""

    name: str
    kind: str
    classes: tuple[str, ...]


class SkippedFile(_Part):
    """A file that was left out, and why."""

    name: str
    why: str


class DataRecord(_Part):
    """The data as it was read."""

    path: str
    n_train: int
    n_test: int
    n_per_class: dict[str, int]
    modality: str
    fingerprint: str
    warnings: tuple[str, ...]
    skipped: tuple[SkippedFile, ...]
    duplicates: tuple[tuple[str, ...], ...]
    test: Literal["given", "split", "none"]


class SourceRecord(_Part):
    """Where knowledge came from."""

    name: str
    sha256: str | None
    licence: str | None
    trained_on: str | None
    trained_on_n: int | None


class Score(_Part):
    """A score of the delivered model with its interval."""

    value: float
    low: float
    high: float
    level: float
    n: int
    on: On


class Control(_Part):
    """The strongest control: the best that was found without transfer, on the examples that the gain is measured on."""

    name: str
    value: float
    low: float
    high: float
    levelled: bool = Field(description="its learning curve had flattened (closed forms have none: true)")


class Gain(_Part):
    """Best transfer arm minus strongest control, paired, on the same examples, adjusted for choosing among arms."""

    value: float
    low: float
    high: float
    level: float
    n: int
    on: On


class Verdict(_Part):
    """The claim."""

    claim: Claim
    helped: bool | None
    transfer: str | None
    control: str | None
    sentence: str
    labels_to_decide: int | None = Field(default=None, description="about how many labels more would decide it")


class Decision(_Part):
    """The action: which model was delivered, by which rule."""

    delivered: str
    role: Literal["transfer", "control"]
    rule: str
    p_gain: float | None
    p_harm: float | None
    asked: Literal["auto", "transfer", "control"]


class Audit(_Part):
    """The gain of the delivered transfer (or best transfer) model on the test, opened once, after the decision."""

    gain: float
    low: float
    high: float
    contradicts: bool


class Candidate(_Part):
    """One arm: what it was, what it was expected to give, what it gave, what became of it."""

    name: str
    role: Literal["transfer", "control"]
    source: str | None
    strategy: str
    stages: tuple[str, ...]
    estimate: float | None = Field(default=None, description="what the ladder expected before it ran")
    score: Score | None
    test: Score | None = Field(default=None, description="score on the test part, for the refitted arms only")
    seconds: float
    status: Status
    why: str
    plan: Plan | None = None


class Advice(_Part):
    """What the textbook's size x similarity rule says, from measured quantities. A prior, never the decision."""

    n_per_class: float
    similarity: float = Field(description="leave-one-out accuracy: last stage minus best earlier stage")
    over_random: float = Field(description="leave-one-out accuracy: last stage minus random features")
    quadrant: str
    p_helps: float | None = Field(description="probability that transfer gains more than the margin, by the outlook")
    settled: bool | None = Field(default=None, description="tasks that look like this went one way; else run both arms")


class Budget(_Part):
    """Time asked for, and the work that it was turned into."""

    minutes: float
    folds: int
    repeats: int
    m: int


class Seconds(_Part):
    """Where the time went."""

    read: float
    extract: float
    select: float
    train: float
    evaluate: float
    total: float


class Calibration(_Part):
    """How far the delivered model's probabilities may be believed."""

    temperature: float
    error_before: float
    error_after: float
    on: On


class Claims(_Part):
    """How often something was claimed in draws in which there is nothing to claim."""

    draws: int
    claims: int
    value: float = Field(description="share of the draws")
    low: float
    high: float
    level: float
    may: float = Field(description="share that the intervals' level allows")


class SelfTest(_Part):
    """Tier 0 and the verdict on this very data where nothing is to be found."""

    same: Claims = Field(description="one learner against itself on other fold maps: any claim is false")
    lot: Claims = Field(description="labels by lot, all closed forms: any helped is false (a hurt is not)")
    excessive: bool = Field(description="one of the shares is surely above what it may be")
    sentence: str


class StageScore(_Part):
    """Leave-one-out accuracy of one stage of one source: the stage-by-stage curve."""

    source: str
    stage: str
    dim: int
    accuracy: float
    sure: float = Field(default=0.0, description="how often it would be the most accurate, were the examples redrawn")
    logme: float | None = Field(default=None, description="log evidence of the labels, nats an example")


class Record(_Part):
    """Everything that a run found out. Written as `record.json`, printed by `--json`."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    setting: str
    tasks: tuple[TaskRecord, ...]
    data: DataRecord
    sources: tuple[SourceRecord, ...]
    strategy: str
    stages: tuple[str, ...]
    metric: str
    score: Score
    scores: dict[str, float] = Field(description="every metric, of the delivered model, on the same examples")
    control: Control | None
    gain: Gain | None
    verdict: Verdict
    decision: Decision
    audit: Audit | None
    reason: str
    candidates: tuple[Candidate, ...]
    stage_curve: tuple[StageScore, ...]
    advice: Advice
    calibration: Calibration
    notes: tuple[str, ...] = Field(description="what a reader should know: overfitting, contradictions, fall-backs")
    budget: Budget
    seconds: Seconds
    work_done: dict[str, int] = Field(description="counted work: items decoded, units computed, units resumed")
    peak_memory_mb: float
    seed: int
    versions: dict[str, str]
    self_test: SelfTest | None = Field(default=None, description="where it was asked for")

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, protected_namespaces=())

    def to_json(self) -> str:
        """Indented JSON, as in `record.json`."""
        return self.model_dump_json(by_alias=True, indent=2)

    @staticmethod
    def from_json(text: str) -> "Record":
        """Read and validate a `record.json`."""
        return Record.model_validate_json(text)


def schema() -> dict[str, Any]:
    """The JSON Schema of `record.json`."""
    return Record.model_json_schema(by_alias=True)
