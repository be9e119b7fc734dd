"""The cells of a comparison: every strategy on every source, and the controls, each measured on the same folds."""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from headstart.advisor.arms import arms
from headstart.advisor.budget import FOLD, wish
from headstart.advisor.ladder import Bench, measure, standing
from headstart.advisor.ledger import Done
from headstart.core.comparison import NONE, CellRecord
from headstart.core.plan import Plan, Solve
from headstart.core.problem import Task
from headstart.core.progress import Step
from headstart.core.protocols import Role
from headstart.data.dataset import Modality
from headstart.data.store import Store
from headstart.evaluation.folds import FOLDS, Unit, units
from headstart.features.backends import FLOAT32, Mode
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.strategies.catalog import plan
from headstart.training.plan_learner import INNER, PlanLearner
from headstart.training.solve import AND
from headstart.training.trials import epochs_run


@dataclass(frozen=True)
class Cell:
    """One competitor of the table.

    Attributes:
        source: that it transfers from; `NONE` for a control.
        strategy: its canonical name.
        learner: that does it.
        key: under which its work is kept: equal for equal work on equal folds, whatever else the table holds.
    """

    source: str
    strategy: str
    learner: PlanLearner
    key: str

    @property
    def name(self) -> str:
        """Unique in a table."""
        return f"{self.strategy}@{self.source}"

    @property
    def role(self) -> Role:
        """Whether its gain counts as transfer."""
        return self.learner.role

    def choosing(self, repeat: int) -> str | None:
        """The name of the work that chooses rate and epochs for a fold map; closed forms have none."""
        return None if self.learner.plan.closed_form else f"{Unit(self.key, repeat, 0).name}.inner"

    def units(self, repeat: int) -> tuple[Unit, ...]:
        """Its work on one fold map."""
        return tuple(Unit(self.key, repeat, one.fold) for one in units(self.key, 1))


def cells(
    names: Sequence[str],
    sources: Mapping[str, Source],
    *,
    controls: bool,
    epochs: int | None,
    modality: Modality,
    task: Task,
    store: Store,
    modes: Mapping[str, Mode],
    folds: str,
    n: int,
) -> tuple[tuple[Cell, ...], tuple[CellRecord, ...]]:
    """Every cell of the table, and those that do not apply, each with the reason.

    Args:
        names: of strategies.
        sources: to transfer from; a strategy that joins sources has one cell for all of them.
        controls: whether what needs no source competes too.
        epochs: tried at most by whatever trains; None is what `fit` tries.
        modality: says what the controls read.
        task: what is to be learned.
        store: for prepared pixels.
        modes: by source, how its features are computed.
        folds: identifies the data, its groups and the seed.
        n: examples.
    """
    together = [name for name in names if len(sources) > 1 and _joins(plan(name))]
    alone = [name for name in names if name not in together]
    rows: list[tuple[str, Mapping[str, Source], Sequence[str]]] = [(one, {one: sources[one]}, alone) for one in sources]
    if together:
        rows.append((AND.join(sources), sources, together))
    if controls:
        rows.append((NONE, {}, ()))
    untrained = {name: load(name) for name in modality.untrained}
    read = (modality.baseline, *modality.controls.values())
    identities = {one.name: one.identity for one in (*sources.values(), *untrained.values(), *read)}
    found: list[Cell] = []
    skipped: list[CellRecord] = []
    for source, mine, asked in rows:
        made = arms(asked, sources=mine, modality=modality, untrained=untrained, task=task, stage=None, store=store)
        role: Role = "control" if source == NONE else "transfer"
        for one in (*made.closed, *made.gradient):
            if one.role == role and one.sources:  # an untrained twin has none without a source to be the twin of
                tried = epochs or (1 if one.plan.closed_form else wish(one, n).wanted)
                facts = (folds, one.plan.to_json(), "" if one.plan.closed_form else str(tried))
                seen = (f"{identities[name]} {modes.get(name, FLOAT32)}" for name in one.sources)
                learner = replace(one, name=f"{one.name}@{source}", epochs=tried)
                found.append(Cell(source, one.name, learner, f"{one.name}.{_digest((*facts, *seen))}"))
        skipped += [
            CellRecord(name=f"{name}@{source}", source=source, strategy=name, role=role, status="skipped", why=why)
            for name, why in made.skipped
        ]
    return tuple(found), tuple(skipped)


def _joins(strategy: Plan) -> bool:
    """Whether it puts several sources under one head."""
    return any(isinstance(phase, Solve) and phase.select == "experts" for phase in strategy.phases)


def _digest(facts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


class Counting:
    """A bar of all work, in seconds, that also moves while one long piece of it is under way.

    Args:
        step: the bar.
        left: the expected seconds of each piece that is not done yet.
    """

    def __init__(self, step: Step, left: Mapping[str, float]) -> None:
        self._step, self._left = step, dict(left)
        self._label, self._rate, self._open = "", 0.0, 0.0

    def begin(self, label: str, piece: str, examples: float = 0.0) -> None:
        """A piece begins; trained on so many examples, epoch after epoch."""
        self._label, self._open = label, self._left.pop(piece, 0.0)
        self._rate = self._open / examples if examples else 0.0
        self._step.note(label)

    def advance(self, units: float = 1) -> None:
        """So many examples of the piece were trained on."""
        seconds = min(units * self._rate, self._open)
        self._open -= seconds
        self._step.advance(seconds)

    def note(self, text: str) -> None:
        """What the training says."""
        self._step.note(f"{self._label}: {text}")

    def epoch(self, measured: Mapping[str, float | None]) -> None:
        """An epoch of the piece is done."""
        self._step.epoch(measured)

    def end(self) -> None:
        """The piece is done, however many of its examples it took."""
        self._step.advance(self._open)
        self._open = 0.0

    @property
    def left(self) -> float:
        """Expected seconds of the pieces that have not begun."""
        return sum(self._left.values())


def solved(table: Sequence[Cell], bench: Bench, counting: Counting) -> dict[str, list[Done]]:
    """Every closed form on every fold, fold by fold: cells of one source share their fits."""
    found: dict[str, list[Done]] = {cell.name: [] for cell in table}
    for repeat in range(len(bench.maps)):
        for pieces in zip(*(cell.units(repeat) for cell in table), strict=True):
            for cell, unit in zip(table, pieces, strict=True):
                counting.begin(cell.name, unit.name)
                found[cell.name].append(measure(bench, cell.learner, unit))
                counting.end()
                _tell(bench, cell, found[cell.name])
    return found


def _tell(bench: Bench, cell: Cell, done: Sequence[Done]) -> None:
    """How a cell stands, by the names that its row has."""
    stands = standing(bench, cell.learner, done, FOLDS * len(bench.maps))
    bench.progress.scored(replace(stands, arm=cell.strategy, source=cell.source))


def trained(cell: Cell, bench: Bench, counting: Counting) -> Iterator[Done]:
    """Rate and epochs chosen anew for every fold map, on the first fold's training part, then all folds.

    Yields:
        What each piece of work left; those that chose have no predictions.

    Raises:
        DivergedError: training did.
    """
    n, longest, tries = len(bench.data), cell.learner.longest, len(cell.learner.choices)
    scored: list[Done] = []
    for repeat in range(len(bench.maps)):
        where = f"{cell.name}, seed {repeat + 1} of {len(bench.maps)}"
        counting.begin(where, cell.choosing(repeat) or "", n * FOLD * (1 - INNER) * epochs_run(tries, longest))
        chosen = _chosen(cell, bench, repeat, counting)
        yield chosen
        counting.end()
        learner = replace(cell.learner, plan=Plan.from_json(chosen.plan or ""), step=counting)
        for unit in cell.units(repeat):
            counting.begin(f"{where}, fold {unit.fold + 1}", unit.name, n * FOLD * longest)
            scored.append(measure(bench, learner, unit))
            yield scored[-1]
            counting.end()
            _tell(bench, cell, scored)


def _chosen(cell: Cell, bench: Bench, repeat: int, counting: Counting) -> Done:
    name, first = cell.choosing(repeat) or "", Unit(cell.key, repeat, 0)
    known = bench.ledger.get(name)
    if known is not None:
        return known
    started = time.perf_counter()
    resolved, fitted = replace(cell.learner, step=counting).resolve(
        bench.fold(first)[0], seed=bench.seed_of(first), features=bench.features, workspace=bench.ledger.workspace(name)
    )
    history = tuple(asdict(epoch) for epoch in fitted.history)
    done = Done(
        np.empty((0, 0)), time.perf_counter() - started, fitted.source, fitted.stages, resolved.plan.to_json(), history
    )
    bench.ledger.put(name, done)
    return done
