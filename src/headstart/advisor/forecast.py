"""How long a comparison will take, said before it begins, and what would be cheaper. Nobody is given a budget here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from headstart.advisor.budget import FOLD, last_phase
from headstart.advisor.cells import Cell
from headstart.advisor.ledger import Ledger
from headstart.advisor.work import Work
from headstart.core.comparison import NONE
from headstart.core.protocols import Machine
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.features.engine import Missing, recall
from headstart.features.extract import sample
from headstart.sources.source import Source
from headstart.training.loop import time_step
from headstart.training.plan_learner import INNER
from headstart.training.trials import epochs_run

LONG = 60.0  # seconds from which a cheaper way is worth a word
SAVES = 0.7  # share of the time that a cheaper way may need at most


@dataclass(frozen=True)
class Piece:
    """A piece of work that is still to be done.

    Attributes:
        cell: whose it is.
        repeat: on which fold map.
        name: in the ledger.
        seconds: that it is expected to take.
    """

    cell: Cell
    repeat: int
    name: str
    seconds: float


def pieces(table: Sequence[Cell], data: Dataset, seeds: int, work: Work, ledger: Ledger) -> tuple[Piece, ...]:
    """What the ledger does not have yet, with seconds from a few timed steps.

    Args:
        table: the cells.
        data: all that is not test.
        seeds: fold maps.
        work: with the timed decomposition.
        ledger: what is done.
    """
    found: list[Piece] = []
    for cell in table:
        missing = [
            (repeat, name, name == cell.choosing(repeat))
            for repeat in range(seeds)
            for name in (cell.choosing(repeat), *(unit.name for unit in cell.units(repeat)))
            if name is not None and name not in ledger
        ]
        if missing:
            machine, longest = Machine({}, _steps(cell, data), work.solve), max(1, cell.learner.longest)
            tries = epochs_run(len(cell.learner.choices), longest) / longest
            fold = cell.learner.cost(round(FOLD * len(data)), machine)
            found += [
                Piece(cell, repeat, name, tries * (1 - INNER) * fold if chooses else fold)
                for repeat, name, chooses in missing
            ]
    return tuple(found)


def _steps(cell: Cell, data: Dataset) -> Mapping[tuple[str, str], float]:
    """Seconds of a training step, an example, on each net that the cell may train."""
    if cell.learner.plan.closed_form:
        return {}
    phase = last_phase(cell.learner.plan)
    return {
        (cell.learner.name, name): time_step(source.net(2), source.card, phase, sample(source.input, data, phase.batch))
        for name, source in cell.learner.sources.items()
    }


def extraction(sources: Mapping[str, Source], data: Dataset, work: Work, store: Store) -> float:
    """Seconds for the features that the cache does not have."""
    seconds = 0.0
    for name, source in sources.items():
        mode, costs = work.modes[name], recall(source, store)
        example = costs[mode].example if mode in costs else work.forward[name]
        seconds += example * Missing.of(source, data, store, (mode,))[mode]
    return seconds


def forecast(todo: Sequence[Piece], features: float) -> str:
    """The sentence that is said beforehand."""
    seconds = features + _total(todo)
    cells = len({piece.cell.name for piece in todo})
    said = f"{cells} cells to do, {len(todo)} pieces of work: about {about(seconds)}"
    ways = [(what, features + left) for what, left in _cheaper(todo) if features + left < SAVES * seconds]
    if seconds < LONG or not ways:
        return said
    return f"{said}; cheaper: {', '.join(f'{what} (about {about(least)})' for what, least in ways)}"


def _cheaper(todo: Sequence[Piece]) -> list[tuple[str, float]]:
    """What could be left out, and the seconds of what would then be left."""
    ways = [("--seeds 1", _total(piece for piece in todo if piece.repeat == 0))]
    of_strategy = _dearest(todo, lambda piece: piece.cell.strategy)
    of_source = _dearest((piece for piece in todo if piece.cell.source != NONE), lambda piece: piece.cell.source)
    ways += [
        (f"without {name}", _total(piece for piece in todo if name not in (piece.cell.strategy, piece.cell.source)))
        for name in (of_strategy, of_source)
        if name
    ]
    closed = [piece for piece in todo if piece.cell.learner.plan.closed_form]
    return [*ways, ("closed forms only", _total(closed))]


def _dearest(todo: Iterable[Piece], by: Callable[[Piece], str]) -> str | None:
    """The name that most of the seconds go to; None where there are no two to choose from."""
    spent: dict[str, float] = {}
    for piece in todo:
        spent[by(piece)] = spent.get(by(piece), 0.0) + piece.seconds
    return max(spent, key=spent.__getitem__) if len(spent) > 1 else None


def _total(todo: Iterable[Piece]) -> float:
    return sum(piece.seconds for piece in todo)


def about(seconds: float) -> str:
    """A time as one says it.

    >>> about(40.2), about(200), about(9000)
    ('40 s', '3 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
