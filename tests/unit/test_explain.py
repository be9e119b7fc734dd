"""What a plan does to a source, in rows and in sentences; what sets two apart."""

import json
from dataclasses import replace

import pytest

from headstart.cli.main import main
from headstart.core.errors import UserError
from headstart.core.plan import Plan, Rule, Solve, Train
from headstart.report.tables import plan_rows
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.strategies.catalog import CONTROLS, STRATEGIES, plan
from headstart.training.explain import differences, explain

Capture = pytest.CaptureFixture[str]
TINY = "random:test_resnet@64"


@pytest.fixture(scope="module")
def tiny() -> Source:
    return load(TINY)


def test_every_part_is_there_input_to_output_with_what_learns_in_it(tiny: Source) -> None:
    solve, train = explain(plan("partial"), tiny)
    assert (solve.kind, solve.facts["estimator"], solve.parts, solve.rules) == ("solve", "ridge", (), ())
    stages = [f"stage:{name}" for name in tiny.card.stage_names()]
    assert [part.group for part in train.parts] == [*stages, "head"]
    assert [part.rate for part in train.parts] == [None, None, None, 1.0, 1.0, 1.0]
    assert [part.norm for part in train.parts] == ["frozen"] * 3 + ["inference"] * 2 + ["none"]
    assert train.trains == sum(part.parameters for part in train.parts[3:])
    assert train.parts[-1].parameters == 2 * (tiny.card.features + 1)
    assert (train.facts["epochs"], train.facts["norm"]) == (None, "inference")


def test_gradual_unfreezes_a_stage_an_epoch_each_slower_than_the_next(tiny: Source) -> None:
    trains = [view for view in explain(plan("gradual"), tiny) if view.kind == "train"]
    assert [view.facts["epochs"] for view in trains] == [1, 1, 1, None]
    rates = [[part.rate for part in view.parts if part.rate is not None] for view in trains]
    assert [len(row) for row in rates] == [2, 3, 4, 6]
    assert rates[0] == pytest.approx([1 / 2.6, 1])
    assert rates[-1] == pytest.approx([2.6**-4, 2.6**-4, 2.6**-3, 2.6**-2, 1 / 2.6, 1])


def test_adapters_and_hidden_layers_are_counted(tiny: Source) -> None:
    _, lora = explain(plan("lora"), tiny)
    last = [part for part in lora.parts if part.group == "stage:layer4"]
    assert [part.rate for part in last] == [None, 10.0]
    assert last[1].parameters < last[0].parameters / 5
    (hidden,) = explain(plan("mlp-head"), tiny)
    assert hidden.trains == 256 * (tiny.card.features + 1) + 2 * 257


@pytest.mark.parametrize("name", [*STRATEGIES.names(), *CONTROLS.names()])
def test_every_plan_can_be_explained_and_differs_from_itself_in_nothing(name: str, tiny: Source) -> None:
    one = plan(name)
    assert len(explain(one)) == len(explain(one, tiny)) == len(one.phases)
    assert differences(one, one) == differences(one, replace(one, name="x"), tiny) == ()


def test_differences_are_readable_lines(tiny: Source) -> None:
    assert differences(plan("lp-ft"), plan("partial"), tiny) == (
        "train 1, norm: open -> inference",
        "train 1, stage:layer2: rate 0.4 (36,384 parameters, norm measured) -> frozen (36,384 parameters)",
        "train 1, stage:layer3: rate 0.6 (42,432 parameters, norm measured) -> "
        "rate 1 (42,432 parameters, norm inference)",
        "train 1, stage:layer4: rate 1 (267,840 parameters, norm measured) -> "
        "rate 1 (267,840 parameters, norm inference)",
    )
    assert differences(plan("linear"), plan("all-stages")) == (
        "solve 1, stages: last -> *",
        "solve 1, select: best -> concat",
    )
    mine = Plan("a", phases=(Train((Rule("head", 1.0), Rule("*", None)), epochs=3, lr=0.5),))
    other = Plan("b", start="random", phases=(Solve("ridge"), Train((Rule("*", 1.0),), augment=False)), hidden=(8, 4))
    assert differences(mine, other) == (
        "start: weights -> random",
        "hidden layers of the head: none -> 8, 4",
        "solve 1: only in b (estimator ridge, stages last, select best, penalty open)",
        "train 1, epochs: 3 -> open",
        "train 1, lr: 0.5 -> open",
        "train 1, augment: yes -> no",
        "train 1, rules: head rate 1, * frozen -> * rate 1",
    )


def test_a_plan_that_does_not_fit_the_source_says_so(tiny: Source) -> None:
    with pytest.raises(UserError, match="expected the name of a stage"):
        explain(plan("lp-ft"), tiny.cut_at("first"))


def test_the_report_says_what_is_pulled_adapted_and_hidden() -> None:
    said = {
        name: dict(row for _, rows in plan_rows(plan(name)) for row in rows) for name in ("l2-sp", "lora", "mlp-head")
    }
    assert said["l2-sp"]["Pull to the start"] == "0.1"
    assert said["lora"]["Adapters"] == "rank 8"
    assert said["mlp-head"]["Hidden layers of the head"] == "256"
    assert not {"Adapters", "Hidden layers of the head"} & said["l2-sp"].keys()


# The command line


def test_show_prints_rules_or_with_a_source_every_stage(capsys: Capture) -> None:
    assert main(["plan", "show", "gradual"]) == 0
    out = capsys.readouterr().out
    assert "1. solve: estimator ridge" in out
    assert "5. train: epochs open" in out
    assert "stage:-1" in out
    assert main(["plan", "show", "mlp-head", "--source", TINY, "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "hidden layers of the head: 256" in out
    assert "stage:layer4" in out
    assert "267,840" in out
    assert "25,346" in out


def test_show_as_json_is_one_object(capsys: Capture) -> None:
    assert main(["plan", "show", "l2-sp", "--source", TINY, "--json", "--quiet"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["name"], said["start"], said["hidden"], said["source"]) == ("l2-sp", "weights", [], TINY)
    solve, train = said["phases"]
    assert (solve["phase"], train["phase"], train["pull"], train["epochs"]) == ("solve", "train", 0.1, None)
    assert train["rules"] == [{"where": "*", "rate": 1.0}]
    assert [part["group"] for part in train["parts"]][-1] == "head"
    assert main(["plan", "show", "l2-sp", "--json"]) == 0
    bare = json.loads(capsys.readouterr().out)
    assert (bare["source"], bare["phases"][1]["parts"]) == (None, [])


def test_diff_prints_a_line_for_each_difference(capsys: Capture) -> None:
    assert main(["plan", "diff", "linear", "all-stages"]) == 0
    assert capsys.readouterr().out == "solve 1, stages: last -> *\nsolve 1, select: best -> concat\n"
    assert main(["plan", "diff", "scratch", "scratch-twin"]) == 0
    assert capsys.readouterr().out == "scratch and scratch-twin do the same\n"
    assert main(["plan", "diff", "lp-ft", "partial", "--source", TINY, "--json", "-q"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["first"], said["second"], len(said["differences"])) == ("lp-ft", "partial", 4)


def test_an_unknown_plan_is_a_mistake_with_a_near_name(capsys: Capture) -> None:
    assert main(["plan", "show", "gradul"]) == 2
    assert "expected the name of a strategy, got 'gradul'" in (err := capsys.readouterr().err)
    assert "Did you mean gradual" in err
