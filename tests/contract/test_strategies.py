"""Every registered strategy and control keeps the contract; so would an outsider's."""

from dataclasses import replace

import pytest

from headstart.advisor.arms import RANDOM_FEATURES, SCRATCH, arms
from headstart.core.plan import Plan, Rule, Solve, Train
from headstart.core.protocols import Role
from headstart.data.store import Store
from headstart.modalities.image.baselines import RAW
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.strategies.catalog import CONTROLS, STRATEGIES, plan
from headstart.testing import check_strategy
from headstart.training.groups import resolve
from headstart.training.plan_learner import PlanLearner

NAMES = (*STRATEGIES.names(), *CONTROLS.names())


@pytest.fixture(scope="module")
def tiny() -> Source:
    return load("random:test_resnet@64")


@pytest.fixture(scope="module")
def knowing(tiny: Source) -> Source:
    """A source whose own classes have names, for the arm that needs no label."""
    outputs = tiny.model.get_submodule(tiny.card.head).out_features
    names = tuple(f"class {i}" for i in range(int(outputs)))
    return Source(tiny.card.model_copy(update={"name": "made:knowing", "head_classes": names}), tiny.model)


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_and_control_keeps_the_contract(name: str, knowing: Source) -> None:
    check_strategy(name, knowing)


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_is_called_as_it_is_registered_and_survives_json(name: str) -> None:
    assert plan(name).name == name
    assert Plan.from_json(plan(name).to_json()) == plan(name)


@pytest.mark.parametrize("name", [n for n in NAMES if not plan(n).closed_form])
@pytest.mark.parametrize("architecture", ["test_resnet@64", "mobilenetv3_small_050@64", "convnext_atto@64"])
def test_gradient_plans_cover_every_parameter_and_train_the_head(name: str, architecture: str) -> None:
    source = load(f"random:{architecture}")
    net = source.net(3)
    for phase in (p for p in plan(name).phases if isinstance(p, Train)):
        rates = resolve(source.card, net, phase.rules)
        assert set(rates) == {n for n, _ in net.named_parameters()}
        assert all(rates[f"head.{part}"] is not None for part in ("weight", "bias"))


def competitors(name: str, source: Source) -> dict[str, PlanLearner]:
    untrained = {n: load(n) for n in (RANDOM_FEATURES, SCRATCH)}
    found = arms(
        [name], sources={source.name: source, "made:other": source}, raw=RAW, untrained=untrained,
        classes=source.card.head_classes[:3], stage=None, store=Store(),
    )  # fmt: skip
    assert not found.skipped
    return {one.name: one for one in (*found.closed, *found.gradient)}


@pytest.mark.parametrize("name", STRATEGIES.names())
def test_every_transfer_strategy_meets_the_controls(name: str, knowing: Source) -> None:
    found = competitors(name, knowing)
    roles: dict[str, Role] = {n: one.role for n, one in found.items()}
    controls = ["majority", "raw", "random-features", "scratch", "scratch-twin"]
    assert roles == {name: "transfer", **dict.fromkeys(controls, "control")}
    assert all(found[n].plan.start == "random" for n, role in roles.items() if role == "control")
    assert all(knowing.name not in found[n].sources for n, role in roles.items() if role == "control")


def test_zero_shot_is_skipped_with_the_reason_where_no_class_is_known(tiny: Source) -> None:
    untrained = {n: load(n) for n in (RANDOM_FEATURES, SCRATCH)}
    found = arms(
        ["zero-shot", "linear"], sources={tiny.name: tiny}, raw=RAW, untrained=untrained, classes=("a", "b"),
        stage=None, store=Store(),
    )  # fmt: skip
    assert [name for name, _ in found.skipped] == ["zero-shot"]
    assert "by name" in found.skipped[0][1]


HEAD_FROZEN = Plan("x", phases=(Train((Rule("head", None), Rule("*", 0.1)), epochs=1, lr=1e-3),))
UNCOVERED = Plan("x", phases=(Train((Rule("head", 1.0),), epochs=1, lr=1e-3),))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Plan("x"), "at least one phase"),
        (HEAD_FROZEN, "head must be trained"),
        (Plan("x", phases=(Solve("ridgy"),)), "no estimator 'ridgy'"),
    ],
)
def test_check_strategy_finds_what_is_wrong(broken: Plan, message: str, tiny: Source) -> None:
    with pytest.raises(AssertionError, match=message):
        check_strategy(broken, tiny)


def test_check_strategy_passes_on_what_the_rules_say(tiny: Source) -> None:
    with pytest.raises(ValueError, match="a rule for every parameter"):
        check_strategy(UNCOVERED, tiny)


def test_check_strategy_refuses_a_control_that_transfers(tiny: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    dishonest = replace(plan("scratch"), start="weights")
    monkeypatch.setattr("headstart.strategies.controls.scratch", lambda: dishonest)
    with pytest.raises(AssertionError, match="may not transfer"):
        check_strategy("scratch", tiny)
