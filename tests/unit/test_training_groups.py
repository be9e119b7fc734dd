"""Rules -> rates, modes and optimiser groups."""

from typing import Literal

import pytest
import torch
from torch import nn

from headstart.core.errors import UserError
from headstart.core.plan import Rule, Train
from headstart.sources.card import Architecture, Card, ImageInput, Licence, Stage
from headstart.training import groups

ALL = (Rule("*", 1.0),)


class Trunk(nn.Module):
    """Three stages; dropout stands between the first two."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.drop = nn.Dropout(0.5)
        self.b = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.c = nn.Sequential(nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.Dropout(0.5))
        self.fc = nn.Linear(5, 7)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.head = nn.Linear(5, 2)


def stage(name: str, dim: int) -> Stage:
    parameters = tuple(f"{name}.{layer}.{kind}" for layer in (0, 1) for kind in ("weight", "bias"))
    return Stage(name=name, tap=name, dim=dim, parameters=parameters)


CARD = Card(
    name="test:net", architecture=Architecture(name="none"),
    input=ImageInput(size=16), head="fc", norms=("a.1", "b.1", "c.1"),
    stages=(stage("a", 4), stage("b", 4), stage("c", 5)),
    licence=Licence(name="Apache-2.0", commercial=True), trained_on=None, parameters=0,
)  # fmt: skip


def rated(*rules: Rule) -> dict[str, float | None]:
    """Rate of the first weight of every part."""
    rates = groups.resolve(CARD, Net(), rules)
    assert list(rates) == [name for name, _ in Net().named_parameters()]
    return {part: rates[f"trunk.{part}.0.weight"] for part in "abc"} | {"head": rates["head.weight"]}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((Rule("head", 1.0), Rule("*", None)), {"a": None, "b": None, "c": None, "head": 1.0}),
        ((Rule("stage:-1", 0.5), Rule("*", 0.1)), {"a": 0.1, "b": 0.1, "c": 0.5, "head": 0.1}),
        ((Rule("stage:0", 0.5), Rule("stage:b", 0.2), Rule("*", 0.1)), {"a": 0.5, "b": 0.2, "c": 0.1, "head": 0.1}),
        ((Rule("stage:..1", None), Rule("*", 0.1)), {"a": None, "b": None, "c": 0.1, "head": 0.1}),
        ((Rule("stage:..-2", None), Rule("*", 0.1)), {"a": None, "b": None, "c": 0.1, "head": 0.1}),
        ((Rule("stage:..b", None), Rule("*", 0.1)), {"a": None, "b": None, "c": 0.1, "head": 0.1}),
        ((Rule("param:b.*", 0.3), Rule("param:head.*", 0.4), *ALL), {"a": 1.0, "b": 0.3, "c": 1.0, "head": 0.4}),
        ((Rule("*", 0.1), Rule("stage:a", 0.9)), {"a": 0.1, "b": 0.1, "c": 0.1, "head": 0.1}),
    ],
)  # fmt: skip
def test_the_first_rule_that_matches_wins(rules: tuple[Rule, ...], expected: dict[str, float | None]) -> None:
    assert rated(*rules) == expected


def test_norm_means_the_parameters_of_normalisation_layers_alone() -> None:
    rates = groups.resolve(CARD, Net(), (Rule("norm", 0.5), Rule("*", None)))
    learning = [name for name, rate in rates.items() if rate is not None]
    assert learning == [f"trunk.{part}.1.{kind}" for part in "abc" for kind in ("weight", "bias")]


def test_the_sources_own_classifier_never_learns() -> None:
    rates = groups.resolve(CARD, Net(), ALL)
    assert rates["trunk.fc.weight"] is None
    assert rates["trunk.c.0.weight"] == 1.0


@pytest.mark.parametrize(
    ("rules", "expected", "came", "do"),
    [
        ((Rule("stage:d", 1.0), *ALL), "the name of a stage", "'d'", "Known: a, b, c"),
        ((Rule("stage:7", 1.0), *ALL), "the name of a stage", "'7'", "Known: a, b, c"),
        ((Rule("param:zzz*", 1.0), *ALL), "a rule that matches a parameter", "'param:zzz*'", "begin with trunk.a.0"),
        ((Rule("haed", 1.0), *ALL), "the place of a rule", "'haed'", "Did you mean head?"),
        ((Rule("extra:x", 1.0), *ALL), "the place of a rule", "'extra:x'", "Did you mean extra:lora?"),
        ((Rule("head", 1.0),), "a rule for every parameter", "trunk.a.0.weight", 'Rule("*", ...)'),
    ],
)
def test_rules_that_do_not_fit_say_so(rules: tuple[Rule, ...], expected: str, came: str, do: str) -> None:
    with pytest.raises(UserError) as caught:
        groups.resolve(CARD, Net(), rules)
    assert expected in caught.value.expected
    assert came in caught.value.came
    assert do in caught.value.do


def modes(*rules: Rule, norm: groups.Norm) -> tuple[Net, set[str]]:
    """The net after `apply`, and the modules that are in eval mode."""
    net = Net()
    rates = groups.resolve(CARD, net, rules)
    groups.apply(net, rates, groups.still_modules(CARD, net, rates, norm))
    return net, {name for name, module in net.named_modules() if not module.training}


def test_frozen_parts_are_still_and_have_no_gradient_even_when_norms_train() -> None:
    net, still = modes(Rule("stage:..a", None), Rule("*", 1.0), norm="train")
    front = {"trunk.a", "trunk.a.0", "trunk.a.1", "trunk.a.2", "trunk.drop"}
    assert still == front | {"trunk.fc"}
    assert [p.requires_grad for p in net.trunk.a.parameters()] == [False] * 4
    assert all(p.requires_grad for p in [*net.trunk.b.parameters(), *net.head.parameters()])


def test_inference_norms_are_still_but_their_weights_learn() -> None:
    net, still = modes(*ALL, norm="inference")
    assert still == {"trunk.a.1", "trunk.b.1", "trunk.c.1", "trunk.fc"}
    assert net.trunk.b[1].weight.requires_grad
    assert net.trunk.b[2].training, "dropout of a trained part is on"


def test_dropout_before_anything_frozen_stays_on() -> None:
    _, still = modes(*ALL, norm="train")
    assert still == {"trunk.fc"}


def test_frozen_affine_of_a_norm_keeps_its_statistics_too() -> None:
    _, still = modes(Rule("norm", None), Rule("*", 1.0), norm="train")
    assert {"trunk.a.1", "trunk.b.1", "trunk.c.1"} <= still
    assert "trunk.a.0" not in still


def test_every_tensor_is_either_fixed_or_moving() -> None:
    net = Net()
    rates = groups.resolve(CARD, net, (Rule("stage:..b", None), Rule("*", 1.0)))
    still = groups.still_modules(CARD, net, rates, "train")
    fixed, moving = groups.fixed_tensors(net, rates, still), groups.moving_tensors(net, rates, still)
    assert set(fixed) | set(moving) == set(net.state_dict())
    assert not set(fixed) & set(moving)
    assert "trunk.b.1.running_mean" in fixed
    assert "trunk.c.1.running_mean" in moving


def test_one_flipped_bit_is_seen() -> None:
    weight = torch.zeros(3)
    before = groups.digests({"w": weight, "count": torch.tensor(0)})
    weight[1] = -0.0  # equal to zero, but another bit pattern
    with pytest.raises(groups.FrozenMovedError, match="1 frozen tensors moved during training: w"):
        groups.assert_unmoved(before, groups.digests({"w": weight, "count": torch.tensor(0)}))


def test_optimiser_groups_have_their_rate_and_decay_only_matrices() -> None:
    net = Net()
    rules = (Rule("head", 1.0), Rule("stage:..a", None), Rule("*", 0.1))
    made = groups.optimiser(net, groups.resolve(CARD, net, rules), Train(rules=rules, decay=0.3), lr=0.5)
    found = {(g["lr"], g["weight_decay"]): sorted({p.ndim for p in g["params"]}) for g in made.param_groups}
    assert found == {(0.05, 0.3): [4], (0.05, 0.0): [1], (0.5, 0.3): [2], (0.5, 0.0): [1]}
    assert all(p is not q for g in made.param_groups for p in g["params"] for q in net.trunk.a.parameters())


def test_sgd_is_sgd_with_momentum() -> None:
    net = Net()
    made = groups.optimiser(net, groups.resolve(CARD, net, ALL), Train(rules=ALL, optimiser="sgd"), lr=1.0)
    assert isinstance(made, torch.optim.SGD)
    assert made.defaults["momentum"] == 0.9


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_one_kernel_steps_all_tensors_as_one_by_one_would(kind: Literal["adamw", "sgd"]) -> None:
    phase = Train(rules=ALL, optimiser=kind)
    fused, plain = (net.to(memory_format=torch.channels_last) for net in (Net(), Net()))  # type: ignore[call-overload]
    plain.load_state_dict(fused.state_dict())
    pair = [groups.optimiser(net, groups.resolve(CARD, net, ALL), phase, lr=0.01) for net in (fused, plain)]
    assert pair[0].defaults["fused"]
    for group in pair[1].param_groups:
        group["fused"] = False
    for _ in range(3):
        for one, other in zip(fused.parameters(), plain.parameters(), strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for made in pair:
            made.step()
    for one, other in zip(fused.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


def test_nothing_to_train_is_an_error() -> None:
    net, rules = Net(), (Rule("*", None),)
    with pytest.raises(UserError, match="expected a rule that trains something, got only frozen parameters"):
        groups.optimiser(net, groups.resolve(CARD, net, rules), Train(rules=rules), lr=1.0)


def test_the_table_for_the_record_adds_up() -> None:
    rules = (Rule("head", 1.0), Rule("stage:a", None), Rule("norm", 0.2), Rule("*", 0.1))
    rows = groups.describe(CARD, Net(), rules, "inference")
    assert [(r.group, r.rate, r.norm) for r in rows] == [
        ("stage:a", None, "frozen"), ("stage:b", 0.1, "none"), ("stage:b", 0.2, "inference"),
        ("stage:c", 0.1, "none"), ("stage:c", 0.2, "inference"), ("head", 1.0, "none"),
    ]  # fmt: skip
    own = Net().trunk.fc
    assert sum(r.parameters for r in rows) == sum(p.numel() for p in Net().parameters()) - sum(
        p.numel() for p in own.parameters()
    )
