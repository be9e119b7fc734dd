"""Malformed and hostile checkpoints: one clear line each, and nothing in them is ever run."""

import importlib.util
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from headstart.core.errors import UserError


def _listed() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "hostile_checkpoints", Path(__file__).parents[1] / "hostile_checkpoints.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hostile_checkpoints"] = module  # its dataclass and its pickles look themselves up
    spec.loader.exec_module(module)
    return module


LISTED = _listed()
WITH_CODE = [bad for bad in LISTED.HOSTILE if bad.name.startswith("code ")]


def test_there_are_many() -> None:
    assert len({bad.name for bad in LISTED.HOSTILE}) == len(LISTED.HOSTILE) >= 15


@pytest.mark.parametrize("bad", LISTED.HOSTILE, ids=lambda bad: bad.name)
def test_one_clear_line_and_nothing_is_run(
    bad: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    inner = tmp_path / "inner" / "most"
    inner.mkdir(parents=True)
    path = bad.make(inner)
    before = {p.relative_to(tmp_path) for p in tmp_path.rglob("*")}
    with pytest.raises(UserError, match=bad.says) as caught:
        bad.open(path)
    error = caught.value
    for part in (error.expected, error.came, error.do):
        assert part
        assert part.isprintable(), "no line breaks, nothing that a terminal obeys"
    assert len(error.came) - len(str(path)) < 200, "one line"
    assert {p.relative_to(tmp_path) for p in tmp_path.rglob("*")} == before, "something was run, or left behind"
    assert capfd.readouterr() == ("", "")
    assert error.__cause__ is None


@pytest.mark.parametrize("bad", WITH_CODE, ids=lambda bad: bad.name)
def test_a_reader_that_runs_code_would_make_the_canary(bad: Any, tmp_path: Path) -> None:
    path = bad.make(tmp_path)
    if path.read_bytes()[:2] == b"PK" or "legacy" in bad.name:
        LISTED.torch.load(path, weights_only=False)
    else:
        pickle.loads(path.read_bytes())
    assert (tmp_path / LISTED.CANARY).exists()


def test_the_same_file_is_read_when_nothing_is_wrong_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    path = LISTED.pth(lambda _: LISTED.weights())(tmp_path)
    assert LISTED.trusting(path).card.name == f"file:{LISTED.ARCHITECTURE}@{path}"
    inside = LISTED.zipped(("w.pth", b"weights"))(tmp_path)
    assert LISTED.member("w.pth")(inside) == b"weights"
