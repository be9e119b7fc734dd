"""Before the ladder: groups joined, leaks dropped and named, affordable sources, granted work."""

from dataclasses import replace

import numpy as np
import pytest

from headstart.advisor.budget import (
    EPOCHS,
    Offer,
    affordable_repeats,
    affordable_sources,
    climb_cost,
    grant,
    places,
    trial_cost,
    wish,
)
from headstart.advisor.rules import advice, says
from headstart.advisor.survey import check_trainable, joined, parts
from headstart.core.errors import UserError
from headstart.core.plan import Plan, Rule, Train
from headstart.core.problem import Task
from headstart.core.protocols import Machine
from headstart.data.dataset import Dataset, Item
from headstart.data.inspect import GROUPED, LEAK
from headstart.data.store import Store
from headstart.modalities.image.modality import IMAGE
from headstart.selection.outlook import Outlook, Signs
from headstart.training.plan_learner import PlanLearner


def dataset(n: int, **changes: object) -> Dataset:
    from pathlib import Path

    items = tuple(Item(f"{i}.png", Path(f"{i}.png"), str(i)) for i in range(n))
    facts = {"targets": np.arange(n) % 2, "groups": np.arange(n), "parts": None, **changes}
    return Dataset("d", items, task=Task("class", "classification", ("a", "b")), modality=IMAGE, **facts)


def test_groupings_are_joined_to_the_finest_that_keeps_both_whole() -> None:
    found = joined(np.array([0, 0, 1, 2, 3]), np.array([5, 6, 6, 7, 8]))
    assert found[0] == found[1] == found[2]
    assert len(set(found.tolist())) == 3


def test_a_near_copy_of_a_test_example_is_left_out_of_training_and_named() -> None:
    given = ("train",) * 4 + ("test",) * 2
    train, test, how = parts(
        dataset(6, parts=given, groups=np.array([0, 1, 2, 3, 3, 5]), duplicates=(("3.png", "4.png"),)), 0
    )
    assert how == "given"
    assert test is not None
    assert [i.name for i in train.items] == ["0.png", "1.png", "2.png"]
    assert (train.skipped[0].name, train.skipped[0].why) == ("3.png", LEAK)
    assert "1 training examples left out" in train.warnings[0]


def test_what_is_left_out_for_its_group_alone_is_no_copy() -> None:
    given = ("train",) * 4 + ("test",) * 2
    data = dataset(6, parts=given, groups=np.array([0, 1, 4, 4, 4, 5]), duplicates=(("3.png", "4.png"),))
    train, _, _ = parts(data, 0)
    assert {one.name: one.why for one in train.skipped} == {"2.png": GROUPED, "3.png": LEAK}
    assert train.warnings == (f"1 training examples left out: {LEAK}", f"1 training examples left out: {GROUPED}")
    same = replace(data, duplicates=(), items=(*data.items[:2], replace(data.items[2], key="4"), *data.items[3:]))
    assert {one.name: one.why for one in parts(same, 0)[0].skipped} == {"2.png": LEAK, "3.png": GROUPED}


def test_a_test_part_is_split_off_only_where_there_is_enough() -> None:
    assert parts(dataset(900), 0)[1:] == (None, "none")
    train, test, how = parts(dataset(1200), 0)
    assert how == "split"
    assert test is not None
    assert (len(train), len(test)) == (900, 300)
    assert not set(train.keys) & set(test.keys)


def test_data_that_cannot_be_learned_and_scored_is_refused() -> None:
    with pytest.raises(UserError, match="at least two classes with two examples each, got a: 3, b: 1"):
        check_trainable(dataset(4, targets=np.array([0, 0, 0, 1])))


def test_the_first_source_stays_and_others_must_be_affordable() -> None:
    kept, out = affordable_sources(("a", "b", "c"), 100, {"a": 1.0, "b": 1.0, "c": 0.1}, seconds=320)
    assert kept == ("a", "c")
    assert [(one.name, round(one.minutes, 2)) for one in out] == [("b", 1.67)]


def learner(name: str, role: str, rate: float | None = 1e-3) -> PlanLearner:
    plan = Plan(name, phases=(Train((Rule("*", 1.0),), lr=rate),))
    return PlanLearner(name, role, plan, {f"net of {name}": None}, Store())


MACHINE = Machine(
    {}, {(arm, f"net of {arm}"): s for arm, s in (("lp-ft", 0.03), ("scratch", 0.001), ("finetune", 0.03))}, 0.1
)
ARMS = (learner("lp-ft", "transfer", None), learner("scratch", "control"), learner("finetune", "transfer"))


def test_more_time_buys_more_folds_then_more_arms() -> None:
    n = 300
    granted = {seconds: grant(ARMS, n, MACHINE, seconds) for seconds in (5, 200, 400, 4000)}
    assert [c.arm for c in granted[5][0]] == []
    assert {c.arm for c in granted[400][0]} >= {"lp-ft", "scratch"}
    assert {c.arm for c in granted[4000][0]} == {"lp-ft", "scratch", "finetune"}
    assert granted[4000][1] == ()
    assert sum(c.seconds for c in granted[4000][0]) <= 4000
    tuned = [replace(one, plan=one.plan.resolve(epochs=3, lr=1e-3)) for one in ARMS]
    bought = [places(tuned, n, MACHINE, seconds) for seconds in (5, 100, 200, 4000)]
    assert bought == sorted(bought)
    assert (bought[0], bought[-1]) == ((1, 1), (5, 3))


def test_the_control_comes_first() -> None:
    climbs, out = grant(ARMS, 300, MACHINE, 250)
    assert climbs[0].arm == "scratch"
    assert all(one.minutes > 0 for one in out)


def test_arms_that_chose_few_epochs_leave_room_for_others() -> None:
    seconds = 210
    first, out = grant(ARMS, 300, MACHINE, seconds)
    assert {one.name for one in out} >= {"finetune"}
    short = [
        replace(one, plan=one.plan.resolve(epochs=1, lr=1e-3)) for one in ARMS if one.name in {c.arm for c in first}
    ]
    waiting = [one for one in ARMS if one.name in {left.name for left in out}]
    again, _ = grant(waiting, 300, MACHINE, seconds, short)
    assert "finetune" in {one.arm for one in again}


def test_an_offer_pays_for_all_trials_and_for_the_dearest_that_may_win() -> None:
    few = tuple(replace(one, epochs=4, most=1) for one in ARMS)
    alone = [Offer((one,), 3).seconds(300, MACHINE) for one in few]
    both, trial = Offer(few, 3).seconds(300, MACHINE), trial_cost(few[2], 300, 0.03)
    assert both == pytest.approx(alone[0] + alone[1] + trial)
    assert Offer(few, 3, finalists=2).seconds(300, MACHINE) == pytest.approx(sum(alone))
    assert climb_cost(few[0], 300, MACHINE, 4, 3) == pytest.approx(alone[0])


def test_time_that_is_left_buys_choices() -> None:
    choices = {s: {c.arm: c.choices for c in grant(ARMS, 300, MACHINE, s)[0]} for s in (400, 40000)}
    assert choices[400]["lp-ft"] < choices[40000]["lp-ft"] == 4, "four rates; a net without norms has no norm policy"
    assert choices[40000]["finetune"] == 1, "its plan leaves nothing open but the epochs"


def test_few_examples_are_gone_through_more_often() -> None:
    few, many = (wish(learner("lp-ft", "transfer"), n) for n in (20, 5000))
    assert many.wanted == EPOCHS["lp-ft"].wanted
    assert few.wanted >= EPOCHS["lp-ft"].steps
    assert few.least < few.wanted


def test_tier_0_is_repeated_as_often_as_the_time_allows() -> None:
    assert [affordable_repeats(4, 10.0, left) for left in (-500.0, 0.0, 30.0, 60.0, 600.0)] == [1, 1, 2, 3, 4]
    assert affordable_repeats(1, 1.0, 100.0) == 1


def test_a_rate_left_open_is_paid_for() -> None:
    fixed, open_ = learner("lp-ft", "transfer", 1e-3), learner("lp-ft", "transfer", None)
    assert climb_cost(open_, 100, MACHINE, 2, 1) > climb_cost(fixed, 100, MACHINE, 2, 1)


@pytest.mark.parametrize(
    ("n", "last", "floor", "quadrant"),
    [
        (20, 0.9, 0.6, "small and similar"),
        (20, 0.7, 0.6, "small and different"),
        (20, 0.9, 0.95, "small and different"),
        (500, 0.9, 0.6, "large and similar"),
        (500, 0.7, 0.6, "large and different"),
    ],
)
def test_the_quadrant_follows_what_was_measured(n: int, last: float, floor: float, quadrant: str) -> None:
    signs = Signs(10 * n, 10 * n, 10, best=max(0.8, last), last=last, earlier=0.8, random=floor, control=floor)
    said = advice(signs, Outlook(0.3, settled=False))
    assert (said.p_helps, said.settled, said.n_per_class) == (0.3, False, n)
    assert said.quadrant == quadrant
    assert said.similarity == pytest.approx(last - 0.8)
    assert says(quadrant)
