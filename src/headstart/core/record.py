"""The record of a run: what was measured, claimed, decided and delivered.

Keys are never renamed within `schema: 1`; new ones may be added. `schema()` is the JSON Schema that the documentation
publishes.
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from headstart.core.plan import Plan
from headstart.core.problem import Kind

Status = Literal["done", "pruned", "unaffordable", "failed", "skipped"]
Claim = Literal["helped", "hurt", "undecided"]
On = Literal["test", "out-of-fold"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class TaskRecord(_Part):
    """A task: its label space."""

    name: str
    kind: Kind
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


class AskedRecord(_Part):
    """What the user asked for, as it was said, to be said again. What is null or empty was left to be found."""

    target: str | None = None
    text: str | None = None
    kind: Kind | None = None
    group: str | None = None
    test: str | None = None
    sources: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    stage: str | None = None
    minutes: float | None = None
    metric: str | None = None
    deliver: Literal["auto", "transfer", "control"] = "auto"
    seed: int = 0
    licence: Literal["any"] | None = None
    offline: bool = False
    trust: bool = False
    allow_missing: tuple[str, ...] = ()
    no_thumbnails: bool = False
    self_test: bool = False


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
    """How far the delivered model's probabilities may be believed, and how it gets from them to a class.

    Numbers come with no probabilities but with how far they are off, out of fold.
    """

    temperature: float
    error_before: float | None
    error_after: float | None
    on: On
    tau: float = Field(default=0.0, description="how far the class weights undo the classes' shares; 0 leaves them")
    class_weights: dict[str, float] = Field(
        default={}, description="the class that is named has the largest probability x weight; what is not here has 1"
    )
    off: float | None = Field(default=None, description="numbers: 90 % of what is predicted is at most so far off")

    def weights(self, classes: Sequence[str]) -> list[float]:
        """The weight of each class."""
        return [self.class_weights.get(name, 1.0) for name in classes]


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
    """Leave-one-out accuracy of one stage of one source: the stage-by-stage curve. Of labels Jaccard, of numbers R2."""

    source: str
    stage: str
    dim: int
    accuracy: float
    sure: float = Field(default=0.0, description="how often it would be the most accurate, were the examples redrawn")
    logme: float | None = Field(default=None, description="log evidence of the labels, nats an example")


class Span(_Part):
    """A measured number with its interval."""

    value: float
    low: float
    high: float


class LearningPoint(_Part):
    """Both sides, having learned from one share of the labels."""

    labels: int = Field(description="learned from, on average over the folds")
    transfer: Span
    control: Span
    gain: Span = Field(description="transfer minus control, paired; more is better whatever the metric")
    control_needs: float | None = Field(description="labels to score what transfer does here; null: more than all")


class LabelsSaved(_Part):
    """How many labels the control needs for each one that transfer needs (Taylor and Stone 2009, in labels).

    Measured at the control's score with all labels, or at transfer's where that is the lower one.
    """

    ratio: Span
    most: float = Field(description="the curves see no more than this ratio, and no less than one over it")
    score: float = Field(description="that both reach")
    transfer: float = Field(description="labels that transfer needs for it")
    control: float = Field(description="labels that the control needs for it")


class LearningCurve(_Part):
    """What transfer is worth by how many labels there are: one fold map, nested shares of its training parts."""

    transfer: str
    control: str
    level: float
    points: tuple[LearningPoint, ...] = Field(description="from few labels to all")
    jumpstart: Span = Field(description="gain with the fewest labels")
    at_all: Span = Field(description="gain with all labels: the asymptotic gain as far as it was seen")
    beyond: Span | None = Field(description="gain with endless labels, by power laws; null where they do not settle it")
    area_ratio: Span = Field(description="(area under transfer - under control) / under control, over log labels")
    saved: LabelsSaved


class Price(_Part):
    """What the last doubling of the labels of one class, or of all, was worth: as many again are worth that at most.

    A class keeps its weight while it is halved: the worth is that of knowing more of it, not of it being more frequent.
    """

    label: str | None = Field(description="the class; null for all classes together")
    had: int = Field(description="labels of it that the folds learned from, on average: the doubling was up to these")
    worth: Span = Field(description="of the deciding metric, more is better; the low ends hold for all prices at once")


class Threshold(_Part):
    """How long training took to the control's best validation accuracy, on the same inner split."""

    transfer: str
    control: str
    accuracy: float
    epochs: int | None = Field(description="of the transfer arm; null: it did not get there")
    seconds: float | None
    control_epochs: int
    control_seconds: float


class Measures(_Part):
    """Transfer in the measures of the field: jumpstart, asymptotic gain, area, labels saved, time to a threshold."""

    curve: LearningCurve | None
    why_none: str = Field(description="why there is no curve; empty where there is one")
    priced: str | None = Field(description="the arm whose labels are priced")
    prices: tuple[Price, ...]
    threshold: Threshold | None = Field(description="null unless both sides were trained by gradients")
    seconds: float = Field(description="that the curve and the prices took")


class Record(_Part):
    """Everything that a run found out. Written as `record.json`, printed by `--json`."""

    schema_: Literal[1] = Field(default=1, alias="schema", description="keys are added within it, never renamed")
    setting: str = Field(description="of transfer learning: inductive where the target has labels")
    tasks: tuple[TaskRecord, ...]
    data: DataRecord
    sources: tuple[SourceRecord, ...]
    strategy: str = Field(description="of the delivered model, or the control's name")
    stages: tuple[str, ...] = Field(description="that the delivered model reads")
    metric: str = Field(description="that decided")
    score: Score
    scores: dict[str, float] = Field(description="every metric, of the delivered model, on the same examples")
    control: Control | None
    gain: Gain | None
    verdict: Verdict
    decision: Decision
    audit: Audit | None
    reason: str = Field(description="why this was delivered, in a sentence")
    candidates: tuple[Candidate, ...]
    stage_curve: tuple[StageScore, ...]
    advice: Advice
    measures: Measures | None = Field(default=None, description="jumpstart, labels saved, what more labels are worth")
    calibration: Calibration
    notes: tuple[str, ...] = Field(description="what a reader should know: overfitting, contradictions, fall-backs")
    budget: Budget
    seconds: Seconds
    work_done: dict[str, int] = Field(description="counted work: items decoded, units computed, units resumed")
    peak_memory_mb: float = Field(description="largest resident size of the process")
    seed: int = Field(description="of everything random")
    versions: dict[str, str] = Field(description="of what the numbers depend on")
    self_test: SelfTest | None = Field(default=None, description="where it was asked for")
    asked: AskedRecord | None = Field(default=None, description="null in records of before it was kept")

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
