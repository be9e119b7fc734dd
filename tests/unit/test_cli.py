"""The command line: what it passes on, what it prints where, and what a mistake becomes."""

import importlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

import headstart
from headstart.advisor.advise import AdviceResult, Row, Static
from headstart.cli import advise as advise_
from headstart.cli import compare as compare_
from headstart.cli import fit as fit_
from headstart.cli import options, output
from headstart.cli import progress as progress_
from headstart.cli.fit import default_out
from headstart.cli.main import main
from headstart.core.comparison import ComparisonRecord
from headstart.core.errors import UserError
from headstart.core.record import Record
from headstart.saved import Prediction
from headstart.sources.access import Access

Capture = pytest.CaptureFixture[str]


def _record() -> Record:
    score = {"value": 0.86, "low": 0.83, "high": 0.89, "level": 0.9, "n": 240, "on": "out-of-fold"}
    arm = {"source": "s:a", "stages": ["last"], "estimate": 0.8, "seconds": 12.34, "status": "done", "why": "best"}
    linear = arm | {"name": "linear", "role": "transfer", "strategy": "linear", "score": score}
    gain = {"value": 0.2, "low": 0.1, "high": 0.3}
    saved = {
        "ratio": {"value": 4.0, "low": 2.0, "high": 8.0},
        "most": 8.0,
        "score": 0.8,
        "transfer": 48,
        "control": 192,
    }
    curve = {"transfer": "linear", "control": "raw", "level": 0.9, "points": [], "jumpstart": gain, "at_all": gain}
    curve |= {"beyond": None, "area_ratio": gain, "saved": saved}
    measures = {"curve": curve, "why_none": "", "priced": None, "prices": [], "threshold": None, "seconds": 1}
    zero = arm | {"name": "zero-shot", "role": "transfer", "strategy": "zero-shot", "score": None, "status": "skipped"}
    return Record.model_validate(
        {
            "setting": "inductive",
            "tasks": [{"name": "class", "kind": "classification", "classes": ["a", "b"]}],
            "data": {"path": "photos", "n_train": 240, "n_test": 0, "n_per_class": {"a": 120, "b": 120}}
            | {"modality": "image", "fingerprint": "f", "warnings": ["two\x1b[2J files skipped"], "skipped": []}
            | {"duplicates": [], "test": "none"},
            "sources": [],
            "strategy": "linear",
            "stages": ["last"],
            "metric": "accuracy",
            "score": score,
            "scores": {},
            "control": None,
            "gain": None,
            "verdict": {"claim": "helped", "helped": True, "transfer": "linear", "control": "raw"}
            | {"sentence": "Transfer helped.", "labels_to_decide": None},
            "decision": {"delivered": "linear", "role": "transfer", "rule": "gain is likely", "p_gain": 1.0}
            | {"p_harm": 0.0, "asked": "auto"},
            "audit": None,
            "reason": "",
            "candidates": [linear, zero],
            "stage_curve": [],
            "advice": {"n_per_class": 120, "similarity": 0, "over_random": 0, "quadrant": "small", "p_helps": None},
            "measures": measures,
            "calibration": {"temperature": 1, "error_before": 0, "error_after": 0, "on": "out-of-fold"},
            "notes": [],
            "budget": {"minutes": 10, "folds": 5, "repeats": 4, "m": 1},
            "seconds": {"read": 0, "extract": 0, "select": 0, "train": 0, "evaluate": 0, "total": 0},
            "work_done": {},
            "peak_memory_mb": 1,
            "seed": 0,
            "versions": {},
        }
    )


def _comparison() -> ComparisonRecord:
    score = {"value": 0.86, "low": 0.83, "high": 0.89, "level": 0.9, "n": 240, "on": "out-of-fold"}
    gain = score | {"value": 0.041, "low": -0.012, "high": 0.094}
    cell = {"name": "linear@s:a", "source": "s:a", "strategy": "linear", "role": "transfer", "stages": ["last"]}
    raw = {"name": "raw@none", "source": "none", "strategy": "raw", "role": "control", "why": "the strongest control"}
    lost = cell | {"name": "lp-ft@s:a", "strategy": "lp-ft", "status": "failed", "why": "the loss is not finite"}
    measured = cell | {"score": score, "gain": gain, "claim": "undecided", "seconds": 12.34}
    return ComparisonRecord.model_validate(
        {
            "data": _record().data.model_dump(),
            "sources": [],
            "metric": "accuracy",
            "folds": 5,
            "seeds": 3,
            "epochs": None,
            "control": "raw@none",
            "cells": [measured, raw | {"score": score}, lost],
            "notes": ["within\x1b[2J this budget"],
            "seconds": 20,
            "work_done": {},
            "seed": 0,
            "versions": {},
        }
    )


def _fake(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    """Put a module with these members where a command imports it."""
    module = ModuleType(f"headstart.{name}")
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, f"headstart.{name}", module)
    parent, _, last = name.rpartition(".")
    holder = importlib.import_module(f"headstart.{parent}") if parent else headstart
    monkeypatch.setattr(holder, last, module, raising=False)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """An api that notes how it was called."""
    seen: list[dict[str, Any]] = []

    def fit(path: str, **asked: Any) -> Any:
        seen.append({"path": path, **asked})
        with asked["progress"].step("read", total=2) as step:
            step.advance(2)
            step.note("2 files")
        return SimpleNamespace(record=_record(), run=asked["out"])

    def advise(path: str, **asked: Any) -> Any:
        seen.append({"path": path, **asked})
        row = Row("linear", "transfer", "s:a", ("last",), 0.8, 0.7, 0.9, 0.25, "the best that was measured")
        advice_ = _record().advice.model_copy(update={"quadrant": "small and similar"})
        static = (Static("s:a", 75.1, 4_652_008),)
        return AdviceResult((row,), advice_, "accuracy", static=static, warnings=("few labels",))

    def compare(path: str, **asked: Any) -> Any:
        seen.append({"path": path, **asked})
        return _comparison()

    def load(run: str) -> Any:
        seen.append({"run": run})
        one = Prediction("x.jpg", "a", 0.75, {"a": 0.75, "b": 0.25})
        return SimpleNamespace(answers=lambda files, progress: [one for _ in files])

    _fake(monkeypatch, "api", fit=fit, advise=advise, compare=compare, load=load)
    return seen


def test_fit_passes_everything_on(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    given = ["fit", "photos", "--target", "label", "--source", "a:x,b:y", "--source", "c:z", "--strategy", "linear"]
    given += ["--stage", "last", "--minutes", "2.5", "--metric", "macro_f1", "--test", "held", "--group", "who"]
    given += ["--deliver", "control", "--out", str(tmp_path), "--seed", "7", "--replay", "work.json"]
    given += ["--licence", "any", "--no-thumbnails", "--self-test", "--track", "wandb", "--quiet"]
    assert main(given) == 0
    (asked,) = calls
    asked.pop("progress")
    assert asked == {
        "path": "photos",
        "target": "label",
        "text": None,
        "kind": None,
        "sources": ("a:x", "b:y", "c:z"),
        "strategies": ("linear",),
        "stage": "last",
        "minutes": 2.5,
        "metric": "macro_f1",
        "test": "held",
        "group": "who",
        "deliver": "control",
        "out": tmp_path,
        "seed": 7,
        "replay": "work.json",
        "access": Access(any_licence=True),
        "thumbnails": False,
        "self_test": True,
        "track": "wandb",
    }


def test_fit_prints_one_line_of_its_self_test(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    claims = {"draws": 20, "claims": 0, "value": 0, "low": 0, "high": 0.14, "level": 0.9, "may": 0.1}
    said = {"same": claims, "lot": claims, "excessive": False, "sentence": "Self-test: 0 of 20 draws."}
    record = Record.model_validate({**_record().model_dump(), "self_test": said})
    _fake(monkeypatch, "api", fit=lambda path, **asked: SimpleNamespace(record=record, run=asked["out"]))
    assert main(["fit", "photos"]) == 0
    assert "\nSelf-test: 0 of 20 draws.\n" in capsys.readouterr().out


def test_fit_prints_results_and_progress_apart(calls: list[dict[str, Any]], capsys: Capture) -> None:
    assert main(["fit", "photos"]) == 0
    out, err = capsys.readouterr()
    for expected in (
        "0.860 [0.830, 0.890]",
        "12.3",
        "skipped",
        "Transfer helped.",
        "linear needs 48 labels to score what raw does with 192 (80.0 %).",
        "delivered: linear (transfer; gain is likely)",
        str(Path("runs/photos/report.html")),
    ):
        assert expected in out, expected
    assert out.index("skipped") < out.index("Transfer helped.") < out.index("report.html")
    assert "\x1b" not in out
    assert "read (2) ..." in err
    assert "2 files" in err


@pytest.mark.parametrize("given", [["--quiet"], ["--json"], []])
def test_progress_leaves_standard_output_alone_and_quiet_shows_none(
    given: list[str], calls: list[dict[str, Any]], capsys: Capture
) -> None:
    assert main(["fit", "photos", *given]) == 0
    out, err = capsys.readouterr()
    assert "read (2)" not in out
    assert ("read (2)" in err) is (given != ["--quiet"])
    assert "\x1b" not in out + err
    if given == ["--json"]:
        assert json.loads(out)["verdict"]["claim"] == "helped"
    else:
        assert "Transfer helped." in out


def test_a_narrow_terminal_shows_names_scores_and_seconds(
    calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Console(file=io.StringIO(), force_terminal=True, width=72, no_color=True, highlight=False, markup=False)
    for module in (output, fit_):
        monkeypatch.setattr(module, "console", lambda: made)
    assert main(["fit", "photos", "--quiet"]) == 0
    said = Text.from_ansi(made.file.getvalue()).plain.splitlines()  # type: ignore[attr-defined]
    head, row = (next(line for line in said if word in line) for word in ("[interval]", "linear  "))
    assert max(map(len, said)) <= 72
    assert head.split() == ["name", "source", "accuracy", "[interval]", "seconds", "why"]
    assert row.split() == ["linear", "s:a", "0.860", "[0.830,", "0.890]", "12.3", "best"]


def test_compare_passes_everything_on_and_prints_a_table(
    calls: list[dict[str, Any]], capsys: Capture, tmp_path: Path
) -> None:
    given = ["compare", "photos", "--target", "label", "--sources", "a:x,none", "--strategies", "linear,lp-ft"]
    given += ["--seeds", "2", "--epochs", "4", "--metric", "macro_f1", "--group", "who", "--out", str(tmp_path)]
    assert main([*given, "--seed", "7", "--licence", "any", "--quiet"]) == 0
    (asked,) = calls
    asked.pop("progress")
    assert asked == {
        "path": "photos",
        "target": "label",
        "text": None,
        "kind": None,
        "sources": ("a:x", "none"),
        "strategies": ("linear", "lp-ft"),
        "seeds": 2,
        "epochs": 4,
        "metric": "macro_f1",
        "group": "who",
        "out": tmp_path,
        "seed": 7,
        "access": Access(any_licence=True),
    }
    out = capsys.readouterr().out
    for expected in (
        "0.860 [0.830, 0.890]",
        "+0.041 [-0.012, +0.094] 12.3 undecided",
        "the strongest control",
        "the loss is not finite",
        "240 photos, 5 folds on each of 3 maps",
        "note: within",
        f"report: {tmp_path / 'report.html'}",
    ):
        assert expected in " ".join(out.split()), expected
    assert "\x1b" not in out


def test_a_narrow_terminal_shows_the_gains_of_a_comparison(
    calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Console(file=io.StringIO(), force_terminal=True, width=72, no_color=True, highlight=False, markup=False)
    for module in (output, compare_, advise_):
        monkeypatch.setattr(module, "console", lambda: made)
    assert main(["compare", "photos", "--quiet"]) == 0
    assert main(["advise", "photos", "--quiet"]) == 0
    said = [line.split() for line in Text.from_ansi(made.file.getvalue()).plain.splitlines()]  # type: ignore[attr-defined]
    assert ["source", "strategy", "accuracy", "gain", "[interval]"] in said
    assert ["s:a", "linear", "0.860", "+0.041", "[-0.012,", "+0.094]", "undecided"] in said
    assert ["strategy", "source", "accuracy", "[interval]", "minutes", "reason"] in said


def test_a_comparison_has_a_folder_by_the_name_of_its_data(calls: list[dict[str, Any]]) -> None:
    assert main(["compare", "to/photos/", "--source", "a:x", "--strategy", "linear"]) == 0  # as fit spells them
    assert (calls[0]["out"], calls[0]["sources"]) == (Path("comparisons/photos"), ("a:x",))
    assert (calls[0]["seeds"], calls[0]["epochs"], calls[0]["strategies"]) == (3, None, ("linear",))


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (["fit", "photos", "--json"], "schema"),
        (["compare", "photos", "--json"], "cells"),
        (["advise", "photos", "--json"], "rows"),
        (["predict", "run", "x.jpg", "--json"], "predictions"),
    ],
)
def test_json_is_the_only_thing_on_standard_output(
    given: list[str], key: str, calls: list[dict[str, Any]], capsys: Capture
) -> None:
    assert main(given) == 0
    assert key in json.loads(capsys.readouterr().out)


def test_advise_and_predict_print_tables(calls: list[dict[str, Any]], capsys: Capture) -> None:
    assert main(["advise", "photos", "--minutes", "1"]) == 0
    assert main(["predict", "runs/photos", "x.jpg", "y.jpg"]) == 0
    out = capsys.readouterr().out
    measured = "Measured: small and similar (120 labels a class"
    for expected in ("0.800 [0.700, 0.900]", "the best that was measured", measured, "note: few labels"):
        assert expected in out, expected
    assert out.count("0.750") == 2
    assert calls[0]["minutes"] == 1
    assert calls[1] == {"run": "runs/photos"}


def test_report_is_written_and_opened(capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    (tmp_path / "record.json").write_text(_record().to_json())
    page, kept = tmp_path / "report.html", tmp_path / "exhibits.json"
    assert main(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    assert "Transfer helped." in page.read_text()
    kept.write_text("{}")
    assert main(["report", str(tmp_path), "--open"]) == 0
    assert kept.exists()
    assert opened == [page.as_uri()]
    assert main(["report", str(tmp_path), "--no-thumbnails"]) == 0
    assert kept.exists()  # it is left out of the page, and may come back
    assert "Transfer helped." in page.read_text()
    assert main(["report", str(tmp_path / "none")]) == 2
    assert "expected the folder of a finished run" in capsys.readouterr().err


def test_several_runs_have_one_page(capsys: Capture, tmp_path: Path) -> None:
    runs = [tmp_path / name for name in ("one", "two")]
    for run in runs:
        run.mkdir()
        (run / "record.json").write_text(_record().to_json())
    assert main(["report", *map(str, runs)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'side-by-side.html'}\n"
    assert main(["report", *map(str, runs), "--out", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").read_text() == (tmp_path / "side-by-side.html").read_text()
    assert main(["report", str(runs[0]), "--out", str(tmp_path / "page.html")]) == 2
    assert "expected at least two runs, got 1" in capsys.readouterr().err


@pytest.mark.parametrize(("equal", "status"), [(True, 0), (False, 1)])
def test_verify_tells_by_its_status(equal: bool, status: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    row = SimpleNamespace(what="score.low", recorded=0.83, recomputed=0.83 if equal else 0.8, equal=equal)
    _fake(monkeypatch, "evaluation.verify", verify=lambda run: SimpleNamespace(ok=equal, rows=(row,)))
    assert main(["verify", "runs/photos"]) == status
    assert ("every number is reproduced" if equal else "1 of 1 numbers differ") in capsys.readouterr().out
    assert main(["verify", "runs/photos", "--json"]) == status
    assert json.loads(capsys.readouterr().out)["ok"] is equal


@dataclass(frozen=True)
class _Entry:
    name: str
    availability: str
    licence: str = "Apache-2.0"
    trained_on: str = "ImageNet-1k"
    n: int | None = 1281167
    note: str = ""
    form: bool = False


def test_sources_are_listed_by_pattern(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def known() -> tuple[_Entry, ...]:
        wheels = _Entry("wheel:lite0", "cached"), _Entry("wheel:lite1", "packaged")
        return (*wheels, _Entry("random:ARCH[@SIZE]", "made", "", "nothing", None, form=True))

    _fake(monkeypatch, "sources.catalog", known=known)
    assert main(["sources", "list"]) == 0
    out = capsys.readouterr().out
    assert "1,281,167" in out
    assert "not stated" in out
    assert main(["sources", "list", "wheel:*", "--offline", "--json"]) == 0
    assert [e["name"] for e in json.loads(capsys.readouterr().out)["sources"]] == ["wheel:lite0"]
    assert main(["sources", "list", "random:resnet10t"]) == 0
    assert "random:ARCH[@SIZE]" in capsys.readouterr().out
    assert main(["sources", "list", "whel:lite0"]) == 2
    assert "expected the name of a source, or a pattern, got 'whel:lite0'\n" in (err := capsys.readouterr().err)
    assert "Did you mean wheel:lite0" in err


def test_cache_says_where_and_how_much_and_is_cleared(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    cleared: list[bool] = []
    store = SimpleNamespace(root=tmp_path, size=lambda: 1_500_000, clear=lambda: cleared.append(True))
    _fake(monkeypatch, "data.store", Store=lambda: store)
    assert main(["cache", "info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"path": str(tmp_path), "bytes": 1_500_000}
    assert main(["cache", "info"]) == 0
    assert cleared == []
    assert main(["cache", "clear"]) == 0
    assert cleared == [True]
    assert capsys.readouterr().out == f"{tmp_path}\n1.5 MB\nfreed 1.5 MB\n"


@pytest.mark.parametrize(
    ("given", "expected", "do"),
    [
        (["fti", "photos"], "expected the name of a command, got 'fti'", "Did you mean fit?"),
        (["zzz"], "expected the name of a command, got 'zzz'", "Known: advise, bench, cache, compare,"),
        (["sources", "lst"], "expected the name of a command, got 'lst'", "Did you mean list?"),
        (["plan", "shw"], "expected the name of a command, got 'shw'", "Did you mean show?"),
        (["plan", "diff", "lp-ft"], "Missing argument 'B'", "See: headstart plan diff --help"),
        (["plan", "show", "lp-ft", "--sorce", "x"], "expected an option of headstart plan show", "mean --source?"),
        (["fit", "x", "--sorce", "y"], "expected an option of headstart fit, got --sorce", "Did you mean --source?"),
        (["fit", "x", "--xyzzy"], "expected an option of headstart fit, got --xyzzy", "See: headstart fit --help"),
        (["--versoin"], "expected an option of headstart, got --versoin", "Did you mean --version?"),
        (
            ["fit", "x", "--deliver", "transfr"],
            "expected --deliver auto|transfer|control, got 'transfr'",
            "Did you mean transfer?",
        ),
        (["fit", "x", "--licence", "all"], "expected --licence any, got 'all'", "Known: any."),
        (["fit", "x", "--minutes", "0"], "expected --minutes above zero, got 0", "such as --minutes 10"),
        (["fit", "x", "--minutes", "nan"], "expected --minutes above zero, got nan", "such as --minutes 10"),
        (["fit", "x", "--minutes", "ten"], "Invalid value for '--minutes'", "See: headstart fit --help"),
        (["fit", "x", "--seed", "-1"], "expected --seed from 0 to 4294967295, got -1", "such as --seed 0"),
        (["fit", "x", "--source", "a,,b"], "expected names separated by commas, got 'a,,b'", "Leave no name empty."),
        (["compar", "x"], "expected the name of a command, got 'compar'", "Did you mean compare?"),
        (["compare", "x", "--sorces", "y"], "expected an option of headstart compare, got --sorces", "mean --sources"),
        (["compare", "x", "--seed-s", "3"], "expected an option of headstart compare, got --seed-s", "--seeds"),
        (["compare", "x", "--seeds", "0"], "expected --seeds from 1 on, got 0", "such as --seeds 3"),
        (["compare", "x", "--epochs", "-1"], "expected --epochs from 1 on, got -1", "such as --epochs 3"),
        (["compare", "x", "--minutes", "3"], "expected an option of headstart compare, got --minutes", "--help"),
        (["compare"], "Missing argument 'DATA'", "See: headstart compare --help"),
        (["fit"], "Missing argument 'DATA'", "See: headstart fit --help"),
        (["fit", "x", "y"], "unexpected extra argument", "See: headstart fit --help"),
        (["sources"], "Missing command", "See: headstart sources --help"),
    ],
)
def test_a_mistake_is_two_lines_and_status_2(
    given: list[str], expected: str, do: str, calls: list[dict[str, Any]], capsys: Capture
) -> None:
    assert main(given) == 2
    out, err = capsys.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert expected in first
    assert do in second
    assert calls == []


def _raiser(error: BaseException) -> Callable[..., Any]:
    def fit(*_: Any, **__: Any) -> Any:
        raise error

    return fit


def test_errors_of_the_api_become_lines_or_tracebacks(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    _fake(monkeypatch, "api", fit=_raiser(UserError("a folder", "a file \x1b]0;hi", "Give a folder.")))
    assert main(["fit", "photos"]) == 2
    err = capsys.readouterr().err
    assert err == "headstart: expected a folder, got a file  ]0;hi\n           Give a folder.\n"
    _fake(monkeypatch, "api", fit=_raiser(KeyboardInterrupt()))
    assert main(["fit", "photos"]) == 130
    err = capsys.readouterr().err
    assert "the same command goes on" in err
    assert len(err.strip().splitlines()) == 1
    _fake(monkeypatch, "api", fit=_raiser(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError):
        main(["fit", "photos"])


def test_a_run_gets_the_next_free_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "cells.csv").write_text("a")
    assert default_out("photos/") == Path("runs/photos")
    assert default_out("cells.csv") == Path("runs/cells")
    (tmp_path / "runs/photos").mkdir(parents=True)
    assert default_out("photos") == Path("runs/photos")  # unfinished: the same command resumes it
    for name in ("photos", "photos-2"):
        (tmp_path / "runs" / name).mkdir(exist_ok=True)
        (tmp_path / "runs" / name / "record.json").write_text("{}")
    assert default_out("photos") == Path("runs/photos-3")


def test_names_are_split_and_trimmed() -> None:
    assert options.names(None) == ()
    assert options.names(["a, b", "c"]) == ("a", "b", "c")


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = Path(headstart.__path__[0]).parent
    env = {**os.environ, "PYTHONPATH": str(root), "COLUMNS": "100"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=env, check=False)


def test_help_and_parser_load_no_framework() -> None:
    code = (
        "import sys, headstart.cli.main as m; m.main(['--help']); m.main(['fit', '--help']); "
        "m.main(['plan', 'show', '--help']); "
        "heavy = {'torch', 'torchvision', 'timm', 'sklearn', 'pandas', 'numpy', 'scipy', 'matplotlib', 'pyarrow'}; "
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or None)"
    )
    done = _python("-c", code)
    assert done.returncode == 0, done.stderr
    assert "predict" in done.stdout


def test_module_runs_and_bare_command_helps() -> None:
    assert "headstart" in _python("-m", "headstart", "--version").stdout
    bare = _python("-m", "headstart")
    assert bare.returncode == 0
    assert "Usage: headstart" in bare.stdout


def test_live_progress_shows_one_line_a_step_with_the_time_left() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, no_color=True)
    live = progress_.Live(console)
    with live.step("extract", total=4) as step:
        step.advance(3)
        step.note("[bold]lite0[/bold]")
        live.say("two files skipped")
        with live.step("inner") as inner:
            inner.advance()
    shown = stream.getvalue()
    assert "left" in shown
    assert "[bold]lite0[/bold]" in shown
    assert "two files skipped" in shown
    assert "  inner" in shown
    assert "\x1b[3" not in shown  # no colour was asked for


def test_progress_suits_its_stream(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with progress_.progress().step("fold 1", total=5) as step:
        step.note("loss 0.3")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "fold 1 (5) ..."
    assert lines[1].startswith("fold 1: 0.0 s, loss 0.3")
    quiet = progress_.progress(quiet=True)
    with quiet.step("fold 2"):
        quiet.say("hello")
    assert capsys.readouterr() == ("", "")
