"""A package of somebody else's is installed, competes, is delivered and predicts; nothing of headstart changes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.slow


def run(where: Path, *command: str) -> str:
    """What a command prints in a process that sees what is installed there."""
    environment = {**os.environ, "PYTHONPATH": str(where)}
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_competes_and_is_delivered(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling, which builds the example, is not installed")
    place = tmp_path / "installed"
    quiet = "--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"
    run(tmp_path, "pip", "install", *quiet, "--target", str(place), str(EXAMPLES))
    out, asked = tmp_path / "run", ("--strategy", "neighbours", "--source", "random:test_resnet", "--minutes", "0.02")
    said = run(
        place, "headstart", "fit", str(photos), *asked, "--deliver", "transfer", "--out", str(out), "--json", "--quiet"
    )
    record = json.loads(said)
    assert record["decision"]["delivered"] == "neighbours"
    scores = {one["name"]: one["score"] for one in record["candidates"] if one["status"] == "done"}
    assert {"neighbours", "majority", "raw"} <= set(scores)
    assert scores["neighbours"]["value"] > scores["majority"]["value"]
    picture = str(next(photos.rglob("*.png")))
    (found,) = json.loads(run(place, "headstart", "predict", str(out), picture, "--json", "--quiet"))["predictions"]
    assert found["label"] in {"weft", "warp"}
