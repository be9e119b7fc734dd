"""The contract of a strategy: its plan is data, fits the anatomy of any source, trains, and can be put to rest."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from headstart.core.plan import Plan, Solve, Train
from headstart.core.predictions import Floats
from headstart.core.problem import Task
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset, Item, Piece
from headstart.data.store import Store
from headstart.features.extract import extract
from headstart.linear.catalog import ESTIMATORS
from headstart.linear.cells import NUMBER
from headstart.sources.card import Input, SeriesInput, TableInput, TextInput
from headstart.sources.source import Source
from headstart.sources.stages import resolve as stages_of
from headstart.strategies.catalog import CONTROLS, STRATEGIES, plan
from headstart.training.adapters import attached
from headstart.training.groups import resolve
from headstart.training.plan_learner import PlanLearner, headed

N, CLASSES = 24, 3


def check_strategy(name_or_plan: str | Plan, source: Source) -> None:
    """Check a plan, or the plan behind a registered name, on one source; it is fitted once on a made problem.

    Raises:
        AssertionError: a sentence that says which promise is broken.
    """
    one = plan(name_or_plan) if isinstance(name_or_plan, str) else name_or_plan
    assert isinstance(one, Plan), f"a strategy is a function that returns a Plan, got {type(one).__name__}"
    assert one == Plan.from_json(one.to_json()), "a plan must be equal to what its JSON gives back"
    assert one.phases, f"the plan {one.name!r} needs at least one phase"
    if isinstance(name_or_plan, str):
        _check_registered(name_or_plan, one)
    for phase in one.phases:
        if isinstance(phase, Solve):
            _check_solve(phase, source)
        else:
            _check_train(phase, headed(source, one))
    _check_fit(one, source)


def _check_registered(name: str, one: Plan) -> None:
    assert one.name == name, f"the plan registered as {name!r} must have that name, it is called {one.name!r}"
    if name in CONTROLS.names():
        assert one.start == "random", f"the control {name!r} must start from random weights: it may not transfer"
    else:
        assert name in STRATEGIES.names(), f"{name!r} is in no registry"
        assert one.start == "weights", f"the strategy {name!r} must start from weights, or it transfers nothing"


def _check_solve(phase: Solve, source: Source) -> None:
    assert phase.estimator in ESTIMATORS.names() or phase.estimator == "own-head", f"no estimator {phase.estimator!r}"
    chosen = stages_of(phase.stages, source.card.stage_names())
    assert chosen, f"{phase.stages} are no stages of {source.name}"


def _check_train(phase: Train, source: Source) -> None:
    kept = len(source.card.head_classes) if source.card.new_head.keep else 0
    net = source.net(kept + CLASSES)
    with attached(net, source.card, phase.rank, seed=0):
        rates = resolve(source.card, net, phase.rules)
        uncovered = sorted({name for name, _ in net.named_parameters()} - set(rates))
    assert not uncovered, f"the rules must cover every parameter, these are left: {uncovered[:5]}"
    frozen = [name for name, _ in net.head.named_parameters(prefix="head") if rates[name] is None]
    frozen = [name for name in frozen if not name.startswith("head.old.")]  # classes that are kept may be
    assert not frozen, f"the new head must be trained, the rules freeze {frozen}"


def _check_fit(one: Plan, source: Source) -> None:
    classes = source.card.head_classes[:CLASSES] or tuple("abc")
    knows = one.co_tunes or any(isinstance(p, Solve) and p.estimator == "own-head" for p in one.phases)
    if knows and source.own_head() is None:
        return  # it does not apply to this source
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        data = made(tuple("abc")).after(source.card.head_classes) if source.card.new_head.keep else made(classes)
        features = extract([source], data, store, Silent())
        learner = PlanLearner(one.name, "transfer", one.resolve(epochs=1, lr=1e-3), {source.name: source}, store)
        before = source.identity
        fitted = learner.fit(data, seed=0, features=features)
        assert source.identity == before, "fitting must leave the source as it is"
        found = fitted.predict(data, features).probabilities
        wanted = (N, data.task.outputs)
        assert found.shape == wanted, f"predictions must be {wanted}, got {found.shape}"
        assert np.allclose(found.sum(axis=1), 1, atol=1e-6), "the probabilities of an example must sum to one"
        assert float(found.min()) >= 0, "probabilities must not be negative"
        open_ = [p for p in fitted.resolved.phases if isinstance(p, Train) and (p.epochs is None or p.lr is None)]
        assert not open_, "the resolved plan must leave nothing open"
        restored = learner.restore(fitted.state()).predict(data, features).probabilities
        assert np.allclose(found, restored, atol=1e-6), "what was put to rest must predict the same when restored"


@dataclass(frozen=True)
class Noise:
    """A modality without files: an example is noise whose seed is its name, on a level that is its class."""

    name: str = "noise"
    version: str = "1"
    copied: bool = True
    changes: str = "mirror"
    baseline: None = None
    controls: Mapping[str, Any] = field(default_factory=dict)
    untrained: tuple[str, str] = ("random:test_resnet@32", "random:test_resnet@32")

    def fitting(self, sources: Sequence[str]) -> tuple[str, ...]:
        """As they are."""
        return tuple(sources)

    def suited(self, raw: Floats) -> tuple["Noise", tuple[str, ...]]:  # noqa: ARG002 - noise may be mirrored
        """Itself."""
        return self, ()

    def prepare(self, item: Item, card_input: Input) -> NDArray[Any]:
        """(size, size, 3) uint8, the token numbers of all windows, or (channels, length) values."""
        at = int(item.name)
        if isinstance(card_input, TableInput):
            return _row(card_input, at)
        if isinstance(card_input, TextInput):
            shape, kind = (card_input.windows * card_input.window,), np.int64
        elif isinstance(card_input, SeriesInput):
            shape, kind = (card_input.channels or 1, card_input.length), np.float32
        else:
            shape, kind = (card_input.size, card_input.size, 3), np.uint8
        drawn = np.random.default_rng(at).integers(1, 100, shape)
        return (drawn + 70 * (at % CLASSES)).astype(kind)

    def pieces(self, item: Item, others: Sequence[Item], folder: Path) -> tuple[Item, tuple[Piece, ...]]:  # noqa: ARG002
        """Noise has no parts."""
        return item, ()

    def sample(self, items: Sequence[Item], card_input: Input, count: int) -> NDArray[Any]:
        """The first ones, over and over."""
        return np.stack([self.prepare(items[at % len(items)], card_input) for at in range(count)])

    def caveats(self, items: Sequence[Item], card_input: Input) -> tuple[str, ...]:  # noqa: ARG002 - none
        """None."""
        return ()

    def size(self, item: Item) -> int:  # noqa: ARG002 - all alike
        """One."""
        return 1

    def augment(self, batch: Tensor, seed: int) -> Tensor:
        """The batch, mirrored for odd seeds."""
        return batch.flip(2) if seed % 2 and batch.ndim == 4 else batch


def _row(taken: TableInput, at: int) -> NDArray[np.float32]:
    """(2, columns) prepared: noise on a level that is the class."""
    width = len(taken.columns) or CLASSES
    drawn = np.random.default_rng(at).normal(size=width) + at % CLASSES
    return np.stack([drawn, np.full(width, NUMBER)]).astype(np.float32)


def made(classes: tuple[str, ...]) -> Dataset:
    """A few generated examples of three classes."""
    at = np.arange(N)
    items = tuple(Item(str(i), Path(str(i)), f"noise-{i}") for i in at)
    return Dataset("made", items, at % CLASSES, at, Task("class", "classification", classes), Noise())
