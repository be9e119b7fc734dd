"""Old classes are kept while new ones are learned: what is held, what is dreamed, what would be forgotten without."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.core.plan import Plan, Rule, Train
from headstart.core.problem import Task
from headstart.data.dataset import Dataset, Item
from headstart.data.store import Store
from headstart.sources.card import Architecture
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.strategies.inductive.extend import extend
from headstart.testing import check_strategy
from headstart.training import hold
from headstart.training.loop import train
from headstart.training.plan_learner import FittedNet, PlanLearner

SIDE = 16
COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200), "yellow": (200, 200, 40)}
OLD, NEW = ("red", "green"), ("blue", "yellow")


class Colours:
    """A modality without files: an example is noise on the colour that its name says."""

    name, version, changes, baseline = "colours", "1", "roll", None

    def size(self, item: Item) -> int:
        return 1

    def prepare(self, item: Item, card_input: object) -> np.ndarray:
        colour, seed = item.name.split("-")
        noise = np.random.default_rng(int(seed)).integers(-40, 41, (SIDE, SIDE, 3))
        return np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)

    def augment(self, batch: Tensor, seed: int) -> Tensor:
        return batch.roll(seed % 3, 1)


class Drawn:
    """Prepared pictures of `Colours`, by key."""

    def batch(self, keys: list[str]) -> Tensor:
        return torch.from_numpy(np.stack([Colours().prepare(Item(k, Path(k), k), None) for k in keys]))


def data(classes: tuple[str, ...], n: int, first: int = 0) -> Dataset:
    names = [f"{colour}-{first + i}" for colour in classes for i in range(n)]
    items = tuple(Item(name, Path(name), name) for name in names)
    targets = np.repeat(np.arange(len(classes)), n)
    return Dataset("test", items, targets, np.arange(len(items)), Task("colour", "classification", classes), Colours())


@cache
def knowing() -> Source:
    """A net that has learned to tell red from green, with batch-norm statistics of its own."""
    plain = load(f"random:test_resnet@{SIDE}")
    model = plain.net(1).trunk
    model.fc = nn.Linear(plain.card.features, len(OLD))
    facts = {
        "architecture": Architecture(name="test_resnet", options={"num_classes": len(OLD)}),
        "head_classes": OLD,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    card = plain.card.model_copy(update=facts)
    net = Source(card, model).net(len(OLD))
    phase = Train((Rule("*", 1.0),), epochs=6, lr=3e-3, batch=16, norm="train", augment=False)
    train(net, card, phase, data(OLD, 48), prepared=Drawn(), seed=0)
    head = {f"fc.{name}": tensor for name, tensor in net.head.state_dict().items()}
    model.load_state_dict({**net.trunk.state_dict(), **head})
    return Source(card, model.eval())


def fitted(plan: Plan, folder: Path) -> FittedNet:
    """The plan on twelve pictures of each new colour, by the way that a user goes."""
    source = knowing().with_head(keep=True)
    view = data(NEW, 12, first=500).after(source.card.head_classes)
    learner = PlanLearner(plan.name, "transfer", plan, {source.name: source}, Store(folder))
    done = learner.fit(view, seed=0, features=None)
    assert isinstance(done, FittedNet)
    return done


def accuracy(net: nn.Module, view: Dataset) -> float:
    with torch.inference_mode():
        found = net.eval()(Drawn().batch(list(view.keys))).argmax(1).numpy()
    return float(np.mean(found == view.targets))


def quick(plan: Plan, epochs: int = 3) -> Plan:
    (phase,) = plan.phases
    assert isinstance(phase, Train)
    return replace(plan, phases=(replace(phase, epochs=epochs),))


@pytest.fixture(autouse=True)
def _light_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "STEPS", 40)


# What it is for


def test_new_classes_are_learned_and_old_ones_are_not_forgotten(tmp_path: Path) -> None:
    """Without the hold the same plan forgets: this test fails if the hold does nothing."""
    old, new = data(OLD, 40, first=900), data(NEW, 40, first=900).after(OLD)
    assert accuracy(knowing().net(2), old) < 0.9  # a copy comes without the source's head ...
    assert accuracy(knowing().with_head(keep=True).net(2), old) > 0.95  # ... unless it is kept
    held, free = (fitted(quick(extend(hold=count), epochs=20), tmp_path).net for count in (20, 0))
    assert accuracy(held, new) > 0.9
    assert accuracy(free, new) > 0.9
    assert accuracy(held, old) > 0.9
    assert accuracy(free, old) < 0.5


def test_the_old_weights_are_bit_identical_and_the_new_ones_moved(tmp_path: Path) -> None:
    source = knowing().with_head(keep=True)
    before = source.net(4).state_dict()
    identity = source.identity
    after = fitted(quick(extend(hold=4)), tmp_path).net.state_dict()
    assert torch.equal(after["head.old.weight"], before["head.old.weight"])
    assert torch.equal(after["head.old.bias"], before["head.old.bias"])
    assert after["head.new.weight"].abs().sum() > 0
    assert not torch.equal(after["trunk.layer4.0.conv1.weight"], before["trunk.layer4.0.conv1.weight"])
    assert source.identity == identity


def test_same_seed_same_weights_and_it_can_be_put_to_rest(tmp_path: Path) -> None:
    plan = quick(extend(hold=4))
    one, two = fitted(plan, tmp_path), fitted(plan, tmp_path)
    first, second = one.net.state_dict(), two.net.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    view = data(NEW, 5, first=700).after(OLD)
    restored = FittedNet.restore(one.state(), one.origin, Store(tmp_path))
    np.testing.assert_allclose(
        restored.predict(view, None).probabilities, one.predict(view, None).probabilities, atol=1e-6
    )


def test_work_that_was_killed_ends_where_it_would_have_ended(tmp_path: Path) -> None:
    source = knowing().with_head(keep=True)
    view = data(NEW, 8).after(OLD)
    (phase,) = quick(extend(hold=4)).phases
    assert isinstance(phase, Train)
    whole, resumed = source.net(4), source.net(4)
    train(whole, source.card, replace(phase, epochs=3), view, prepared=Drawn(), seed=0, workspace=tmp_path / "whole")
    killed = Killed(2)
    with pytest.raises(KeyboardInterrupt):
        train(
            source.net(4),
            source.card,
            replace(phase, epochs=3),
            view,
            prepared=killed,
            seed=0,
            workspace=tmp_path / "k",
        )
    train(resumed, source.card, replace(phase, epochs=3), view, prepared=Drawn(), seed=0, workspace=tmp_path / "k")
    wanted, found = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


class Killed(Drawn):
    """Pictures until the machine is switched off, in some epoch."""

    def __init__(self, epoch: int) -> None:
        self.left = 2 * epoch + 1  # two batches an epoch

    def batch(self, keys: list[str]) -> Tensor:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().batch(keys)


# Dreams


def test_a_dream_is_what_the_classifier_takes_for_the_class() -> None:
    net = knowing().with_head(keep=True).net(4).eval()
    targets = torch.arange(2).repeat(6)
    pixels = hold.dream(net, targets, seed=0, steps=60)
    assert pixels.shape == (12, SIDE, SIDE, 3)
    assert pixels.dtype == torch.uint8
    with torch.inference_mode():
        assert (net(pixels)[:, :2].argmax(1) == targets).all()
    assert torch.equal(pixels, hold.dream(net, targets, seed=0, steps=60))
    assert not torch.equal(pixels, hold.dream(net, targets, seed=1, steps=60))
    assert not any(module._forward_hooks for module in net.modules())


def test_a_dream_has_the_statistics_that_the_net_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of dreams lie nearer to those of real old pictures than without the statistics."""
    net = knowing().with_head(keep=True).net(4).eval()
    real = Drawn().batch(list(data(OLD, 12, first=300).keys))
    targets = torch.arange(2).repeat(12)
    dreams = hold.dream(net, targets, seed=0, steps=80)
    monkeypatch.setattr(hold, "STATISTICS", 0.0)
    without = hold.dream(net, targets, seed=0, steps=80)
    with torch.inference_mode():
        centre, of_dreams, of_others = (net.features(x).mean(0) for x in (real, dreams, without))
    assert (of_dreams - centre).norm() < 0.8 * (of_others - centre).norm()


@pytest.mark.parametrize("colour", ["RGB", "BGR"])
def test_dreamed_pixels_are_the_planes_that_were_dreamed(colour: str) -> None:
    source = knowing()
    taken = source.input.model_copy(update={"colour": colour})
    net = Source(source.card.model_copy(update={"input": taken}), source.model).net(2)
    pixels = torch.randint(0, 256, (2, SIDE, SIDE, 3), dtype=torch.uint8)
    assert torch.equal(hold._pixels(net, net.front(pixels).given), pixels)


def test_the_loss_is_that_of_the_dreams_and_of_features_that_moved() -> None:
    net = knowing().with_head(keep=True).net(4).eval()
    held = hold.hold(net, 2, seed=0)
    new = Drawn().batch(list(data(NEW, 2).keys))
    dreams, targets = held.batch(0)
    alone = nn.functional.cross_entropy(net(dreams), targets)
    torch.testing.assert_close(held.loss(net, new, dreams, targets), alone)
    with torch.no_grad():
        last = [p for n, p in net.trunk.named_parameters() if n.startswith("layer4") and p.ndim == 1]
        for parameter in last:
            parameter.add_(0.5)
    moved = held.loss(net, new, dreams, targets) - nn.functional.cross_entropy(net(dreams), targets)
    every = torch.cat([new, dreams])
    before, after = held.teacher.features(every), net.features(every)
    wanted = hold.FEATURES * (after - before).square().sum(1).mean() / before.square().sum(1).mean()
    torch.testing.assert_close(moved, wanted)
    assert wanted.item() > 0.1


# The label space


def test_data_comes_after_the_old_classes() -> None:
    found = data(("blue", "green"), 2).after(OLD)
    assert found.task.classes == ("red", "green", "blue")
    assert found.targets.tolist() == [2, 2, 1, 1]
    unlabelled = replace(data(NEW, 1), targets=np.array([-1, 1])).after(OLD)
    assert unlabelled.targets.tolist() == [-1, 3]


# The plan


def test_plans_from_before_the_hold_still_mean_the_same() -> None:
    text = Plan("x", phases=(Train((Rule("*", 1.0),)),)).to_json()
    assert '"hold":0' in text
    assert Plan.from_json(text.replace('"hold":0,', "")) == Plan.from_json(text)
    assert Plan.from_json(extend().to_json()) == extend()
    with pytest.raises(ValueError, match="hold"):
        Train((Rule("*", 1.0),), hold=-1)


def test_the_plan_keeps_the_contract_of_a_strategy() -> None:
    (phase,) = extend(hold=2).phases
    check_strategy(Plan("extend", phases=(phase,)), knowing().with_head(keep=True))


def test_there_must_be_old_classes_to_hold() -> None:
    source = knowing()
    with pytest.raises(UserError, match="expected a source that keeps its old classes, got one that does not"):
        hold.hold(source.net(4), 2, seed=0)


def test_without_batch_norm_there_is_nothing_to_dream_from() -> None:
    source = load("random:test_vit")
    with pytest.raises(UserError, match="expected a net with batch-norm layers, to dream from, got random:test_vit"):
        hold.dream(source.net(2), torch.arange(2), seed=0, steps=1)
