"""The loop learns, stops, resumes bit for bit, and says what went wrong."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.core.plan import Rule, Train
from headstart.core.problem import Task
from headstart.data.dataset import Dataset, Item
from headstart.sources.card import Architecture, Card, ImageInput, Licence, Stage
from headstart.training import loop
from headstart.training.loop import predict, time_step, train

SIDE = 8
PHASE = Train(rules=(Rule("*", 1.0),), epochs=3, lr=0.02, batch=16, norm="train")
CARD = Card(
    name="test:net", architecture=Architecture(name="none"), input=ImageInput(size=SIDE), head="", norms=("1", "5"),
    stages=(
        Stage(name="a", tap="0", dim=4, parameters=("0.weight", "0.bias", "1.weight", "1.bias")),
        Stage(name="b", tap="4", dim=4, parameters=("4.weight", "4.bias", "5.weight", "5.bias")),
    ),
    licence=Licence(name="Apache-2.0", commercial=True), trained_on=None, parameters=0,
)  # fmt: skip


class Net(nn.Module):
    """Two convolutions with batch-norm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        first = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2))
        second = (nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.trunk = nn.Sequential(*first, *second)
        self.head = nn.Linear(4, 2)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.trunk(pixels.permute(0, 3, 1, 2).float() / 255))


class Shift:
    """A modality whose augmentation shifts brightness; it remembers the seeds that it was given."""

    name, version, changes = "test", "1", "all"

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def size(self, item: Item) -> int:
        return 1

    def prepare(self, item: Item, card_input: object) -> np.ndarray:
        raise NotImplementedError

    def augment(self, batch: Tensor, seed: int) -> Tensor:
        self.seeds.append(seed)
        return batch // 2 + seed % 100


class Fake:
    """Class 1 is red, class 0 green; the label of an example is the parity of its key."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def batch(self, keys: Sequence[str]) -> Tensor:
        self.threads.add(threading.get_ident())
        out = torch.empty((len(keys), SIDE, SIDE, 3), dtype=torch.uint8)
        for row, key in enumerate(keys):
            rng = np.random.default_rng(int(key))
            out[row] = torch.from_numpy(rng.integers(0, 160, (SIDE, SIDE, 3), dtype=np.uint8))
            out[row, :, :, 1 - int(key) % 2] += 60
        return out


def data(keys: range) -> Dataset:
    items = tuple(Item(f"{i}.png", Path(f"{i}.png"), str(i)) for i in keys)
    targets = np.array([i % 2 for i in keys])
    return Dataset("test", items, targets, np.arange(len(items)), Task("t", "classification", ("x", "y")), Shift())


def weights(net: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_what_can_be_learned() -> None:
    net = Net()
    start = predict(net, data(range(1000, 1060)), Fake())
    phase = replace(PHASE, epochs=8, augment=False)
    done = train(net, CARD, phase, data(range(120)), prepared=Fake(), seed=0)
    after = predict(net, data(range(1000, 1060)), Fake())
    truth = np.arange(60) % 2
    assert after.shape == (60, 2)
    assert after.dtype == np.float64
    assert (start.argmax(1) == truth).mean() < 0.8
    assert (after.argmax(1) == truth).mean() > 0.95
    assert done.history[-1].train_loss < 0.5 * done.history[0].train_loss
    assert done.history[-1].train_accuracy > 0.9
    assert [entry.epoch for entry in done.history] == list(range(1, 9))
    assert done.best_epoch == 8
    assert not done.overfitted
    assert done.history[0].validation_loss is None
    assert not any(module.training for module in net.modules())


def test_same_seed_same_weights_other_seed_other_weights() -> None:
    runs: list[dict[str, Tensor]] = []
    for seed in (3, 3, 4):
        net = Net()
        train(net, CARD, PHASE, data(range(40)), prepared=Fake(), seed=seed)
        runs.append(weights(net))
        torch.rand(7)  # what others draw meanwhile must not matter
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_the_callers_chance_is_left_alone() -> None:
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    net = Net.__new__(Net)
    state = torch.random.get_rng_state()
    net.__init__()  # type: ignore[misc] # seeds
    torch.random.set_rng_state(state)
    train(net, CARD, PHASE, data(range(20)), prepared=Fake(), seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_augmentation_has_a_seed_of_its_own_in_every_step_and_can_be_off() -> None:
    view = data(range(40))
    train(Net(), CARD, PHASE, view, prepared=Fake(), seed=1)
    seeds = view.modality.seeds  # type: ignore[attr-defined]
    assert len(seeds) == len(set(seeds)) == 9  # three steps in each of three epochs
    quiet = data(range(40))
    train(Net(), CARD, replace(PHASE, augment=False), quiet, prepared=Fake(), seed=1)
    assert quiet.modality.seeds == []  # type: ignore[attr-defined]


def test_every_example_once_an_epoch_in_even_batches_prepared_in_one_other_thread() -> None:
    class Counting(Fake):
        def __init__(self) -> None:
            super().__init__()
            self.asked: list[list[str]] = []

        def batch(self, keys: Sequence[str]) -> Tensor:
            self.asked.append(list(keys))
            return super().batch(keys)

    pixels = Counting()
    train(Net(), CARD, PHASE, data(range(33)), prepared=pixels, seed=1)
    assert [len(keys) for keys in pixels.asked] == [11] * 9
    orders = [[key for keys in pixels.asked[at : at + 3] for key in keys] for at in (0, 3, 6)]
    assert all(sorted(order, key=int) == [str(i) for i in range(33)] for order in orders)
    assert orders[0] != orders[1]
    assert threading.get_ident() not in pixels.threads


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("kill", [1, 2, 3])
def test_killed_and_resumed_is_bit_identical(tmp_path: Path, kill: int, optimiser: str, validated: bool) -> None:
    phase = replace(PHASE, epochs=4, optimiser=optimiser, rules=(Rule("stage:a", 0.3), Rule("*", 1.0)))
    validation = data(range(500, 520)) if validated else None
    whole = Net()
    expected = train(whole, CARD, phase, data(range(40)), prepared=Fake(), seed=2, validation=validation)
    with pytest.raises(KeyboardInterrupt):
        train(
            Net(), CARD, phase, data(range(40)), prepared=Fake(), seed=2,
            validation=validation, workspace=tmp_path, step=Killer(after=40 * kill + 20),
        )  # fmt: skip
    resumed, counter = Net(), Killer(after=10**9)
    found = train(
        resumed, CARD, phase, data(range(40)), prepared=Fake(), seed=2,
        validation=validation, workspace=tmp_path, step=counter,
    )  # fmt: skip
    assert same(weights(whole), weights(resumed))
    assert [replace(e, seconds=0) for e in found.history] == [replace(e, seconds=0) for e in expected.history]
    assert (found.best_epoch, found.overfitted) == (expected.best_epoch, expected.overfitted)
    assert counter.done == 160
    assert counter.calls[0] == 40 * kill, "the epochs before the kill were not trained again"


class Killer:
    """A step that interrupts when so many examples are done."""

    def __init__(self, after: float) -> None:
        self.after, self.done, self.calls = after, 0.0, list[float]()

    def advance(self, units: float = 1) -> None:
        self.done += units
        self.calls.append(units)
        if self.done > self.after:
            raise KeyboardInterrupt

    def note(self, text: str) -> None: ...
    def epoch(self, measured: object) -> None: ...


def test_finished_work_is_not_done_again(tmp_path: Path) -> None:
    first, second = Net(), Net()
    train(first, CARD, PHASE, data(range(40)), prepared=Fake(), seed=2, workspace=tmp_path)
    view = data(range(40))
    done = train(second, CARD, PHASE, view, prepared=Fake(), seed=2, workspace=tmp_path)
    assert same(weights(first), weights(second))
    assert view.modality.seeds == []  # type: ignore[attr-defined]
    assert len(done.history) == 3


@pytest.mark.parametrize("change", ["seed", "phase", "data", "labels", "start"])
def test_a_checkpoint_of_other_work_is_not_resumed(tmp_path: Path, change: str) -> None:
    train(Net(), CARD, PHASE, data(range(40)), prepared=Fake(), seed=2, workspace=tmp_path)
    net, phase, view, seed = Net(), PHASE, data(range(40)), 2
    if change == "seed":
        seed = 3
    elif change == "phase":
        phase = replace(phase, lr=0.01)
    elif change == "data":
        view = data(range(2, 42))
    elif change == "labels":
        view = replace(view, targets=1 - view.targets)
    else:
        nn.init.zeros_(net.head.weight)
    train(net, CARD, phase, view, prepared=Fake(), seed=seed, workspace=tmp_path)
    assert len(view.modality.seeds) == 9  # type: ignore[attr-defined]


def test_the_best_epoch_is_kept_and_patience_stops() -> None:
    # Labels of the training part are random: what it learns by heart makes the validation loss worse.
    rng = np.random.default_rng(0)
    view, validation = data(range(24)), data(range(500, 540))
    view = replace(view, targets=rng.integers(0, 2, 24))
    phase = replace(PHASE, epochs=40, lr=0.05, schedule="constant", patience=4, augment=False)
    net = Net()
    done = train(net, CARD, phase, view, prepared=Fake(), seed=0, validation=validation)
    losses = [entry.validation_loss for entry in done.history if entry.validation_loss is not None]
    assert len(losses) == len(done.history) == done.best_epoch + 4
    assert losses[done.best_epoch - 1] == min(losses)
    logits = torch.from_numpy(predict(net, validation, Fake()))
    kept = nn.functional.cross_entropy(logits, torch.from_numpy(validation.targets)).item()
    assert kept == pytest.approx(min(losses), abs=1e-12)
    assert done.overfitted


def test_the_schedule_runs_over_the_whole_phase() -> None:
    done = train(Net(), CARD, replace(PHASE, warmup=0.0), data(range(40)), prepared=Fake(), seed=0)
    rates = [entry.lr for entry in done.history]
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.1 * PHASE.lr  # type: ignore[operator]
    flat = train(Net(), CARD, replace(PHASE, schedule="constant"), data(range(40)), prepared=Fake(), seed=0)
    assert {entry.lr for entry in flat.history} == {0.02}


def test_the_rate_of_a_rule_is_the_rate_of_its_parameters() -> None:
    """One step of SGD without decay moves a weight by rate times gradient."""
    moved: list[Tensor] = []
    for rate in (1.0, 0.25):
        net, phase = Net(), replace(PHASE, epochs=1, batch=99, optimiser="sgd", decay=0.0, augment=False)
        before = net.trunk[0].weight.detach().clone()
        phase = replace(phase, rules=(Rule("stage:a", rate), Rule("*", 1.0)))
        train(net, CARD, phase, data(range(10)), prepared=Fake(), seed=0)
        moved.append(net.trunk[0].weight.detach() - before)
    assert moved[0].abs().max() > 1e-4
    torch.testing.assert_close(moved[1], 0.25 * moved[0], rtol=1e-3, atol=1e-7)


def test_the_error_of_a_background_batch_arrives() -> None:
    class Broken(Fake):
        def batch(self, keys: Sequence[str]) -> Tensor:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        train(Net(), CARD, PHASE, data(range(20)), prepared=Broken(), seed=0)


@pytest.mark.parametrize("phase", [replace(PHASE, epochs=None), replace(PHASE, lr=None)])
def test_an_unresolved_phase_is_refused(phase: Train) -> None:
    with pytest.raises(UserError, match="expected a resolved phase, got one without epochs, lr or norm"):
        train(Net(), CARD, phase, data(range(20)), prepared=Fake(), seed=0)


def test_unlabelled_or_no_examples_are_refused() -> None:
    unlabelled = replace(data(range(20)), targets=np.full(20, -1))
    for view in (unlabelled, data(range(0))):
        with pytest.raises(UserError, match="expected labelled training examples, got none, or some without label"):
            train(Net(), CARD, PHASE, view, prepared=Fake(), seed=0)


def test_divergence_is_said() -> None:
    net = Net()
    nn.init.constant_(net.head.weight, float("inf"))
    with pytest.raises(loop.DivergedError, match="expected a finite training loss, got none in epoch 1"):
        train(net, CARD, PHASE, data(range(20)), prepared=Fake(), seed=0)


def test_timing_a_step_leaves_the_net_as_it_was() -> None:
    net = Net()
    before, state = weights(net), torch.random.get_rng_state()
    seconds = time_step(net, CARD, PHASE, torch.zeros(4, SIDE, SIDE, 3, dtype=torch.uint8))
    assert 0 < seconds < 1
    assert same(before, weights(net))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(p.requires_grad for p in net.parameters())


def test_a_pause_changes_nothing(tmp_path: Path) -> None:
    """Stopped after two epochs and taken up again, training ends bit for bit where it would have ended."""
    view, validation, nets = data(range(40)), data(range(200, 230)), [Net(), Net(), Net()]
    at_once = train(nets[0], CARD, PHASE, view, prepared=Fake(), seed=3, validation=validation)
    half, whole = (
        train(net, CARD, PHASE, view, prepared=Fake(), seed=3, validation=validation, workspace=tmp_path, until=until)
        for net, until in zip(nets[1:], (2, None), strict=True)
    )
    assert len(half.history) == 2
    assert [e.train_loss for e in whole.history] == [e.train_loss for e in at_once.history]
    assert len(whole.history) > 2
    assert same(nets[2].state_dict(), nets[0].state_dict())
