"""The shapes that everything outside the core fits into. See CONTRIBUTING for how to add one of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from headstart.core.plan import Plan
from headstart.core.predictions import Floats, Ints, Predictions, Targets
from headstart.core.problem import Kind, Task

Role = Literal["transfer", "control"]


class View(Protocol):
    """Examples a learner may look at: a `headstart.data.dataset.Dataset`, or a part of one."""

    @property
    def keys(self) -> Sequence[str]:
        """Content keys, one an example: where its features stand in the cache."""
        ...

    @property
    def targets(self) -> Targets:
        """Of the n examples, as the kind of the task has them."""
        ...

    @property
    def strata(self) -> Ints:
        """(n,) codes that splits share out evenly: the classes, where there are any."""
        ...

    @property
    def task(self) -> Task:
        """The label space."""
        ...

    def __len__(self) -> int: ...


class Features(Protocol):
    """Cached features of every (source, stage), looked up by example."""

    def stages(self, source: str) -> tuple[str, ...]:
        """The stage names that are there for a source, input to output."""
        ...

    def of(self, source: str, stage: str, view: View) -> Floats:
        """(n, D) float32 features of the view's examples, in its order."""
        ...


@dataclass(frozen=True)
class State:
    """A fitted thing at rest: named arrays, and a JSON-able description. Never a pickle."""

    arrays: Mapping[str, Floats]
    meta: Mapping[str, Any]


class Fitted(Protocol):
    """What a learner has become; it predicts, and it can be saved."""

    @property
    def resolved(self) -> Plan | None:
        """The plan with every measured choice filled in; None for controls without a plan."""
        ...

    @property
    def source(self) -> str | None:
        """The source that was chosen."""
        ...

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that are used."""
        ...

    def predict(self, view: View, features: Features) -> Predictions:
        """What it states of each example of the view."""
        ...

    def state(self) -> State:
        """Everything needed to restore it."""
        ...


@dataclass(frozen=True)
class Machine:
    """What one piece of work costs here, from a few timed steps.

    Attributes:
        forward: source -> seconds to extract the features of one example.
        step: (arm, source) -> seconds of one training step, an example; an arm that moves less of a net is quicker.
        solve: seconds of a symmetric eigendecomposition of 1,000 rows.
    """

    forward: Mapping[str, float]
    step: Mapping[tuple[str, str], float]
    solve: float

    def dearest(self, arm: str, sources: Iterable[str]) -> float:
        """Seconds of a step, an example, of an arm on the dearest of the sources."""
        return max(self.step[arm, source] for source in sources)


class Learner(Protocol):
    """A competitor: a transfer arm or a control. All that is fitted to data is fitted in `fit`, inside the fold."""

    @property
    def name(self) -> str:
        """Unique among the competitors of a run."""
        ...

    @property
    def role(self) -> Role:
        """Whether its gain counts as transfer."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """The sources whose cached features it reads."""
        ...

    def cost(self, n: int, machine: Machine) -> float:
        """Seconds to fit on n examples, features being there."""
        ...

    def fit(self, view: View, *, seed: int, features: Features, workspace: Path | None = None) -> Fitted:
        """Learn from the view. `workspace` is a folder where unfinished work is kept and found again."""
        ...


class Metric(Protocol):
    """A score of predictions. Weights make it a bootstrap: a (B, n) array of weights gives B values at once."""

    @property
    def name(self) -> str:
        """As in `--metric`."""
        ...

    @property
    def higher_is_better(self) -> bool:
        """Which way is up."""
        ...

    @property
    def margin(self) -> float:
        """The smallest difference that anyone would care about."""
        ...

    @property
    def judges(self) -> Literal["labels", "classes", "probabilities"]:
        """What it looks at: which class was named, the same with all classes counted alike, or how surely."""
        ...

    @property
    def top(self) -> float:
        """The largest value that it can take."""
        ...

    @property
    def bottom(self) -> float:
        """The least."""
        ...

    @property
    def kind(self) -> Kind:
        """Of the tasks that it judges."""
        ...

    @property
    def share(self) -> bool:
        """Whether it is a share of something, and written in percent."""
        ...

    def __call__(self, probabilities: Floats, truth: Targets, weights: Floats | None = None) -> Floats:
        """() or (B,) values of the metric for (n, K) predictions and the targets of n examples."""
        ...
