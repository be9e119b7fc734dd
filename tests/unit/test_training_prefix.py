"""A frozen front runs once a view, the rest learns the same, and where it cannot be skipped nothing breaks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.core.plan import Plan, Rule, Train
from headstart.core.problem import Task
from headstart.data.dataset import Dataset, Item
from headstart.data.split import hold_out
from headstart.data.store import Store
from headstart.features.table import FeatureTable
from headstart.sources import load
from headstart.sources.card import Architecture, Card, ImageInput, Licence, Stage
from headstart.training import prefix
from headstart.training.loop import Trained, predict, train
from headstart.training.plan_learner import INNER, PlanLearner
from headstart.training.views import Views

SIDE, N = 32, 24
BYTES = 4 * 15 * 15 * 4  # of the activations of an example: channels, sides, float32
LAST = (Rule("head", 1.0), Rule("stage:-1", 1.0), Rule("*", None))
HEAD = (Rule("head", 1.0), Rule("*", None))
PHASE = Train(rules=LAST, epochs=7, lr=1e-3, batch=8, views=2)
CARD = Card(
    name="test:net", architecture=Architecture(name="none"), input=ImageInput(size=SIDE), head="", norms=("a.1", "b.1"),
    stages=(
        Stage(name="a", tap="a", dim=4, parameters=("a.0.weight", "a.0.bias", "a.1.weight", "a.1.bias")),
        Stage(name="b", tap="", dim=4, parameters=("b.0.weight", "b.0.bias", "b.1.weight", "b.1.bias")),
    ),
    licence=Licence(name="Apache-2.0", commercial=True), trained_on=None, parameters=0,
)  # fmt: skip


class Counted(nn.Module):
    """Lets everything pass, and counts the examples."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return x


class Trunk(nn.Module):
    """Two stages, the first frozen by `PHASE`, with a hook for what may go wrong between them."""

    def __init__(
        self,
        between: Callable[[nn.Module, Tensor, Tensor], Tensor],
        first: nn.Module | None = None,
        norm: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.counted = first or Counted()
        self.a = nn.Sequential(nn.Conv2d(3, 4, 3, 2), norm or nn.BatchNorm2d(4), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.3))
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        x = self.counted(x)
        return self.between(self, x, self.a(x)).mean((2, 3))


def chain(trunk: nn.Module, _x: Tensor, a: Tensor) -> Tensor:
    return trunk.b(a)


def over(trunk: nn.Module, x: Tensor, a: Tensor) -> Tensor:
    """A way from the picture past the boundary."""
    return trunk.b(a) + x.mean((1, 2, 3)).view(-1, 1, 1, 1)


def sized(trunk: nn.Module, x: Tensor, a: Tensor) -> Tensor:
    """The number of examples is kept from before the boundary."""
    return trunk.b(a).view(len(x), 4, -1, 1)


def in_place(trunk: nn.Module, _x: Tensor, a: Tensor) -> Tensor:
    return trunk.b(a.sub_(0.5))


def twice(trunk: nn.Module, x: Tensor, a: Tensor) -> Tensor:
    return trunk.b(a) + trunk.a(x).mean()


class Net(nn.Module):
    def __init__(
        self,
        between: Callable[[nn.Module, Tensor, Tensor], Tensor] = chain,
        first: nn.Module | None = None,
        norm: nn.Module | None = None,
        before: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.trunk, self.head, self.before = Trunk(between, first, norm), nn.Linear(4, 2), before

    def forward(self, pixels: Tensor) -> Tensor:
        x = pixels.permute(0, 3, 1, 2).float() / 255
        return self.head(self.trunk(x if self.before is None else self.before(x)))


class Shift:
    """A modality whose augmentation shifts brightness; it remembers the seeds that it was given."""

    name, version, changes = "test", "1", "all"

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def size(self, item: Item) -> int:
        return 1

    def prepare(self, item: Item, card_input: object) -> np.ndarray:
        return Noise().batch([item.key])[0].numpy()

    def augment(self, batch: Tensor, seed: int) -> Tensor:
        self.seeds.append(seed)
        return batch // 2 + seed % 100


class Noise:
    def batch(self, keys: Sequence[str]) -> Tensor:
        rows = [np.random.default_rng(int(key)).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for key in keys]
        return torch.from_numpy(np.stack(rows))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def data(keys: range = range(N)) -> Dataset:
    items = tuple(Item(str(i), Path(str(i)), str(i)) for i in keys)
    targets = np.array([i % 2 for i in keys])
    return Dataset("test", items, targets, np.arange(len(items)), Task("t", "classification", ("x", "y")), Shift())


def fit(net: nn.Module, store: Store | None, phase: Train = PHASE, card: Card = CARD, seed: int = 1) -> Trained:
    return train(net, card, phase, data(), prepared=Noise(), seed=seed, store=store)


def apart(first: nn.Module, second: nn.Module) -> float:
    """The largest difference of two nets' tensors."""
    other = second.state_dict()
    return max(float((tensor - other[name]).abs().max()) for name, tensor in first.state_dict().items())


def test_same_weights_as_the_plain_loop_and_the_front_runs_once_a_view(store: Store) -> None:
    start, plain, skipping = Net(), Net(), Net()
    expected, found = fit(plain, None), fit(skipping, store)
    assert apart(start, plain) > 1e-3
    assert apart(plain, skipping) < 1e-6
    assert store.counters["activations_computed"] == 3 * N
    # To find out whether the front may be skipped it ran on one picture, and three times on two: once in training
    # mode, then as it is, then with the front skipped, which gives one picture to what is not skipped.
    assert plain.trunk.counted.seen == 7 * N
    assert skipping.trunk.counted.seen <= 3 * N + 6
    for one, other in zip(expected.history, found.history, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, abs=1e-6)
        assert other.train_accuracy == one.train_accuracy


@pytest.mark.parametrize("rules", [LAST, HEAD], ids=["last stage", "head"])
@pytest.mark.parametrize("norm", ["inference", "train"])
@pytest.mark.parametrize(
    "name", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext", "mobilenetv3_small_050"]
)
def test_real_nets_learn_the_same(name: str, norm: str, rules: tuple[Rule, ...], store: Store) -> None:
    source = load.load(f"random:{name}@{SIDE}")
    phase = replace(PHASE, rules=rules, norm=norm)
    plain, skipping = source.net(2), source.net(2)
    fit(plain, None, phase, source.card)
    fit(skipping, store, phase, source.card)
    assert store.counters["activations_computed"] == 3 * N, "the front was not skipped"
    assert apart(source.net(2), plain) > 1e-3
    assert apart(plain, skipping) < 2e-5


def test_what_comes_next_may_work_in_place(store: Store) -> None:
    plain, skipping = Net(in_place), Net(in_place)
    fit(plain, None)
    fit(skipping, store)
    assert store.counters["activations_computed"] == 3 * N
    assert apart(plain, skipping) < 1e-6


def test_validation_reads_the_clean_view(store: Store) -> None:
    nets = Net(), Net()
    runs = [
        train(net, CARD, PHASE, data(), prepared=Noise(), seed=1, validation=data(range(90, 100)), store=kept)
        for net, kept in zip(nets, (None, store), strict=True)
    ]
    plain, found = ([entry.validation_loss for entry in run.history] for run in runs)
    assert found == pytest.approx(plain, abs=1e-6)
    assert apart(*nets) < 1e-6
    assert store.counters["activations_computed"] == 3 * N + 10


def test_other_rates_and_later_runs_read_what_is_there(store: Store) -> None:
    fit(Net(), store)
    again = Store(store.root)
    fit(Net(), again, replace(PHASE, lr=1e-2))
    assert again.counters["activations_computed"] == 0
    fit(Net(), again, seed=2)  # other augmented views, the same clean one
    assert again.counters["activations_computed"] == 2 * N
    other = Net()
    other.trunk.a[0].weight.data[0, 0, 0, 0] += 1e-3
    fit(other, again)
    assert again.counters["activations_computed"] == 5 * N


def test_a_plan_whose_rate_and_epochs_are_open_runs_the_front_once_a_view(store: Store) -> None:
    source = load.load(f"random:test_resnet@{SIDE}")
    plan = Plan("partial", phases=(replace(PHASE, epochs=None, lr=None),))
    learner = PlanLearner("partial", "transfer", plan, {source.name: source}, store, epochs=5)
    features = FeatureTable({}, store)
    _, inner = learner.resolve(data(), seed=1, features=features)
    assert inner.history
    held = int(hold_out(data().targets, data().groups, INNER, 1).sum())
    assert 0 < held < N
    assert store.counters["activations_computed"] == N + 2 * (N - held), "two rates; the held-out part is never changed"


def test_the_net_is_whole_afterwards(store: Store) -> None:
    net = Net()
    fit(net, store)
    assert not any("forward" in vars(module) for module in net.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert predict(net, data(range(5)), Noise()).shape == (5, 2)


@pytest.mark.parametrize("kill", [0, 1, 3, 5])
def test_killed_and_resumed_is_bit_identical_and_computes_nothing_twice(tmp_path: Path, kill: int) -> None:
    whole, resumed = Net(), Net()
    fit(whole, Store(tmp_path / "one"))
    stores = [Store(tmp_path / "other"), Store(tmp_path / "other")]
    with pytest.raises(KeyboardInterrupt):
        train(
            Net(), CARD, PHASE, data(), prepared=Noise(), seed=1,
            workspace=tmp_path / "run", store=stores[0], step=Killer(after=kill * N + 10),
        )  # fmt: skip
    train(resumed, CARD, PHASE, data(), prepared=Noise(), seed=1, workspace=tmp_path / "run", store=stores[1])
    assert apart(whole, resumed) == 0
    assert sum(store.counters["activations_computed"] for store in stores) == 3 * N


class Killer:
    """A step that interrupts when so many examples are done."""

    def __init__(self, after: float) -> None:
        self.after, self.done = after, 0.0

    def advance(self, units: float = 1) -> None:
        self.done += units
        if self.done > self.after:
            raise KeyboardInterrupt

    def note(self, text: str) -> None: ...
    def epoch(self, measured: object) -> None: ...


def test_killed_while_the_front_runs_what_was_written_stands(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Torn(Noise):
        left = 4  # asked once for the shape, then for three batches

        def batch(self, keys: Sequence[str]) -> Tensor:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
            return super().batch(keys)

    monkeypatch.setattr(prefix, "SHARD", 2 * PHASE.batch * BYTES)
    whole, resumed, again = Net(), Net(), Store(store.root)
    fit(whole, Store(store.root.parent / "whole"))
    with pytest.raises(KeyboardInterrupt):
        train(Net(), CARD, PHASE, data(), prepared=Torn(), seed=1, store=store)
    fit(resumed, again)
    assert store.counters["activations_computed"] == 2 * PHASE.batch
    assert store.counters["activations_computed"] + again.counters["activations_computed"] == 3 * N
    assert apart(whole, resumed) == 0


# --- where the plain loop is the only one, or as good


class Turned(nn.Module):
    """Without parameters, chance or memory, and yet not the same in training."""

    def forward(self, x: Tensor) -> Tensor:
        return 1 - x if self.training else x


def noisy(x: Tensor) -> Tensor:
    return functional.dropout(x, 0.5)


def rarely_noisy(x: Tensor) -> Tensor:
    """Changes next to nothing, but what is drawn later is another number."""
    return functional.dropout(x, 1e-7)


@pytest.mark.parametrize(
    ("make", "phase"),
    [
        pytest.param(Net, replace(PHASE, rules=(Rule("*", 1.0),)), id="everything thaws"),
        pytest.param(Net, replace(PHASE, rules=(Rule("norm", 0.1), *LAST)), id="norms learn"),
        pytest.param(Net, replace(PHASE, rules=(Rule("stage:0", 1.0), Rule("head", 1.0), Rule("*", None))), id="first"),
        pytest.param(Net, replace(PHASE, views=0), id="augmented anew"),
        pytest.param(Net, replace(PHASE, views=6), id="each view comes once"),
        pytest.param(lambda: Net(before=noisy), PHASE, id="chance in the front"),
        pytest.param(lambda: Net(before=rarely_noisy), PHASE, id="chance in the front without a trace"),
        pytest.param(lambda: Net(over), PHASE, id="a way past the boundary"),
        pytest.param(lambda: Net(sized), PHASE, id="the batch is counted before the boundary"),
        pytest.param(lambda: Net(twice), PHASE, id="the boundary is passed twice"),
        pytest.param(lambda: Net(norm=nn.BatchNorm2d(4, track_running_stats=False)), PHASE, id="batch statistics"),
        pytest.param(
            lambda: Net(first=nn.BatchNorm2d(3, affine=False)), replace(PHASE, norm="train"), id="norms adapt"
        ),
        pytest.param(lambda: Net(first=Turned()), PHASE, id="another function in training"),
    ],
)
def test_the_plain_loop_takes_over_and_learns_the_same_bit_for_bit(
    make: Callable[[], Net], phase: Train, store: Store
) -> None:
    plain, other = make(), make()
    fit(plain, None, phase)
    fit(other, store, phase)
    assert store.counters["activations_computed"] == 0
    assert apart(plain, other) == 0


def test_activations_beyond_the_limit_are_computed_each_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix, "LIMIT", 3 * N * BYTES - 1)
    fit(Net(), store)
    assert store.counters["activations_computed"] == 0
    monkeypatch.setattr(prefix, "LIMIT", 3 * N * BYTES)
    fit(Net(), store)
    assert store.counters["activations_computed"] == 3 * N


def test_maps_come_back_as_they_lay_in_memory(store: Store) -> None:
    source = load.load(f"random:test_resnet@{SIDE}")
    net, taken = source.net(2), list[Tensor]()
    net.trunk.layer4.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0]))
    fit(net, store, PHASE, source.card)
    maps = [given for given in taken if len(given) == PHASE.batch]
    assert len(maps) == PHASE.epochs * N // PHASE.batch  # type: ignore[operator]
    assert all(given.is_contiguous(memory_format=torch.channels_last) for given in maps)


# --- views


def views(phase: Train = PHASE, seed: int = 1) -> Views:
    return Views(phase, Noise(), Shift(), seed)


def test_epochs_show_the_clean_view_first_and_come_round() -> None:
    assert views().count == 3
    assert [views().number(epoch) for epoch in range(1, 8)] == [0, 1, 2, 0, 1, 2, 0]
    keys = ["3", "4"]
    assert torch.equal(views().shown(keys, 1, 0), Noise().batch(keys))
    assert torch.equal(views().shown(keys, 2, 0), views().shown(keys, 5, 99))
    assert not torch.equal(views().shown(keys, 2, 0), views().shown(keys, 3, 0))


def test_a_fixed_view_is_of_the_example_alone() -> None:
    first, second = views().fixed(["3", "4", "5"], 1), views().fixed(["5", "3"], 1)
    assert torch.equal(first[[2, 0]], second)
    assert not torch.equal(views(seed=2).fixed(["3"], 1), views().fixed(["3"], 1))


def test_without_augmentation_there_is_one_view_and_without_fixed_views_no_number_of_them() -> None:
    assert views(replace(PHASE, augment=False)).count == 1
    assert views(replace(PHASE, views=0)).count is None
    clean = views(replace(PHASE, augment=False))
    assert torch.equal(clean.shown(["3"], 2, 7), Noise().batch(["3"]))


def test_a_negative_number_of_views_is_refused() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        Train(LAST, views=-1)
