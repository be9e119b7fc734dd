"""What a user asked for is kept, and said again as commands that ask for the same."""

import importlib.util
import shlex
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import headstart
from headstart import asking
from headstart.api import Result
from headstart.cli.main import main
from headstart.core.record import AskedRecord, Record
from headstart.evaluation.closing import asked, command, next_steps
from headstart.report import tables
from headstart.sources.access import Access

MADE = Path(__file__).parents[1] / "made_run.py"

EVERYTHING = AskedRecord(
    target="the label", text="words; said", kind="multi-label", group="who", test="held out.csv",
    sources=("a:x", "darknet:A.cfg,A.weights"), strategies=("linear", "lp-ft"), stage="-2", minutes=2.5,
    metric="macro_f1", deliver="control", seed=7, licence="any", offline=True, trust=True, allow_missing=("head.*",),
    no_thumbnails=True, self_test=True,
)  # fmt: skip
SAID = {
    "target": "the label", "text": "words; said", "kind": "multi-label", "group": "who", "metric": "macro_f1",
    "sources": ("a:x", "darknet:A.cfg,A.weights"), "strategies": ("linear", "lp-ft"), "seed": 7,
    "access": Access(True, True, True, ("head.*",)),
}  # fmt: skip


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the api is asked by the command line; nothing is done."""
    seen: list[dict[str, Any]] = []

    def called(path: str, **given: Any) -> Any:
        seen.append({"path": path, **given})
        raise KeyboardInterrupt

    api = ModuleType("headstart.api")
    vars(api).update(fit=called, compare=called)
    monkeypatch.setitem(sys.modules, "headstart.api", api)
    monkeypatch.setattr(headstart, "api", api, raising=False)
    return seen


def record() -> Record:
    spec = importlib.util.spec_from_file_location("made_run", MADE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.record()


def retyped(line: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    """What the api is asked when that is typed."""
    words = shlex.split(line)
    assert words[0] == "headstart"
    main([*words[1:], "--quiet"])
    return calls[-1]


def made(**changed: Any) -> Record:
    return Record.model_validate(record().model_dump() | changed)


def test_a_command_asks_for_everything_again(calls: list[dict[str, Any]]) -> None:
    again = retyped(command("fit", "my data.csv", EVERYTHING, out="runs/b"), calls)
    own = {"path": "my data.csv", "test": "held out.csv", "stage": "-2", "minutes": 2.5, "deliver": "control"}
    own |= {"thumbnails": False, "self_test": True}
    expected = {**SAID, **own, "out": Path("runs/b")}
    assert {name: again[name] for name in expected} == expected
    table = retyped(command("compare", "my data.csv", EVERYTHING, seeds="2"), calls)
    assert {name: table[name] for name in SAID} == SAID
    assert table["seeds"] == 2


def test_every_key_of_what_was_asked_is_told_apart_from_its_default() -> None:
    for name, field in AskedRecord.model_fields.items():
        one = AskedRecord.model_validate({name: getattr(EVERYTHING, name)})
        assert command("fit", "d", one) != command("fit", "d", AskedRecord()), name
        assert field.default != getattr(EVERYTHING, name)
    assert command("fit", "d", AskedRecord()) == "headstart fit d"


def test_access_is_said_as_options_are() -> None:
    permitted = asking.permitted(Access(offline=True, any_licence=True, trust=True, allow_missing=("head.*",)))
    assert AskedRecord(**permitted) == AskedRecord(licence="any", offline=True, trust=True, allow_missing=("head.*",))


def test_a_page_repeats_all_of_it_by_the_work_of_the_run(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    again, check = tables.commands(made(asked=EVERYTHING), Path("runs/a b"))
    given = retyped(again, calls)
    assert {name: given[name] for name in SAID} == SAID
    assert (given["replay"], given["out"]) == ("runs/a b/work.json", Path("runs/a b-again"))
    assert check == "headstart verify 'runs/a b'"


def test_the_next_command_asks_for_more_time_or_for_all_strategies(calls: list[dict[str, Any]]) -> None:
    verdict = record().verdict.model_dump() | {"claim": "undecided", "helped": None}
    late = record().candidates[0].model_dump() | {"status": "unaffordable", "score": None}
    short = made(asked=EVERYTHING, verdict=verdict, candidates=[late])
    given = retyped(next_steps(short)[-1], calls)
    assert {name: given[name] for name in SAID} == SAID
    assert (given["minutes"], given["test"]) == (2 * short.budget.minutes, "held out.csv")
    all_ran = made(asked=EVERYTHING, verdict=verdict, candidates=[])
    given = retyped(next_steps(all_ran)[-1], calls)
    assert given["strategies"] == ()
    assert given["sources"] == (*EVERYTHING.sources, "none")  # the controls, without which there is no gain
    assert {name: given[name] for name in ("target", "group", "text")} == {
        "target": "the label", "group": "who", "text": "words; said",
    }  # fmt: skip


def test_a_record_of_before_tells_what_it_can() -> None:
    before = made(tasks=[{"name": "ripe", "kind": "classification", "classes": ["a", "b"]}])
    assert before.asked is None
    assert asked(before) == AskedRecord(target="ripe", minutes=10, seed=3)
    assert asked(made()).target is None  # folders have no columns
    assert "'my data.csv' --target class" in tables.commands(
        made(data=record().data.model_dump() | {"path": "my data.csv"}), Path("runs/x")
    )[0]  # fmt: skip


def test_replayed_work_brings_what_it_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    was = SimpleNamespace(sources=("a:x",), strategies=("linear",), stage="last", minutes=3.0)
    monkeypatch.setattr(asking.work_file, "read", lambda path: SimpleNamespace(asked=was))
    _, said = asking.as_before("work.json", AskedRecord(strategies=("lp-ft",), minutes=10, target="y"))
    assert said == AskedRecord(target="y", sources=("a:x",), strategies=("lp-ft",), stage="last", minutes=3)


def test_a_result_names_the_command(tmp_path: Path) -> None:
    verdict = record().verdict.model_dump() | {"claim": "undecided", "helped": None}
    said = str(Result(made(asked=AskedRecord(target="y", test="t.csv", minutes=1), verdict=verdict), tmp_path))
    assert "--target y" in said
