"""Plans round-trip, registries guide, errors say three things, records validate."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headstart.core.errors import UserError, did_you_mean
from headstart.core.extras import require
from headstart.core.plan import Plan, Rule, Solve, Train
from headstart.core.registry import Registry
from headstart.sources.stages import resolve

RATES = st.none() | st.floats(1e-6, 10, allow_nan=False)
RULES = st.lists(st.builds(Rule, st.sampled_from(["head", "stage:-1", "norm", "*"]), RATES), min_size=1, max_size=4)
PHASES = st.one_of(
    st.builds(Solve, st.sampled_from(["ridge", "prototype"]), penalty=RATES),
    st.builds(Train, RULES.map(tuple), epochs=st.none() | st.integers(1, 50), lr=RATES),
)


@given(st.builds(Plan, st.text(min_size=1, max_size=8), phases=st.lists(PHASES, max_size=3).map(tuple)))
def test_plans_round_trip_through_json(plan: Plan) -> None:
    assert Plan.from_json(plan.to_json()) == plan


def test_resolving_fills_only_what_was_open() -> None:
    open_, fixed = Train((Rule("*", 1.0),)), Train((Rule("*", 1.0),), epochs=3, lr=0.5)
    resolved = Plan("p", phases=(Solve("ridge"), open_, fixed)).resolve(epochs=7, lr=0.1)
    assert [(p.epochs, p.lr) for p in resolved.phases[1:]] == [(7, 0.1), (3, 0.5)]


def test_a_rate_of_zero_is_refused_with_the_way_to_freeze() -> None:
    with pytest.raises(ValidationError, match="None freezes"):
        Rule("head", 0.0)


def test_unknown_keys_of_a_plan_are_refused() -> None:
    with pytest.raises(ValidationError):
        Plan.from_json(json.dumps({"name": "x", "phases": [], "epoch": 3}))


def test_registry_offers_near_names() -> None:
    registry = Registry("strategy", {"linear": "headstart.core.plan:Plan"}, "headstart.none")
    assert registry.load("linear") is Plan
    with pytest.raises(UserError, match=r"name of a strategy, got 'liner'\nDid you mean linear\?"):
        registry.load("liner")


def test_names_that_resemble_nothing_are_answered_with_a_list() -> None:
    assert did_you_mean("zzz", ["b", "a"]) == "Known: a, b."


def test_a_missing_optional_package_says_what_to_install() -> None:
    with pytest.raises(UserError, match=r"pip install 'headstart\[words\]'"):
        require("no_such_package_here", "words")
    assert require("json", "words") is json


STAGES = ("stem", "blocks.0", "blocks.1", "head")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("last",), ("head",)),
        (("first",), ("stem",)),
        (("-2",), ("blocks.1",)),
        (("..-2",), STAGES[:3]),
        (("..blocks.0",), STAGES[:2]),
        (("*",), STAGES),
        (("head", "stem"), ("stem", "head")),
    ],
)
def test_stage_names_resolve(names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert resolve(names, STAGES) == expected


@pytest.mark.parametrize("name", ["blocks.7", "9", "..nowhere"])
def test_a_stage_that_is_not_there_is_told_the_ones_that_are(name: str) -> None:
    with pytest.raises(UserError, match="name of a stage"):
        resolve((name,), STAGES)
