"""The learner that executes a Plan: closed forms on cached features, then, if the plan says so, gradient descent.

A transfer arm and a control are the same thing here; a plan that starts from "random" weights is given random sources.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from headstart.core.errors import UserError
from headstart.core.plan import Plan, Solve, Train
from headstart.core.predictions import Floats, Predictions
from headstart.core.progress import Silent, Step
from headstart.core.protocols import Features, Machine, Role, State
from headstart.data.dataset import Dataset
from headstart.data.split import hold_out
from headstart.data.store import Store
from headstart.features.allocator import keep_blocks
from headstart.features.prepared import Prepared
from headstart.linear.catalog import ESTIMATORS
from headstart.linear.heads import FittedHead, Ridge
from headstart.metrics.kinds import KINDS
from headstart.sources.source import Source
from headstart.sources.staged import StagedNet
from headstart.training.co_tune import own_head
from headstart.training.loop import Epoch, Trained, measure, predict, train
from headstart.training.solve import AND, Fits, Solved, class_rows, solve
from headstart.training.trials import RATES, Choice, choices, halving
from headstart.training.unit import Unit

INNER = 0.2  # share of the training part that rate and epochs are chosen on
EPOCHS = 8  # tried at most, where the budget allows


@dataclass(frozen=True)
class FittedSolve:
    """A closed form on frozen features."""

    solved: Solved
    resolved: Plan

    @property
    def source(self) -> str:
        """The source whose features it reads; several are named together."""
        return AND.join(self.solved.sources)

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that it reads."""
        return self.solved.stages

    def predict(self, view: Dataset, features: Features) -> Predictions:
        """Probabilities, or numbers, from cached features."""
        return Predictions(self.solved.predict(view, features))

    def state(self) -> State:
        """The head's arrays; the frozen net is named, not copied."""
        head = self.solved.head.state()
        phase = next(p for p in self.resolved.phases if isinstance(p, Solve))
        estimator = "ridge" if phase.estimator == "own-head" else phase.estimator
        taps = [list(tap) for tap in self.solved.taps]
        facts = {"taps": taps, "stages": list(self.stages), "plan": self.resolved.to_json()}
        return State(head.arrays, {"kind": "solve", "estimator": estimator, "head": dict(head.meta), **facts})

    @staticmethod
    def restore(state: State) -> "FittedSolve":
        """The inverse of `state`."""
        meta = state.meta
        head: FittedHead = ESTIMATORS.load(meta["estimator"]).restore(State(state.arrays, meta["head"]))
        taps = tuple((source, stage) for source, stage in meta["taps"])
        return FittedSolve(Solved(head, taps), Plan.from_json(meta["plan"]))


@dataclass(frozen=True)
class FittedNet:
    """A trained net. Its head reads the last stage.

    Args:
        net: as it was left by the last phase.
        origin: the source that it started from, with the head that the plan asks for.
        store: where prepared examples are kept.
        resolved: the plan.
        history: the epochs of all phases, counted through.
        notes: what should be known of the training.
        last: what the last phase went through; None where the net was restored.
    """

    net: StagedNet
    origin: Source
    store: Store
    resolved: Plan
    history: tuple[Epoch, ...] = ()
    notes: tuple[str, ...] = ()
    last: Trained | None = None

    @property
    def source(self) -> str:
        """The source that it started from."""
        return self.origin.card.name

    @property
    def stages(self) -> tuple[str, ...]:
        """The stage under the head."""
        return (self.origin.card.stage_names()[-1],)

    def predict(self, view: Dataset, features: Features) -> Predictions:  # noqa: ARG002 - reads examples, not features
        """Probabilities, or numbers, from prepared examples."""
        prepared = Prepared(view, self.origin.card.input, self.store)
        return Predictions(KINDS[view.task.kind].stated(predict(self.net, view, prepared)))

    def state(self) -> State:
        """All weights and buffers."""
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in self.net.state_dict().items()}
        facts = {"kind": "net", "source": self.source, "outputs": self.net.outputs}
        return State(arrays, {**facts, "plan": self.resolved.to_json()})

    @staticmethod
    def restore(state: State, origin: Source, store: Store) -> "FittedNet":
        """The inverse of `state`; `origin` gives the architecture and the preprocessing."""
        plan = Plan.from_json(state.meta["plan"])
        origin = headed(origin, plan)
        net = origin.net(state.meta["outputs"])
        net.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in state.arrays.items()}, strict=True)
        return FittedNet(net.eval(), origin, store, plan)


@dataclass(frozen=True)
class PlanLearner:
    """A plan and the sources it may choose from.

    Args:
        name: unique in a run.
        role: transfer or control.
        plan: what to do.
        sources: what to start from; anything with cached features serves a closed form, a `Source` is needed to train.
        store: where prepared examples are kept.
        epochs: how many epochs may be tried when the plan leaves the number open.
        most: how many choices may be tried where it leaves rate or norm policy open.
        step: progress of its training.
        fits: closed forms that it shares with other learners.
    """

    name: str
    role: Role
    plan: Plan
    sources: Mapping[str, Any]
    store: Store
    epochs: int = EPOCHS
    most: int = len(RATES)
    step: Step | None = field(default=None, compare=False)
    fits: Fits | None = field(default=None, compare=False)

    @property
    def needs(self) -> tuple[str, ...]:
        """Sources whose cached features are read: none for a plan without a closed-form phase or co-tuning."""
        reads = self.plan.co_tunes or any(isinstance(p, Solve) for p in self.plan.phases)
        return tuple(self.sources) if reads else ()

    def cost(self, n: int, machine: Machine) -> float:
        """Seconds to fit on n examples: a decomposition for every source, then epochs of steps."""
        solves = sum(len(self.sources) for p in self.plan.phases if isinstance(p, Solve))
        seconds = solves * machine.solve * (n / 1000) ** 3
        for phase in self.plan.phases:
            if isinstance(phase, Train):
                seconds += machine.dearest(self.name, self.sources) * n * (phase.epochs or self.epochs)
        return seconds

    def fit(self, view: Dataset, *, seed: int, features: Features, workspace: Path | None = None) -> "FittedAny":
        """Execute the plan on the view; choices that the plan leaves open are made inside the view."""
        if self.plan.open:
            resolved, _ = self.resolve(view, seed=seed, features=features, workspace=workspace)
            return resolved.fit(view, seed=seed, features=features, workspace=workspace)
        solved = self._solve(view, features)
        if self.plan.closed_form:
            if solved is None:
                raise UserError("a plan with at least one phase", repr(self.plan.name), "Add a Solve or Train phase.")
            return FittedSolve(solved, self._chosen(solved))
        return self._train(view, solved, features, seed=seed, workspace=workspace, validation=None)

    def resolve(
        self, view: Dataset, *, seed: int, features: Features, workspace: Path | None = None
    ) -> tuple["PlanLearner", FittedNet]:
        """Choose rate, norm policy and epochs (of the last phase) on an inner split of the view, then fix them.

        Returns:
            The learner with the resolved plan, and the net of the inner run with its train and validation curves.
        """
        held = hold_out(view.strata, view.groups, INNER, seed)
        inner, validation = view.take(np.flatnonzero(~held)), view.take(np.flatnonzero(held))
        solved = self._solve(inner, features)

        def run(choice: Choice, until: int) -> FittedNet:
            one = replace(self, plan=choice.of(self.plan, self.epochs))
            space = workspace / str(choice) if workspace else None
            return one._train(inner, solved, features, seed=seed, workspace=space, validation=validation, until=until)

        choice, best = halving(self.choices, self.longest, run, loss)
        return replace(self, plan=choice.of(self.plan, _best(best))), best

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What is tried where the plan leaves rate or norm policy open."""
        nets = [source.model for source in self.sources.values() if isinstance(source, Source)]
        statistics = any(name.endswith("running_mean") for net in nets for name, _ in net.named_buffers())
        layer_norms = any(isinstance(module, nn.LayerNorm) for net in nets for module in net.modules())
        return choices(self.plan, statistics=statistics, layer_norms=layer_norms)[: self.most]

    @property
    def longest(self) -> int:
        """Epochs of a whole training, all phases together."""
        return sum(phase.epochs or self.epochs for phase in self.plan.phases if isinstance(phase, Train))

    def restore(self, state: State) -> "FittedAny":
        """What `Fitted.state` described."""
        if state.meta["kind"] == "solve":
            return FittedSolve.restore(state)
        return FittedNet.restore(state, cast(Source, self.sources[state.meta["source"]]), self.store)

    def _solve(self, view: Dataset, features: Features) -> Solved | None:
        phase = next((p for p in self.plan.phases if isinstance(p, Solve)), None)
        if phase is None:
            return None
        if phase.estimator == "own-head":
            return self._own_head(view)
        return solve(phase, tuple(self.sources), view, features, self.fits)

    def _own_head(self, view: Dataset) -> Solved:
        for name, source in self.sources.items():
            rows = class_rows(source.card.head_classes, view.task.classes)
            head = source.own_head()
            if rows is not None and head is not None:
                weight, bias = head
                nothing: Floats = np.empty((0, 0))
                own = Ridge(weight[list(rows)].T, bias[list(rows)], 1.0, nothing, 0.0)
                return Solved(own, ((name, source.card.stage_names()[-1]),))
        raise UserError("a source whose own classes are the target's by name", "none", "Leave zero-shot out.")

    def _chosen(self, solved: Solved) -> Plan:
        phases = tuple(replace(p, stages=solved.stages) if isinstance(p, Solve) else p for p in self.plan.phases)
        return replace(self.plan, phases=phases)

    def _train(
        self,
        view: Dataset,
        solved: Solved | None,
        features: Features,
        *,
        seed: int,
        workspace: Path | None,
        validation: Dataset | None,
        until: int | None = None,
    ) -> FittedNet:
        origin = headed(cast(Source, self.sources[(solved.sources if solved else tuple(self.sources))[0]]), self.plan)
        net, unit = origin.net(view.task.outputs, seed), Unit.of(view)
        view, validation = unit.standard(view), None if validation is None else unit.standard(validation)
        if solved is not None:
            copy_head(net, solved, unit)
        own = own_head(origin, view, features) if self.plan.co_tunes else None
        keep_blocks()
        both = view if validation is None else joined(view, validation)
        prepared = Prepared(both, origin.card.input, self.store)
        history: tuple[Epoch, ...] = ()
        notes: tuple[str, ...] = ()
        done: Trained | None = None
        phases = [phase for phase in self.plan.phases if isinstance(phase, Train)]
        for at, phase in enumerate(phases, 1):
            left = None if until is None else until - len(history)
            if left is not None and left <= 0:
                break
            space = workspace / f"phase {at}" if workspace and len(phases) > 1 else workspace
            done = train(
                net, origin.card, phase, view,
                prepared=prepared, seed=seed, validation=None if phase.pairs else validation, workspace=space,
                step=self.step or _quiet(),
                store=self.store, until=left, own=own,
            )  # fmt: skip
            before = len(history)
            history += tuple(replace(epoch, epoch=before + epoch.epoch) for epoch in done.history)
            if done.overfitted:
                notes += (f"{self.name} overfitted: validation loss rose after epoch {before + done.best_epoch}",)
        if self.plan.solves_last and done is not None:
            solve_behind(net, view, prepared)
            history, done = _judged(net, validation, prepared, history, done)
        unit.leave(net.head)
        return FittedNet(net, origin, self.store, self.plan, history, notes, done)


FittedAny = FittedSolve | FittedNet


def copy_head(net: StagedNet, solved: Solved, unit: Unit) -> None:
    """Put a ridge solution into the net's head, so that training starts from it (LP-FT)."""
    if not isinstance(solved.head, Ridge):
        raise UserError("a ridge head to start training from", type(solved.head).__name__, "Use Solve('ridge').")
    if not isinstance(net.head, nn.Linear):
        came = "hidden layers, or old classes that are kept"
        raise UserError("a linear head to start from a closed form", came, "Leave the Solve phase out.")
    weight, bias = unit.within(*solved.head.logits())
    with torch.no_grad():
        net.head.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight.T)))
        net.head.bias.copy_(torch.from_numpy(bias))


def solve_behind(net: StagedNet, view: Dataset, prepared: Prepared) -> None:
    """Put a ridge head on what the features of the view have become."""
    features = predict(net, view, prepared, features=True).astype(np.float32)
    head = Ridge.fit([features], view.targets, view.task.outputs, None, kind=view.task.kind)
    copy_head(net, Solved(head, ()), Unit())  # it was solved in the unit that the net puts out


def _judged(
    net: StagedNet, validation: Dataset | None, prepared: Prepared, history: tuple[Epoch, ...], done: Trained
) -> tuple[tuple[Epoch, ...], Trained]:
    """The history with what the solved head makes of the validation part, after the last epoch."""
    if validation is None:
        return history, done
    loss, accuracy = measure(predict(net, validation, prepared), validation)
    last = replace(history[-1], validation_loss=loss, validation_accuracy=accuracy)
    own = replace(done.history[-1], validation_loss=loss, validation_accuracy=accuracy)
    return (*history[:-1], last), replace(done, history=(*done.history[:-1], own), best_epoch=len(done.history))


def headed(origin: Source, plan: Plan) -> Source:
    """The source with the head that the plan asks for; most leave it as it is.

    Raises:
        UserError: hidden layers for a source whose old classes are kept.
    """
    asked = origin.card.new_head
    return origin.with_head(*asked.outputs, widths=plan.hidden, keep=asked.keep) if plan.hidden else origin


def joined(first: Dataset, second: Dataset) -> Dataset:
    """Two parts of one data set, as far as their prepared examples are concerned."""
    return replace(first, items=(*first.items, *second.items), parts=None)


def _best(fitted: FittedNet) -> int:
    """The epoch of its last phase that the net has the weights of."""
    assert fitted.last is not None, "it was just trained"
    return fitted.last.best_epoch


def loss(fitted: FittedNet) -> float:
    """The validation loss of the net as it is."""
    assert fitted.last is not None, "it was just trained"
    found = fitted.last.history[fitted.last.best_epoch - 1].validation_loss
    return np.inf if found is None else found


def _quiet() -> Step:
    with Silent().step("") as step:
        return step
