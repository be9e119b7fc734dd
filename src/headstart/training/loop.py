"""The one training loop. Any `Train` phase goes through it; what differs is in the rules, not in the code.

Everything random derives from (seed, epoch, step), so training that was killed and resumed ends bit for bit where it
would have ended.
"""

import copy
import hashlib
import json
import operator
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from pydantic import RootModel
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.core.plan import Train
from headstart.core.predictions import Floats
from headstart.core.progress import Step
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.features import devices
from headstart.sources.card import Card
from headstart.training import adapters, checkpoint, groups, prefix, schedule, stopping
from headstart.training.ahead import ahead
from headstart.training.alike import alike, sizes
from headstart.training.co_tune import OwnHead, beside
from headstart.training.hold import hold
from headstart.training.losses import LOSSES
from headstart.training.pull import Pull
from headstart.training.recalibrate import recalibrate
from headstart.training.step import Extra, descend
from headstart.training.views import CLEAN_EPOCH, Batches, Views

_PREDICT_BATCH = 64
_SAVES = 20  # checkpoints of a phase at most: many epochs are short ones, and the disk is slower than they are


class DivergedError(UserError):
    """The loss is no longer a number."""

    def __init__(self, epoch: int, lr: float) -> None:
        super().__init__("a finite training loss", f"none in epoch {epoch}", f"Use a lower rate than {lr:g}.")


@dataclass(frozen=True)
class Epoch:
    """One line of the history.

    Args:
        epoch: from 1.
        lr: rate of the epoch's last step, for rules of rate 1.
        train_loss: mean loss of the (augmented) training examples during the epoch: cross-entropy, in nats, or the
            squared error of numbers, in units of their variance.
        train_accuracy: likewise, how right they were: of labels Jaccard's index, of numbers R2.
        validation_loss: after the epoch; None without validation part.
        validation_accuracy: likewise.
        seconds: wall clock, validation included.
    """

    epoch: int
    lr: float
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float


@dataclass(frozen=True)
class Trained:
    """What a phase went through.

    Args:
        history: one entry an epoch.
        best_epoch: the epoch, from 1, whose weights the net now has: least validation loss, or the last.
        overfitted: the validation loss ended clearly above its best while the training loss went on falling.
    """

    history: tuple[Epoch, ...]
    best_epoch: int
    overfitted: bool


def train(
    net: nn.Module,
    card: Card,
    phase: Train,
    view: Dataset,
    *,
    prepared: Batches,
    seed: int,
    validation: Dataset | None = None,
    workspace: Path | None = None,
    step: Step | None = None,
    store: Store | None = None,
    until: int | None = None,
    own: OwnHead | None = None,
) -> Trained:
    """Train the net in place, as the phase says; it is left in eval mode, with the weights of the best epoch.

    Args:
        net: (n, H, W, 3) uint8 -> (n, C) logits; its parts are called `trunk` and `head`.
        card: of the net's source.
        phase: with `epochs` and `lr` filled in.
        view: the examples to learn from.
        prepared: where the prepared examples of both parts are.
        seed: of order, augmentation and dropout.
        validation: stops early on its loss; the best epoch is kept.
        workspace: folder for checkpoints. Unfinished work found there is resumed, bit for bit.
        step: told of every example that was trained on (epochs x n in all).
        store: where the activations of a frozen front are kept, so that it runs once for each view of an example.
            Without one, or where `prefix.find` finds no such front, every epoch runs the whole net: the same numbers,
            up to the order of sums.
        until: pause after that epoch of the phase, whose schedule stays that of all its epochs; with the same workspace
            a later call goes on from there.
        own: the source's classifier, for a phase that lets it learn beside the head; it is left as it has become.

    Raises:
        UserError: the rules do not fit the net, the phase is not resolved, the source has no classifier to co-tune, or
            the loss is not finite.
        FrozenMovedError: a frozen weight or buffer changed in at least one bit.
    """
    with adapters.attached(net, card, phase.rank, seed), beside(net, card, phase.co_tune, own):
        work = _Work(net, card, phase, view, prepared, seed, step)
        if store is not None:
            work.skip_front(card, store)
        trained = _descended(work, validation, workspace, min(until or work.epochs, work.epochs))
    net.eval()
    return trained


def _descended(work: "_Work", validation: Dataset | None, workspace: Path | None, until: int) -> Trained:
    """Epochs up to `until`; the net is left with the weights of the best one."""
    keep = validation is None
    saves = None if workspace is None else checkpoint.Checkpoints(workspace, work.identity(validation), keep=keep)
    history, best = _resume(work, saves)
    best = None if validation is None else best
    patience = work.phase.patience or stopping.patience(work.epochs)
    stride = max(1, work.epochs // _SAVES)
    ended = stopping.should_stop(_validation_losses(history), patience)
    while len(history) < until and not ended:
        history.append(_epoch(work, len(history) + 1, validation))
        if work.step is not None:
            work.step.epoch(asdict(history[-1]))
        at = _best_epoch(history)
        if at == len(history) and validation is not None:
            best = {name: tensor.detach().clone() for name, tensor in work.moving().items()}
        ended = stopping.should_stop(_validation_losses(history), patience)
        if saves is not None and (ended or len(history) == until or len(history) % stride == 0):
            state = {**work.moving(), **checkpoint.optimiser_tensors(work.optimiser)}
            saves.save(state, [asdict(entry) for entry in history], at, best)
    groups.assert_unmoved(work.frozen, groups.digests(work.fixed()))
    if best is not None:
        checkpoint.restore(best, work.moving())
    bit = stopping.overfitted([entry.train_loss for entry in history], _validation_losses(history))
    return Trained(tuple(history), _best_epoch(history), bit)


def predict(
    net: nn.Module, view: Dataset, prepared: Batches, step: Step | None = None, *, features: bool = False
) -> Floats:
    """(n, C) float64 logits, or the (n, D) features under the head; the net is left in eval mode."""
    run: Callable[[Tensor], Tensor] = cast(Any, net).features if features else net
    device = devices.of(net)
    net.eval()
    order = np.argsort(-sizes(view), kind="stable")
    keys = [view.keys[int(i)] for i in order]
    parts = [keys[at : at + _PREDICT_BATCH] for at in range(0, len(keys), _PREDICT_BATCH)]
    out: list[Floats] = []
    with torch.inference_mode():
        for batch in ahead(prepared.batch(part) for part in parts):
            out.append(run(batch.to(device)).double().cpu().numpy())
            if step is not None:
                step.advance(len(batch))
    return np.concatenate(out)[np.argsort(order)]


def time_step(net: nn.Module, card: Card, phase: Train, examples: Tensor) -> float:
    """Seconds per example of a training step: one step to warm up, two timed, on a copy of the net.

    Args:
        net: to be trained.
        card: of its source.
        phase: that would train it.
        examples: (b, ...) a prepared batch, such as `Modality.sample` gives.
    """
    trial = copy.deepcopy(net)
    device = devices.place(trial)
    given = examples.to(device)
    targets = torch.zeros(len(given), dtype=torch.int64, device=device)
    seconds: list[float] = []
    with torch.random.fork_rng(), adapters.attached(trial, card, phase.rank, seed=0):
        rates = groups.resolve(card, trial, phase.rules)
        groups.apply(trial, rates, groups.still_modules(card, trial, rates, phase.norm or "train"))
        optimiser = groups.optimiser(trial, rates, phase, phase.lr or 1e-4)
        for _ in range(3):
            start = time.perf_counter()
            descend(trial, optimiser, given, targets)[0].item()  # waits for the device
            seconds.append(time.perf_counter() - start)
    return min(seconds[1:]) / len(given)


class _Work:
    """A phase made concrete for one net and one training part."""

    def __init__(
        self, net: nn.Module, card: Card, phase: Train, view: Dataset, prepared: Batches, seed: int, step: Step | None
    ) -> None:
        if phase.epochs is None or phase.lr is None or phase.norm is None:
            raise UserError("a resolved phase", "one without epochs, lr or norm", "Fill them in with Plan.resolve.")
        if len(view) == 0 or (view.task.kind == "classification" and int(np.min(view.targets)) < 0):
            raise UserError("labelled training examples", "none, or some without label", "Leave those out.")
        self.net, self.phase, self.view, self.seed, self.step = net, phase, view, seed, step
        self.epochs, self.lr, self.task = phase.epochs, phase.lr, LOSSES[view.task.kind]
        self.device = devices.place(net)
        self.held = hold(net, phase.hold, seed) if phase.hold else None
        self.rates = groups.resolve(card, net, phase.rules)
        self.pull = Pull(net, self.rates, phase.pull) if phase.pull else None
        self.own = next((part for part in net.children() if isinstance(part, OwnHead)), None)
        self.still = groups.still_modules(card, net, self.rates, phase.norm)
        if phase.norm == "adapt":
            recalibrate(net, groups.adapting(card, net, self.rates), self._clean(prepared))
        groups.apply(net, self.rates, self.still)
        self.frozen = groups.digests(self.fixed())
        self.optimiser = groups.optimiser(net, self.rates, phase, phase.lr)
        # What runs in a step, and what it is given: the net and pictures, unless the front can be skipped.
        self.runs: nn.Module = net
        self.views = Views(phase, prepared, view.modality, seed)
        self.examples: Views | prefix.Activations = self.views

    def _clean(self, prepared: Batches) -> Iterator[Tensor]:
        """All training examples as they are, in batches."""
        keys = self.view.keys
        for at in range(0, len(keys), _PREDICT_BATCH):
            yield prepared.batch(keys[at : at + _PREDICT_BATCH]).to(self.device)

    def skip_front(self, card: Card, store: Store) -> None:
        """Let the frozen front run once for each view, where views come back and such a front is found.

        Args:
            card: of the net's source.
            store: keeps activations.
        """
        count = self.views.count
        if count is None or count >= self.epochs or self.held is not None or self.phase.pairs:
            return
        shape = self.views.prepared.batch(self.view.keys[:1]).shape[1:]
        found = prefix.find(self.net, card, self.rates, self.still, shape)
        if found is not None and found.bytes * count * len(self.view) <= prefix.LIMIT:
            name = prefix.identity(card, found, self.views, self.frozen)
            self.runs = prefix.Suffix(self.net, found)
            self.examples = prefix.Activations(self.net, found, self.views, store, name, self.phase.batch)

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return -(-len(self.view) // self.phase.batch)

    def fixed(self) -> dict[str, Tensor]:
        """The tensors that must not change."""
        return groups.fixed_tensors(self.net, self.rates, self.still)

    def moving(self) -> dict[str, Tensor]:
        """The tensors that training changes."""
        return groups.moving_tensors(self.net, self.rates, self.still)

    def identity(self, validation: Dataset | None) -> str:
        """Hash of all that determines the outcome, the weights at the start included."""
        every = {**dict(self.net.named_parameters()), **dict(self.net.named_buffers())}
        views = [self.view] if validation is None else [self.view, validation]
        said = {
            "phase": RootModel[Train](self.phase).model_dump(mode="json"),
            "seed": self.seed,
            "examples": [[list(part.keys), part.targets.tolist()] for part in views],
            "start": groups.digests(every),
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, int]]:
        """(examples or activations, targets, seed) of each step. Sizes differ by at most one: no tiny last batch."""
        chances = np.random.default_rng([self.seed, epoch])
        order = alike(chances.permutation(len(self.view)), sizes(self.view), self.steps, chances)
        keys = list(self.view.keys)
        targets = self.task.tensor(self.view.targets)
        for at, part in enumerate(order):
            chance = int(np.random.SeedSequence([self.seed, epoch, at]).generate_state(1)[0])
            given = self.examples.shown([keys[i] for i in part], epoch, chance)
            yield given, targets[part], chance

    def extras(self, chance: int, targets: Tensor) -> list[Extra]:
        """What a step with that seed costs beside the cross-entropy of these targets.

        The pull to the start, the source's own classes, holding old classes.
        """
        pull, own = self.pull, self.own
        found: list[Extra] = [] if pull is None else [lambda _net, _given: pull.loss()]
        if own is not None:
            found.append(lambda _net, _given: self.phase.co_tune * own.loss(targets))
        if self.held is not None:
            dreams, old = self.held.batch(chance)
            if self.phase.augment:
                dreams = self.view.modality.augment(dreams, chance + 1)
            found.append(partial(self.held.loss, dreams=dreams.to(self.device), targets=old.to(self.device)))
        return found

    def at_rate(self, step: int) -> float:
        """Set the rates of that step of the whole phase; returns the one of relative rate 1."""
        share = schedule.share(self.phase.schedule, step, self.steps * self.epochs, self.phase.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * share
        return self.lr * share


def _resume(work: _Work, saves: checkpoint.Checkpoints | None) -> tuple[list[Epoch], dict[str, Tensor] | None]:
    """History and best weights so far; the net and the optimiser go where they were."""
    saved = None if saves is None else saves.load()
    if saved is None:
        return [], None
    checkpoint.restore(saved.last, work.moving())
    checkpoint.restore_optimiser(saved.last, work.optimiser)
    history = [Epoch(**entry) for entry in saved.history]
    if work.step is not None:
        work.step.advance(len(history) * len(work.view))
    best = saved.best or saved.last
    return history, {name: best[name].to(work.device) for name in work.moving()}


def _epoch(work: _Work, epoch: int, validation: Dataset | None) -> Epoch:
    start = time.perf_counter()
    work.examples.ready(work.view.keys, epoch)
    groups.apply(work.net, work.rates, work.still)
    steps: list[tuple[Tensor, Tensor, int]] = []
    lr = work.lr
    with torch.random.fork_rng():
        for at, (given, targets, chance) in enumerate(ahead(work.batches(epoch))):
            lr = work.at_rate((epoch - 1) * work.steps + at)
            torch.manual_seed(chance)
            wanted = targets.to(work.device)
            extras = work.extras(chance, wanted)
            given = given.to(work.device)
            done = descend(work.runs, work.optimiser, given, wanted, extras, pairs=work.phase.pairs, task=work.task)
            steps.append((*done, len(targets)))
            if work.step is not None:
                work.step.advance(len(targets))
    loss, accuracy = _means(steps)
    if not np.isfinite(loss):
        raise DivergedError(epoch, work.lr)
    measured = (None, None) if validation is None else _validate(work, validation)
    if work.step is not None:
        work.step.note(f"epoch {epoch}/{work.epochs}, loss {loss:.3f}")
    return Epoch(epoch, lr, loss, accuracy, *measured, time.perf_counter() - start)


def _means(steps: Sequence[tuple[Tensor, Tensor, int]]) -> tuple[float, float]:
    """Mean loss and accuracy of (loss, hits, examples) of steps; the one place where the device is waited for."""
    losses = torch.stack([loss for loss, _, _ in steps]).tolist()
    hits = torch.stack([right for _, right, _ in steps]).tolist()
    sizes = [size for _, _, size in steps]
    return sum(map(operator.mul, losses, sizes)) / sum(sizes), sum(hits) / sum(sizes)


def _validate(work: _Work, validation: Dataset) -> tuple[float, float]:
    work.examples.ready(validation.keys, CLEAN_EPOCH)
    return measure(predict(work.runs, validation, work.examples.clean), validation)


def measure(logits: Floats, view: Dataset) -> tuple[float, float]:
    """Mean loss and accuracy of (n, K) logits."""
    task, stated = LOSSES[view.task.kind], torch.from_numpy(logits)
    targets = task.tensor(view.targets)
    return task.of(stated, targets.to(stated.dtype) if targets.is_floating_point() else targets).item(), float(
        task.right(stated, targets) / len(view)
    )


def _validation_losses(history: Sequence[Epoch]) -> list[float]:
    return [entry.validation_loss for entry in history if entry.validation_loss is not None]


def _best_epoch(history: Sequence[Epoch]) -> int:
    losses = _validation_losses(history)
    return stopping.best(losses) + 1 if losses else len(history)
