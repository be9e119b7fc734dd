"""Every bad input is answered in one or two lines with status 2, or skipped and counted; nothing is left behind."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from headstart.cli.main import main
from headstart.modalities.image.read import read
from headstart.sources.providers import timm as hub


def _listed() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bad_inputs", Path(__file__).parents[1] / "bad_inputs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bad_inputs"] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


LISTED = _listed()


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "hub_answers", lambda: False)


def _there(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


def test_there_are_thirty_kinds() -> None:
    assert len({bad.name for bad in LISTED.BAD}) == len(LISTED.BAD) >= 30


@pytest.mark.parametrize("bad", LISTED.BAD, ids=lambda bad: bad.name)
def test_one_clear_line_and_status_2(bad: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = bad.arguments(tmp_path)
    before = _there(tmp_path)
    if arguments[0] in ("fit", "advise"):
        arguments = [*arguments, "--quiet"]
    if bad.name == "option without value":
        arguments.remove("--quiet")
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert 1 <= len(lines) <= 2, err
    assert lines[0].startswith("headstart: ")
    assert "Traceback" not in err
    assert re.search(bad.says, " ".join(lines)), err
    assert _there(tmp_path) == before, "something was left behind"


def _run(root: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    data = LISTED.photos(root, 20)
    (data / "cat" / "zero.png").write_bytes(b"")
    (data / "cat" / "cut.png").write_bytes((data / "cat" / "0.png").read_bytes()[:60])
    (data / "dog" / "notes.txt").write_text("notes")
    run = root / "runs" / "r"
    fit = ["fit", str(data), "--source", LISTED.RANDOM, "--strategy", "linear", "--minutes", "0.05"]
    assert main([*fit, "--out", str(run), "--quiet"]) == 0, capsys.readouterr().err
    capsys.readouterr()
    return run


def test_a_fit_counts_what_it_skips_and_its_run_stands_bad_inputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _run(tmp_path, capsys)
    record = json.loads((run / "record.json").read_text())
    skipped = {file["name"]: file["why"] for file in record["data"]["skipped"]}
    assert set(skipped) == {"cat/zero.png", "cat/cut.png", "dog/notes.txt"}
    assert skipped["cat/zero.png"] == "empty"
    assert skipped["dog/notes.txt"] == "not a picture"
    assert skipped["cat/cut.png"].startswith("damaged")
    assert record["data"]["n_train"] == 40
    assert _there(tmp_path / "runs") == {"r", *(f"r/{name}" for name in _there(run))}

    (tmp_path / "empty").mkdir()
    corrupt, good = tmp_path / "data" / "cat" / "cut.png", tmp_path / "data" / "cat" / "0.png"
    later = {
        "missing picture": (["predict", str(run), str(tmp_path / "no.png")], r"no\.png: cannot be read"),
        "corrupt picture": (["predict", str(run), str(corrupt)], r"cut\.png: damaged"),
        "an empty folder": (["predict", str(run), str(tmp_path / "empty")], "empty: cannot be read"),
        "the same out again": (["fit", str(tmp_path / "data"), "--out", str(run)], "new or empty folder"),
    }
    for name, (arguments, says) in later.items():
        assert main([*arguments, "--quiet"]) == 2, name
        err = capsys.readouterr().err
        assert re.search(says, err), (name, err)
        assert len(err.splitlines()) <= 2, name

    spoilt = {
        "model.json": ["predict", str(run), str(good)],
        "model.safetensors": ["predict", str(run), str(good)],
        "predictions.parquet": ["verify", str(run)],
        "record.json": ["report", str(run)],
    }
    for name, arguments in spoilt.items():
        whole = (run / name).read_bytes()
        (run / name).write_bytes(whole[: len(whole) // 2])
        assert main(arguments) == 2, name
        err = capsys.readouterr().err
        assert 1 <= len(err.splitlines()) <= 2, name
        assert str(run) in err, name
        (run / name).write_bytes(whole)


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"BM", b"II*\0", b"\0" * 99]
)
def test_stubs_of_pictures_are_skipped_and_counted(tmp_path: Path, content: bytes) -> None:
    stub = LISTED.photos(tmp_path) / "cat" / "stub.png"
    stub.write_bytes(content)
    data = read(tmp_path / "data")
    assert len(data) == 8
    assert [file.name for file in data.skipped] == ["cat/stub.png"]
    assert data.skipped[0].why
