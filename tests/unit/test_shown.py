"""How objects show themselves: in print, in notebooks, and what a run says to do next."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.advisor.advise import AdviceResult, Row, Static
from headstart.api import Result
from headstart.core.comparison import ComparisonRecord
from headstart.core.record import Record
from headstart.core.said import gain, signed
from headstart.core.shown import Shown
from headstart.evaluation.closing import gained, left_out, next_steps, ranked
from headstart.evaluation.verdict import Comparison
from headstart.metrics.intervals import Interval
from headstart.sources.card import Architecture, Card, ImageInput, Licence, Stage, TrainedOn
from headstart.strategies.catalog import CONTROLS, STRATEGIES, plan

EVIL = "<script>alert('1')</script>"


def record(claim: str = "undecided", **changed: Any) -> Record:
    score = {"value": 0.86, "low": 0.83, "high": 0.89, "level": 0.9, "n": 240, "on": "out-of-fold"}
    arm = {"source": "s:a", "stages": ["last"], "seconds": 12.34, "status": "done", "why": ""}
    linear = arm | {"name": "linear", "role": "transfer", "strategy": "linear", "score": score, "why": EVIL}
    best = linear | {"name": "earlier", "score": score | {"value": 0.9}, "why": "delivered"}
    raw = arm | {"name": "raw", "role": "control", "strategy": "raw", "source": None, "score": score | {"value": 0.95}}
    late = {"role": "transfer", "source": None, "score": None, "status": "unaffordable", "why": "needs 9 minutes"}
    late = [arm | late | {"name": name, "strategy": name} for name in ("lp-ft", "finetune")]
    base = {
        "setting": "inductive",
        "tasks": [{"name": "class", "kind": "classification", "classes": [EVIL, "b"]}],
        "data": {"path": "my photos", "n_train": 240, "n_test": 0, "n_per_class": {EVIL: 120, "b": 120}}
        | {"modality": "image", "fingerprint": "f", "warnings": [EVIL], "skipped": [], "duplicates": []}
        | {"test": "none"},
        "sources": [], "strategy": "earlier", "stages": ["last"], "metric": "accuracy", "score": score, "scores": {},
        "control": None, "gain": None,
        "verdict": {"claim": claim, "helped": None, "transfer": "earlier", "control": "raw"}
        | {"sentence": f"{EVIL} wrong.", "labels_to_decide": 1700},
        "decision": {"delivered": "raw", "role": "control", "rule": "transfer hurt", "p_gain": 0.1, "p_harm": 0.5}
        | {"asked": "auto"},
        "audit": None, "reason": "", "candidates": [raw, linear, best, *late], "stage_curve": [],
        "advice": {"n_per_class": 120, "similarity": 0, "over_random": 0, "quadrant": "small and similar"}
        | {"p_helps": None},
        "calibration": {"temperature": 1, "error_before": 0, "error_after": 0, "on": "out-of-fold"}, "notes": [],
        "budget": {"minutes": 10, "folds": 5, "repeats": 4, "m": 1},
        "seconds": {"read": 0, "extract": 0, "select": 0, "train": 0, "evaluate": 0, "total": 7}, "work_done": {},
        "peak_memory_mb": 1, "seed": 0, "versions": {},
    }  # fmt: skip
    return Record.model_validate(base | changed)


def card() -> Card:
    stage = Stage(name="last", tap="", dim=4, parameters=("w",))
    trained = TrainedOn(name=EVIL, n=1200, kind="image")
    return Card(
        name="wheel:x", architecture=Architecture(name="net"), input=ImageInput(size=32), stages=(stage,), head="fc",
        licence=Licence(name=None, commercial=False), trained_on=trained, parameters=1234,
    )  # fmt: skip


def comparison() -> ComparisonRecord:
    score = {"value": 0.86, "low": 0.83, "high": 0.89, "level": 0.9, "n": 240, "on": "out-of-fold"}
    cell = {"name": "linear@s:a", "source": EVIL, "strategy": "linear", "role": "transfer", "stages": ["last"]}
    cell |= {"score": score, "gain": score | {"value": 0.0001, "low": -0.0004, "high": 0.0413}, "claim": "undecided"}
    made = {"data": record().data.model_dump(), "sources": [], "metric": "accuracy", "folds": 5, "seeds": 1}
    made |= {"epochs": None, "control": None, "cells": [cell], "notes": [], "seconds": 1, "work_done": {}, "seed": 0}
    return ComparisonRecord.model_validate(made | {"versions": {}})


def advice() -> AdviceResult:
    row = Row("linear", "transfer", EVIL, ("last",), 0.8, 0.7, 0.9, 0.25, "the best that was measured")
    return AdviceResult((row,), record().advice, "accuracy", static=(Static("s:a", 75.1, 4_652_008),))


SHOWN = {
    "result": Result(record(), Path("runs/x")),
    "advice": advice(),
    "comparison": comparison(),
    "card": card(),
    "plan": plan("lp-ft"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_notebook_gets_a_piece_of_a_page_that_is_well_formed_and_runs_nothing(name: str) -> None:
    made = SHOWN[name]._repr_html_()
    tags = {element.tag for element in ET.fromstring(made).iter()}
    assert tags <= {"div", "strong", "table", "tr", "th", "td"}
    assert ("&lt;script&gt;" in made) is (name != "plan")
    assert "src=" not in made
    assert "url(" not in made
    assert not re.search(r"(?<!-)color:|background", made)  # the notebook's own, light or dark
    assert len(made) < 20_000


@pytest.mark.parametrize("name", SHOWN)
def test_print_gives_lines_for_people(name: str) -> None:
    lines = str(SHOWN[name]).splitlines()
    assert len(lines) > 2
    assert not any(line.startswith(("ComparisonRecord(", "Plan(", "schema_=", "name=")) for line in lines)


def test_a_table_is_aligned_and_has_a_line_a_row() -> None:
    shown = Shown("Two", (("linear", "1.5"), ("lp-ft", "10.5")), ("arm", "s"), right=("s",), below=("end",))
    assert str(shown) == "Two\narm        s\nlinear   1.5\nlp-ft   10.5\nend"
    assert "text-align:right;" in shown.html()
    assert str(Shown("facts", (("a", "b"),))) == "facts\na  b"


def test_every_plan_that_ships_prints() -> None:
    for name in (*STRATEGIES.builtin, *CONTROLS.builtin):
        one = plan(name)
        said = str(one)
        assert said.startswith(f"{name}, from ")
        assert len(said.splitlines()) > len(one.phases)
    assert "   head  " in str(plan("lp-ft"))


def test_a_card_says_what_sources_show_says() -> None:
    facts = card().facts()
    assert facts["trained on"] == f"{EVIL}, 1,200 examples"
    assert facts["input"] == "32 x 32 RGB, crop 0.875, bicubic"
    assert facts["licence"] == "not stated"
    assert "last (4)" in str(card())


def test_nothing_has_no_sign() -> None:
    assert [signed(number, 1) for number in (-0.04, 0.04, -0.06, 0.06)] == ["0.0", "0.0", "-0.1", "+0.1"]
    assert gain(Interval(0.0001, -0.0004, 0.0413)) == "0.000 [0.000, +0.041]"
    assert gain(None) == "-"
    assert "0.000 [0.000, +0.041]" in str(comparison())


def test_arms_are_ranked_transfer_first_and_others_named_with_their_reason() -> None:
    assert [one.name for one in ranked(record())] == ["earlier", "linear", "raw"]
    assert [one.name for one in ranked(record(metric="log_loss"))] == ["linear", "earlier", "raw"]
    assert left_out(record()) == ("unaffordable: lp-ft, finetune (needs 9 minutes)",)


def test_undecided_says_what_that_means_and_what_may_settle_it() -> None:
    meaning, room, command = next_steps(record())
    assert "room for a gain and for a loss: about 1,700 more labels would decide" in meaning
    assert room == "Next, with more of the time that was short for lp-ft, finetune:"
    assert command == "  headstart fit 'my photos' --minutes 20"
    task = {"name": "ripe", "kind": "classification", "classes": ["a", "b"]}
    verdict = record().verdict.model_dump() | {"labels_to_decide": None}
    scored = [one.model_dump() for one in record().candidates if one.score]
    meaning, _, command = next_steps(record(tasks=[task], candidates=scored, verdict=verdict))
    assert meaning.endswith("more labels would hardly decide.")
    assert command == "  headstart compare 'my photos' --target ripe"


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("log_loss", "Transfer helped: +0.042 of log loss saved [0.010, 0.070] over the raw input alone"),
        ("rmse", "Transfer helped: +0.042 of rmse saved [0.010, 0.070] over the raw input alone"),
        ("accuracy", "Transfer helped: +4.2 points [1.0, 7.0] over the raw input alone"),
    ],
)
def test_a_gain_is_worded_by_its_metric(metric: str, said: str) -> None:
    gain, none = Interval(0.042, 0.01, 0.07), Interval(0.5, 0.4, 0.6)
    judged = Comparison(
        transfer="linear", control="raw", gain=gain, of_control=none, claim="helped", p_gain=1.0,
        p_harm=0.0, index=np.arange(9), labels_to_decide=None,
    )  # fmt: skip
    assert gained(judged, metric, levelled=True, rival=None) == said


def test_a_loss_says_what_was_delivered_and_a_gain_needs_no_more() -> None:
    assert next_steps(record("helped")) == ()
    assert next_steps(record("hurt")) == ("Delivered instead: raw, which takes nothing from a source.",)
    asked = record().decision.model_dump() | {"delivered": "linear", "role": "transfer", "rule": "--deliver transfer"}
    assert next_steps(record("hurt", decision=asked)) == (
        "Delivered all the same, as --deliver transfer asked: linear.",
    )
    said = str(Result(record(), Path("runs/x")))
    assert "Next, with more of the time that was short for lp-ft, finetune:" in said
    assert said.endswith("7 s, runs/x")
