"""Low-rank adapters and the pull to the start: what a phase adds to a net or to its loss, and how it is gone again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.core.plan import Rule, Train
from headstart.core.progress import Silent
from headstart.data.store import Store
from headstart.features.extract import extract
from headstart.features.prepared import Prepared
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.sources.staged import StagedNet
from headstart.strategies.catalog import plan
from headstart.testing.strategies import made
from headstart.training import adapters, groups
from headstart.training.groups import FrozenMovedError
from headstart.training.loop import time_step, train
from headstart.training.plan_learner import PlanLearner, headed
from headstart.training.pull import Pull

SIDE = 64
LORA = Train(rules=(Rule("head", 1.0), Rule("extra:lora", 1.0), Rule("*", None)), epochs=2, lr=0.01, rank=4)
PULLED = Train(rules=(Rule("*", 1.0),), epochs=4, lr=0.01)
DATA = made(("a", "b", "c"))


@pytest.fixture(scope="module")
def tiny() -> Source:
    """A source whose own classes have names."""
    source = load(f"random:test_resnet@{SIDE}")
    return Source(source.card.model_copy(update={"head_classes": tuple(map(str, range(1000)))}), source.model)


def pictures(n: int = 2) -> Tensor:
    chance = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, SIDE, SIDE, 3), generator=chance, dtype=torch.uint8)


def adapter_tensors(net: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in net.named_parameters() if adapters.added(name)}


def descend(net: StagedNet, source: Source, phase: Train, folder: Path) -> StagedNet:
    train(net, source.card, phase, DATA, prepared=Prepared(DATA, source.card.input, Store(folder)), seed=0)
    return net


# Adapters


def test_adapters_change_nothing_at_first_and_are_the_weights_own_at_the_end(tiny: Source) -> None:
    net = tiny.net(3, seed=1).eval()
    nn.init.normal_(net.head.weight)  # type: ignore[arg-type]
    before, names, given = net(pictures()), sorted(net.state_dict()), pictures()
    own = {name: (p, p.stride()) for name, p in net.named_parameters()}
    with adapters.attached(net, tiny.card, 4, seed=0):
        assert torch.equal(net(given), before)
        for name, parameter in adapter_tensors(net).items():
            if name.endswith("up"):
                nn.init.normal_(parameter, std=0.1)
        during = net(given)
        assert not torch.allclose(during, before, rtol=0.01)
    torch.testing.assert_close(net(given), during, rtol=1e-4, atol=1e-5)
    assert sorted(net.state_dict()) == names
    assert {name: (p, p.stride()) for name, p in net.named_parameters()}.keys() == own.keys()
    assert all(p is own[name][0] and p.stride() == own[name][1] for name, p in net.named_parameters())
    assert not any("parametrize" in type(module).__module__ for module in net.modules())


def test_what_is_added_to_a_weight_has_the_rank_and_nothing_else_is_added(tiny: Source, tmp_path: Path) -> None:
    start, net = tiny.net(3).state_dict(), descend(tiny.net(3), tiny, LORA, tmp_path)
    norms = {f"trunk.{norm}" for norm in tiny.card.norms}
    ranks = {}
    for name, parameter in net.named_parameters():
        change = (parameter.detach() - start[name]).flatten(1) if parameter.ndim > 1 else parameter - start[name]
        if name.startswith("trunk.") and change.ndim == 2 and name.rpartition(".")[0] not in norms:
            # Rounding adds noise of full rank to the sum; it is far below what was learned.
            ranks[name] = int(torch.linalg.matrix_rank(change, rtol=1e-3))
        elif name.startswith("trunk."):
            assert not change.any(), name
    assert max(ranks.values()) == 4


def test_layers_that_are_as_thin_as_the_rank_or_depthwise_have_none() -> None:
    source = load(f"random:mobilenetv3_small_050@{SIDE}")
    net = source.net(3)
    convs = {name: m for name, m in net.trunk.named_modules() if isinstance(m, nn.Conv2d)}
    depthwise = {name for name, conv in convs.items() if conv.groups > 1}
    narrow = {name for name, conv in convs.items() if min(conv.weight.flatten(1).shape) <= 8}
    assert depthwise
    assert narrow
    with adapters.attached(net, source.card, 8, seed=0):
        found = {adapters.plain(name).removeprefix("trunk.").removesuffix(".weight") for name in adapter_tensors(net)}
    assert found == convs.keys() - depthwise - narrow


def test_a_transformer_is_adapted_too() -> None:
    source = load(f"random:test_vit@{SIDE}")
    net = source.net(3).eval()
    with adapters.attached(net, source.card, 4, seed=0):
        adapted = adapter_tensors(net)
        assert any(".attn.qkv." in name for name in adapted)
        rows = groups.describe(source.card, net, LORA.rules, "inference")
    assert sum(r.parameters for r in rows if r.rate and r.group != "head") == sum(p.numel() for p in adapted.values())


def test_there_must_be_something_to_adapt(tiny: Source) -> None:
    wanted = r"linear layers or convolutions to adapt, got .* none above rank 5000"
    with pytest.raises(UserError, match=wanted), adapters.attached(tiny.net(3), tiny.card, 5000, seed=0):
        pass


def test_a_rule_for_adapters_needs_adapters_and_adapters_need_a_rule(tiny: Source, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'extra:lora', which matches none"):
        descend(tiny.net(3), tiny, replace(LORA, rank=0), tmp_path)
    frozen = replace(LORA, rules=(Rule("head", 1.0), Rule("*", None)))
    start, net = tiny.net(3).state_dict(), descend(tiny.net(3), tiny, frozen, tmp_path)
    assert all(torch.equal(start[n], t) for n, t in net.state_dict().items() if n.startswith("trunk."))


def test_the_same_seed_gives_the_same_adapters_and_chance_is_left_alone(tiny: Source) -> None:
    def drawn(seed: int) -> Tensor:
        with adapters.attached(net := tiny.net(3), tiny.card, 4, seed=seed):
            return torch.cat([p.detach().flatten() for p in adapter_tensors(net).values()])

    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))
    assert torch.equal(torch.rand(2), expected)


def test_a_frozen_weight_under_an_adapter_that_moves_is_caught(tiny: Source, tmp_path: Path) -> None:
    net = tiny.net(3)
    weight = net.get_parameter("trunk.layer4.0.conv1.weight")

    def meddle(_module: nn.Module, _inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        with torch.no_grad():
            weight.mul_(0.999)

    net.register_forward_hook(meddle)
    with pytest.raises(FrozenMovedError, match=r"layer4\.0\.conv1\.parametrizations\.weight\.original"):
        descend(net, tiny, LORA, tmp_path)


def test_a_step_with_adapters_can_be_timed(tiny: Source) -> None:
    net = tiny.net(3)
    names = sorted(net.state_dict())
    assert time_step(net, tiny.card, LORA, torch.zeros(4, SIDE, SIDE, 3, dtype=torch.uint8)) > 0
    assert sorted(net.state_dict()) == names


# The pull


def test_the_penalty_is_half_the_squared_distance_and_its_gradient_the_distance(tiny: Source) -> None:
    net, strength = tiny.net(3), 0.3
    rates = groups.resolve(tiny.card, net, (Rule("stage:first", None), Rule("*", 1.0)))
    pull = Pull(net, rates, strength)
    assert pull.loss().item() == 0
    moved = net.get_parameter("trunk.layer4.0.conv1.weight")
    with torch.no_grad():
        moved.add_(0.5)
        net.get_parameter("head.weight").add_(1.0)  # type: ignore[union-attr]
        net.get_parameter("trunk.conv1.0.weight").add_(1.0)  # frozen: not its business
    pull.loss().backward()
    assert pull.loss().item() == pytest.approx(strength / 2 * 0.25 * moved.numel(), rel=1e-4)
    assert moved.grad is not None
    torch.testing.assert_close(moved.grad, torch.full_like(moved, strength * 0.5))
    assert net.get_parameter("head.weight").grad is None


def distance(net: StagedNet, start: dict[str, Tensor], part: str) -> float:
    return sum(float((t - start[n]).square().sum()) for n, t in net.state_dict().items() if n.startswith(part)) ** 0.5


def test_the_stronger_the_pull_the_nearer_the_trunk_stays(tiny: Source, tmp_path: Path) -> None:
    start = tiny.net(3).state_dict()
    nets = [descend(tiny.net(3), tiny, replace(PULLED, pull=pull), tmp_path) for pull in (0.0, 1.0, 1000.0)]
    free, pulled, held = (distance(net, start, "trunk.") for net in nets)
    assert held < pulled < free
    assert distance(nets[2], start, "head.") > 0.1 * distance(nets[0], start, "head."), "the head is free"


def test_where_the_trunk_is_pulled_only_the_head_decays(tiny: Source) -> None:
    net = tiny.net(3)
    phase = replace(PULLED, pull=0.1, decay=0.2)
    made_ = groups.optimiser(net, groups.resolve(tiny.card, net, phase.rules), phase, lr=1.0)
    decayed = [p for group in made_.param_groups for p in group["params"] if group["weight_decay"]]
    assert [p is net.head.weight for p in decayed] == [True]


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf")])
def test_a_pull_is_a_number_that_is_not_negative(bad: float) -> None:
    with pytest.raises(ValueError, match="pull"):
        replace(PULLED, pull=bad)


# Both, through kills


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


@pytest.mark.parametrize("name", ["lora", "l2-sp", "gradual", "mlp-head", "co-tuning"])
def test_a_killed_strategy_ends_bit_for_bit_where_it_would_have_ended(name: str, tiny: Source, tmp_path: Path) -> None:
    one, store = plan(name).resolve(epochs=3, lr=1e-3), Store(tmp_path / "store")
    features = extract([tiny], DATA, store, Silent())
    learner = PlanLearner(name, "transfer", one, {tiny.name: tiny}, store)
    whole = learner.fit(DATA, seed=0, features=features).state().arrays
    epochs = sum(p.epochs or 0 for p in one.phases if isinstance(p, Train))
    killed = replace(learner, step=Killer(after=len(DATA) * (epochs - 0.5)))
    with pytest.raises(KeyboardInterrupt):
        killed.fit(DATA, seed=0, features=features, workspace=tmp_path / "work")
    resumed = replace(learner, step=Killer(after=1e9))
    found = resumed.fit(DATA, seed=0, features=features, workspace=tmp_path / "work").state().arrays
    assert all(np.array_equal(whole[key], found[key]) for key in whole)
    stamps = [f.stat().st_mtime_ns for f in (tmp_path / "work").rglob("epoch-*")]
    assert len(stamps) == epochs, "each phase keeps its own epochs"


# The head with a hidden layer


def test_hidden_layers_are_the_plans_and_outputs_the_sources(tiny: Source) -> None:
    one = plan("mlp-head")
    net = headed(tiny.with_head(2, 1), one).net(3)
    assert [tuple(p.shape) for p in net.head.parameters()] == [(256, 96), (256,), (3, 256), (3,)]
    assert headed(tiny, plan("linear")) is tiny
    with pytest.raises(UserError, match="expected a head of 4 outputs"):
        headed(tiny.with_head(2, 1), one).net(4)
    with pytest.raises(UserError, match="expected a linear head, to keep old classes in it"):
        headed(tiny.with_head(keep=True), one)
    for width in (0, -1):
        with pytest.raises(ValueError, match="hidden"):
            replace(one, hidden=(width,))


def test_the_frozen_trunk_under_it_runs_once_for_each_view(tiny: Source, tmp_path: Path) -> None:
    source, (phase,) = headed(tiny, plan("mlp-head")), plan("mlp-head").resolve(epochs=8, lr=1e-3).phases
    assert isinstance(phase, Train)
    seen: list[int] = []
    net = source.net(3)
    net.get_submodule("trunk.layer4").register_forward_hook(lambda _m, _i, out: seen.append(len(out)))
    pixels = Prepared(DATA, source.card.input, Store(tmp_path))
    train(net, source.card, phase, DATA, prepared=pixels, seed=0, store=Store(tmp_path))
    learned = sum(n for n in seen if n > 2)  # what is tried on one or two pictures is the search for the boundary
    assert learned == len(DATA) * (1 + phase.views) < len(DATA) * 8
