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

AND = " & "  # between the names of sources that serve together
Taps = tuple[tuple[str, str], ...]
"""(source, stage) of each block of features that a head reads, side by side."""


@dataclass(frozen=True)
class Solved:
    """A fitted closed form and the features that it reads."""

    head: FittedHead
    taps: Taps

    @property
    def sources(self) -> tuple[str, ...]:
        """Whose features they are; several are named together as one, with `AND` between them."""
        return tuple(dict.fromkeys(source for source, _ in self.taps))

    @property
    def stages(self) -> tuple[str, ...]:
        """Of which stages; several sources have their stages in their own order."""
        return tuple(stage for _, stage in self.taps)

    def predict(self, view: View, features: Features) -> Floats:
        """(n, C) probabilities, or numbers."""
        return self.head.predict([features.of(source, stage, view) for source, stage in self.taps])


class Fits:
    """Closed forms on the view that was seen last: arms that try the same features share one fit."""

    def __init__(self) -> None:
        self._view: object = None
        self._known: dict[object, Solved] = {}

    def get(self, phase: Solve, taps: Taps, view: View, features: Features) -> Solved:
        """The estimator of the phase, fitted on these features of the view."""
        seen = (tuple(view.keys), view.targets.tobytes())
        if seen != self._view:
            self._view, self._known = seen, {}
        asked = (phase.estimator, phase.penalty, taps)
        if asked not in self._known:
            estimator: type[Head] = ESTIMATORS.load(phase.estimator)
            blocks = [features.of(source, stage, view) for source, stage in taps]
            head = estimator.fit(blocks, view.targets, view.task.outputs, phase.penalty, kind=view.task.kind)
            self._known[asked] = Solved(head, taps)
        return self._known[asked]


def solve(phase: Solve, sources: Sequence[str], view: View, features: Features, fits: Fits | None = None) -> Solved:
    """Fit the estimator on each option that the phase leaves open and keep the one with the least LOO error.

    Args:
        phase: what is to be fitted on what.
        sources: to choose from.
        view: the examples to learn from.
        features: of all sources.
        fits: what other phases have fitted already.

    Raises:
        UserError: the phase leaves no option.
    """
    return min(candidates(phase, sources, view, features, fits or Fits()), key=error)


def candidates(phase: Solve, sources: Sequence[str], view: View, features: Features, fits: Fits) -> Sequence[Solved]:
    """All that `solve` chooses from, fitted; the arguments are the same.

    Raises:
        UserError: there is nothing to choose from.
    """

    def each(names: Sequence[str]) -> Sequence[Solved]:
        found = [fits.get(phase, taps, view, features) for taps in _options(phase, names, features)]
        if not found:
            do = f"Give the strategy a source for {phase.stages}."
            raise UserError("a source with at least one stage", "none", do)
        return found

    if phase.select != "experts":
        return each(sources)
    alone = sorted((min(each((source,)), key=error) for source in sources), key=error)
    best, together = alone[0], list[Solved]()
    for other in alone[1:]:  # a source that tells nothing new would only add noise
        together.append(fits.get(phase, (*best.taps, *other.taps), view, features))
        best = min(best, together[-1], key=error)
    return [*alone, *together]


def error(solved: Solved) -> float:
    """Its mean squared leave-one-out error."""
    return solved.head.error


def _options(phase: Solve, sources: Sequence[str], features: Features) -> Iterator[Taps]:
    for source in sources:
        taps = tuple((source, stage) for stage in resolve(phase.stages, features.stages(source)))
        if phase.select == "concat":
            yield taps
        else:
            yield from ((tap,) for tap in taps)


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
