"""The closed-form phase: which source and stages, by leave-one-out inside the data that is fitted on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headstart.core.errors import UserError
from headstart.core.plan import Solve
from headstart.core.predictions import Floats
from headstart.core.protocols import Features, View
from headstart.linear.catalog import ESTIMATORS
from headstart.linear.heads import FittedHead, Head
from headstart.sources.stages import resolve


@dataclass(frozen=True)
class Solved:
    """A fitted closed form and the features that it reads."""

    head: FittedHead
    source: str
    stages: tuple[str, ...]

    def predict(self, view: View, features: Features) -> Floats:
        """(n, C) probabilities."""
        return self.head.predict([features.of(self.source, stage, view) for stage in self.stages])


def solve(phase: Solve, sources: Sequence[str], view: View, features: Features) -> Solved:
    """Fit the estimator on each option that the phase leaves open and keep the one with the least LOO error."""
    estimator: type[Head] = ESTIMATORS.load(phase.estimator)
    best: Solved | None = None
    for source, stages in _options(phase, sources, features):
        blocks = [features.of(source, stage, view) for stage in stages]
        head = estimator.fit(blocks, view.targets, view.task.outputs, phase.penalty)
        if best is None or head.error < best.head.error:
            best = Solved(head, source, stages)
    if best is None:
        raise UserError("a source with at least one stage", "none", f"Give the strategy a source for {phase.stages}.")
    return best


def _options(phase: Solve, sources: Sequence[str], features: Features) -> Iterator[tuple[str, tuple[str, ...]]]:
    for source in sources:
        stages = resolve(phase.stages, features.stages(source))
        if phase.select == "concat":
            yield source, stages
        else:
            yield from ((source, (stage,)) for stage in stages)


def class_rows(source_classes: Sequence[str], classes: Sequence[str]) -> tuple[int, ...] | None:
    """For each target class the source class of the same name; None unless every one has one.

    Synonyms separated by commas count each; case, underscores and hyphens do not.

    >>> class_rows(("tench, Tinca tinca", "gold-fish"), ("Goldfish", "tench"))
    (1, 0)
    """
    known = {_plain(part): row for row, name in reversed(list(enumerate(source_classes))) for part in name.split(",")}
    rows = [known.get(_plain(name)) for name in classes]
    return None if None in rows else tuple(row for row in rows if row is not None)


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
