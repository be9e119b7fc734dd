"""What a plan leaves open: which choices there are, and that halving keeps the best without training twice."""

from dataclasses import dataclass, replace

import pytest

from headstart.core.plan import Plan, Rule, Train
from headstart.data.store import Store
from headstart.sources.load import load
from headstart.training.plan_learner import PlanLearner
from headstart.training.trials import NORMS, RATES, SMALL_RATES, Choice, choices, epochs_run, halving, rungs

OPEN = Plan("open", phases=(Train((Rule("*", 1.0),), norm=None),))


def fixed(**changes: object) -> Plan:
    return replace(OPEN, phases=(replace(OPEN.phases[0], **changes),))


def test_only_what_is_open_is_tried_and_the_plans_own_numbers_stay() -> None:
    assert len(choices(OPEN, statistics=True)) == len(RATES) * len(NORMS)
    assert len(choices(OPEN, statistics=False)) == len(RATES)
    (only,) = choices(fixed(lr=3e-3, norm="train"), statistics=True)
    (phase,) = only.of(fixed(lr=3e-3, norm="train", epochs=7), 2).phases
    assert (phase.lr, phase.norm, phase.epochs) == (3e-3, "train", 7)
    (phase,) = Choice(1e-4, "train").of(OPEN, 2).phases
    assert (phase.lr, phase.norm, phase.epochs) == (1e-4, "train", 2)
    assert OPEN.open
    assert not Choice(1e-4, "train").of(OPEN, 2).open


def test_nets_with_layer_norms_are_tried_at_smaller_rates() -> None:
    small = choices(OPEN, statistics=False, layer_norms=True)
    assert tuple(one.rate for one in small) == SMALL_RATES
    (only,) = choices(fixed(lr=3e-3), statistics=False, layer_norms=True)
    assert only.of(fixed(lr=3e-3), 2).phases[0].lr == 3e-3


def test_a_learner_looks_for_layer_norms_in_its_nets() -> None:
    for name, rates in (("random:text-cnn", RATES), ("random:convnext_atto@32", SMALL_RATES)):
        learner = PlanLearner("made", "transfer", OPEN, {name: load(name)}, Store())
        assert {one.rate for one in learner.choices} == set(rates)


@dataclass
class Bench:
    """A training that is a loss a choice and epoch."""

    losses: dict[float, list[float]]
    log: list[tuple[float, int]]

    def run(self, choice: Choice, until: int) -> tuple[float, int]:
        self.log.append((choice.rate, until))
        return choice.rate, until

    def loss(self, net: tuple[float, int]) -> float:
        rate, until = net
        return self.losses[rate][until - 1]


def test_a_third_goes_on_and_the_best_at_the_end_wins() -> None:
    steep, flat, poor, worst = ([10 - k * e for e in range(8)] for k in (1.0, 0.5, 0.2, 0.1))
    bench = Bench({1.0: poor, 2.0: flat, 3.0: steep, 4.0: worst}, [])
    tried = [Choice(rate, "inference") for rate in (1.0, 2.0, 3.0, 4.0)]
    best, net = halving(tried, 8, bench.run, bench.loss)
    assert (best.rate, net) == (3.0, (3.0, 8))
    assert bench.log == [(1.0, 2), (2.0, 2), (3.0, 2), (4.0, 2), (3.0, 4), (2.0, 4), (3.0, 8)]


def test_one_choice_trains_once_to_the_end_of_each_rung() -> None:
    bench = Bench({1.0: [1.0] * 5}, [])
    best, _ = halving([Choice(1.0, "train")], 5, bench.run, bench.loss)
    assert best.rate == 1.0
    assert bench.log[-1] == (1.0, 5)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
def test_the_cost_is_what_the_rungs_train(count: int) -> None:
    done, total = 0, 0
    for many, reached in rungs(count, 12):
        total, done = total + many * (reached - done), reached
    assert epochs_run(count, 12) == total
    assert rungs(count, 12)[-1] == (1, 12)
