"""Frozen means bit-identical, weights and buffers, and it saves the backward pass."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.core.plan import Rule, Train
from headstart.core.problem import Task
from headstart.data.dataset import Dataset, Item
from headstart.sources import load
from headstart.training.groups import FrozenMovedError
from headstart.training.loop import train

SIDE = 32
FROZEN_FRONT = (Rule("head", 1.0), Rule("stage:..-2", None), Rule("*", 1.0))


class Same:
    name, version, changes = "test", "1", "all"

    def size(self, item: Item) -> int:
        return 1

    def prepare(self, item: Item, card_input: object) -> np.ndarray:
        raise NotImplementedError

    def augment(self, batch: Tensor, seed: int) -> Tensor:
        return batch


class Noise:
    def batch(self, keys: Sequence[str]) -> Tensor:
        rows = [np.random.default_rng(int(key)).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for key in keys]
        return torch.from_numpy(np.stack(rows))


def view(n: int = 8) -> Dataset:
    items = tuple(Item(str(i), Path(str(i)), str(i)) for i in range(n))
    return Dataset("test", items, np.arange(n) % 2, np.arange(n), Task("t", "classification", ("x", "y")), Same())


def phase(rules: tuple[Rule, ...], norm: str = "train", decay: float = 0.1) -> Train:
    return Train(rules=rules, epochs=2, lr=0.05, batch=4, norm=norm, decay=decay)  # type: ignore[arg-type]


SOURCE = f"random:resnet10t@{SIDE}"


def snapshot(net: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().reshape(-1).clone() for name, tensor in net.state_dict().items()}


def changed(net: nn.Module, before: dict[str, Tensor]) -> set[str]:
    after = snapshot(net)
    return {name for name in before if before[name].numpy().tobytes() != after[name].numpy().tobytes()}


def test_a_frozen_front_keeps_every_bit_and_the_rest_moves() -> None:
    source = load.load(SOURCE)
    net = source.net(2)
    before = snapshot(net)
    train(net, source.card, phase(FROZEN_FRONT), view(), prepared=Noise(), seed=0)
    last = {f"trunk.{name}" for name in source.card.stages[-1].parameters}
    moving = {name for name in changed(net, before) if "running" not in name and "num_batches" not in name}
    assert moving == last | {"head.weight", "head.bias"}
    norms = {name.rpartition(".")[0] for name in changed(net, before) if name.endswith("running_mean")}
    assert norms
    assert all(any(name.startswith(f"{norm}.") for name in last) for norm in norms), "only norms of the trained stage"


def test_a_frozen_trunk_moves_the_head_alone() -> None:
    source = load.load(SOURCE)
    net = source.net(2)
    before = snapshot(net)
    train(net, source.card, phase((Rule("head", 1.0), Rule("*", None))), view(), prepared=Noise(), seed=0)
    assert changed(net, before) == {"head.weight", "head.bias"}


def test_adapted_norms_have_the_targets_statistics_where_the_net_learns_and_the_sources_elsewhere() -> None:
    source = load.load(SOURCE)
    net, again = source.net(2), source.net(2)
    before = snapshot(net)
    for one in (net, again):
        train(one, source.card, phase(FROZEN_FRONT, "adapt"), view(), prepared=Noise(), seed=0)
    statistics = {name.rpartition(".")[0] for name in changed(net, before) if name.endswith("running_mean")}
    last = {f"trunk.{name}".rpartition(".")[0] for name in source.card.stages[-1].parameters}
    assert statistics
    assert statistics <= last, "only norms of the trained stage"
    assert same_bits(net, again)


def same_bits(one: nn.Module, other: nn.Module) -> bool:
    return not changed(one, snapshot(other))


def test_inference_norms_move_their_weights_and_not_their_statistics() -> None:
    source = load.load(SOURCE)
    net = source.net(2)
    before = snapshot(net)
    train(net, source.card, phase((Rule("*", 1.0),), norm="inference"), view(), prepared=Noise(), seed=0)
    found = changed(net, before)
    assert not any("running" in name or "num_batches" in name for name in found)
    assert any(f"trunk.{norm}.weight" in found for norm in source.card.norms)


class Stubborn(nn.BatchNorm2d):
    """A batch-norm that somebody left in train mode by hand."""

    def forward(self, input: Tensor) -> Tensor:
        self.training = True
        return super().forward(input)


@pytest.mark.parametrize("norm", ["train", "inference"])
def test_a_norm_that_would_move_is_caught(norm: str) -> None:
    source = load.load(SOURCE)
    net = source.net(2)
    name = source.card.norms[0]
    assert f"{name}.weight" in source.card.stages[0].parameters
    parent, _, child = f"trunk.{name}".rpartition(".")
    old = net.get_submodule(f"trunk.{name}")
    stubborn = Stubborn(old.num_features)  # type: ignore[arg-type]
    rules = FROZEN_FRONT if norm == "train" else (Rule("*", 1.0),)  # frozen by a rule, or by the policy of norms
    setattr(net.get_submodule(parent), child, stubborn)
    with pytest.raises(FrozenMovedError, match="running_mean"):
        train(net, source.card, phase(rules, norm=norm), view(), prepared=Noise(), seed=0)


def test_weight_decay_and_a_hand_on_the_weights_are_caught() -> None:
    source = load.load(SOURCE)
    net = source.net(2)
    target = net.get_parameter(f"trunk.{source.card.stages[0].parameters[0]}")

    def meddle(_module: nn.Module, _inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        with torch.no_grad():
            target.mul_(0.999)

    net.register_forward_hook(meddle)
    with pytest.raises(FrozenMovedError, match=r"1 frozen tensors moved"):
        train(net, source.card, phase(FROZEN_FRONT), view(), prepared=Noise(), seed=0)


def test_the_backward_pass_stops_where_the_frozen_front_ends() -> None:
    source = load.load(SOURCE)
    net = source.net(2)
    graph: dict[str, bool] = {}

    def note(name: str) -> None:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            graph.setdefault(name, output.requires_grad)

        net.trunk.get_submodule(name).register_forward_hook(hook)

    for stage in source.card.stages[:-1]:
        note(stage.tap)
    train(net, source.card, phase(FROZEN_FRONT), view(), prepared=Noise(), seed=0)
    assert len(graph) == len(source.card.stages) - 1
    assert not any(graph.values())
