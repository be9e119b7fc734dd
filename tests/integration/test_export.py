"""Exported graphs say what their runs say, stand alone, and hold nothing of the data."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import headstart as hs
from headstart.core.errors import UserError
from headstart.export.bundle import TOLERANCE, export
from headstart.sources import front
from headstart.sources.load import load

pytestmark = pytest.mark.slow
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
MINUTES = 0.02  # too few for any gradient arm


@pytest.fixture(scope="module")
def pictures(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Result:
    """A linear head on a small net."""
    out = tmp_path_factory.mktemp("runs") / "weave"
    return hs.fit(
        photos, sources=["random:test_resnet"], strategies=["all-stages"], minutes=MINUTES, deliver="transfer", out=out
    )


@pytest.fixture(scope="module")
def written(pictures: hs.Result, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    paths = sorted(photos.rglob("*.png"))[:20]
    found = export(pictures.run, out=tmp_path_factory.mktemp("exported") / "onnx", examples=paths, hub=True)
    assert found.compared is not None
    assert found.compared.n == 20
    assert found.compared.difference <= TOLERANCE
    return found.folder


def alone(folder: Path, *examples: str, status: int = 0) -> list[dict[str, Any]]:
    """What the predictor prints in a process that cannot import headstart."""
    blocked = "import sys, runpy; sys.modules['headstart'] = sys.modules['torch'] = None; sys.argv = sys.argv[1:]; "
    path = f"sys.path.insert(0, {str(folder)!r}); "
    code = f"{blocked}{path}runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, str(folder / "predict.py"), *examples]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_stands_alone(pictures: hs.Result, written: Path, more_photos: Path) -> None:
    """Pictures that were not compared at the export; headstart and torch cannot be imported."""
    paths = sorted(more_photos.rglob("*.png"))[:8]
    for mine, theirs in zip(pictures.predict(paths), alone(written, *map(str, paths)), strict=True):
        assert theirs["said"] == mine.label
        assert theirs["stated"] == pytest.approx(mine.probabilities, abs=TOLERANCE)


def test_alone_it_names_what_it_cannot_read_and_answers_the_rest(
    written: Path, more_photos: Path, tmp_path: Path
) -> None:
    good, cut = next(more_photos.rglob("*.png")), tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:200])
    missing, damaged, fine = alone(written, str(tmp_path / "gone.png"), str(cut), str(good), status=1)
    assert "No such file" in missing["error"]
    assert damaged.keys() == {"example", "error"}
    assert fine["said"]


def test_nothing_of_the_data_is_in_it(written: Path, photos: Path) -> None:
    assert {path.name for path in written.iterdir()} == {
        "README.md", "model.onnx", "preprocess.json", "predict.py", "prepare.py",
        "record.json", "model.json", "model.safetensors", "card.json",
    }  # fmt: skip
    names = [path.name for path in photos.rglob("*.png")]
    for path in written.iterdir():
        held = path.read_bytes()
        assert not any(name.encode() in held for name in names), path.name


def test_hub_folder_is_a_run_whose_hashes_count(
    written: Path, pictures: hs.Result, photos: Path, tmp_path: Path
) -> None:
    path = next(photos.rglob("*.png"))
    (said,) = pictures.predict([path])
    assert said.nearest  # which training examples those are does not travel
    assert hs.load(written).predict([path]) == [replace(said, unlike=None, nearest=())]
    changed = hs.load(written).save(tmp_path / "changed")
    weights = changed / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(UserError, match="sha256"):
        hs.load(changed).predict([path])


def test_card_says_what_it_may_be_used_for(written: Path) -> None:
    text = (written / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: headstart\nlicense: ")
    assert "## Limits" in text
    assert "random:test_resnet" in text


def test_a_graph_that_says_something_else_is_refused(
    pictures: hs.Result, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = front.PixelFront.forward
    monkeypatch.setattr(front.PixelFront, "forward", lambda self, pixels: whole(self, pixels // 64))
    out = tmp_path / "out"
    from headstart.export import bundle

    right = bundle.Saved.predict

    def unflipped(self: Any, given: Any, progress: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(front.PixelFront, "forward", whole)
            return right(self, given, progress)

    monkeypatch.setattr(bundle.Saved, "predict", unflipped)
    with pytest.raises(UserError, match="a difference of"):
        export(pictures.run, out=out, examples=sorted(photos.rglob("*.png"))[:6])
    assert list(tmp_path.iterdir()) == []


def test_controls_without_a_graph_are_refused(tmp_path: Path) -> None:
    kinds = ("the bright sun of noon", "warm"), ("grey ice on the lake", "cold")
    rows = [f"{text} {at * at},{label}" for at in range(12) for text, label in kinds]
    (tmp_path / "texts.csv").write_text("\n".join(["text,label", *rows]))
    run = hs.fit(
        tmp_path / "texts.csv", target="label", text="text", sources=["random:text-cnn"], strategies=["linear"],
        minutes=MINUTES, deliver="control", out=tmp_path / "run",
    )  # fmt: skip
    with pytest.raises(UserError, match=r"a delivered net, or a linear head on one, got raw on"):
        export(run.run)
    assert not run.run.with_name("run-onnx").exists()


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 series of two channels and unequal length."""
    draw, lines = np.random.default_rng(0), ["@problemName Waves", "@classLabel true quick slow", "@data"]
    for at in range(100):
        steps = np.arange(int(draw.integers(30, 60)))
        rows = np.sin(steps * (0.3, 0.8)[at % 2]) + draw.normal(0, 0.1, len(steps)), draw.normal(size=len(steps))
        lines.append(
            ":".join([*(",".join(f"{value:.4f}" for value in row) for row in rows), ("slow", "quick")[at % 2]])
        )
    path = tmp_path_factory.mktemp("series") / "waves.ts"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("source", ["random:timenet", "random:series-cnn", "wheel:fracast-0"])
def test_series_of_unequal_length(source: str, waves: Path, tmp_path: Path) -> None:
    """The graph reads one series at a time; the predictor has each from a file of its own."""
    try:
        load(source)
    except UserError as error:
        pytest.skip(f"{source} cannot be had here: {error}")
    run = hs.fit(
        waves, sources=[source], strategies=["all-stages"], minutes=MINUTES, deliver="transfer", out=tmp_path / "run"
    )
    found = export(run.run, examples=[waves])
    assert found.compared is not None
    assert found.compared.n == 100
    assert found.compared.difference <= TOLERANCE
    predicted = run.predict([waves])
    files = [tmp_path / f"{at}.csv" for at in range(len(predicted))]
    lines = waves.read_text().splitlines()[3:]
    for file, line in zip(files, lines, strict=True):
        file.write_text("\n".join(line.split(":")[:-1]) + "\n")
    for mine, theirs in zip(predicted, alone(found.folder, *map(str, files)), strict=True):
        assert theirs["said"] == mine.label
        assert theirs["stated"] == pytest.approx(mine.probabilities, abs=TOLERANCE)


def test_torch_program(pictures: hs.Result, photos: Path, tmp_path: Path) -> None:
    from headstart.sources.card import ImageInput

    folder = export(pictures.run, format="torch", out=tmp_path / "pt2").folder
    program = torch.export.load(folder / "model.pt2").module()
    about = json.loads((folder / "preprocess.json").read_text())
    (taken,) = about["inputs"]
    wanted = ImageInput(**{k: v for k, v in taken.items() if k != "name"})
    paths = sorted(photos.rglob("*.png"))[:3]
    from headstart.modalities.image.prepare import open_rgb, square

    rows = program(torch.from_numpy(np.stack([square(open_rgb(path), wanted) for path in paths])))
    for row, one in zip(rows.tolist(), pictures.predict(paths), strict=True):
        assert row == pytest.approx(list(one.probabilities.values()), abs=TOLERANCE)


def test_stages_over_a_grid_of_padded_maps(photos: Path, tmp_path: Path) -> None:
    """Nets that pad by the size of what comes do not tell ONNX the sizes of their maps."""
    asked = {"sources": ["random:tf_efficientnet_lite0@64"], "strategies": ["all-stages"], "minutes": MINUTES}
    run = hs.fit(photos, deliver="transfer", out=tmp_path / "run", **asked).run
    found = export(run, examples=sorted(photos.rglob("*.png"))[:4])
    assert found.compared is not None
    assert found.compared.difference <= TOLERANCE
    assert not (found.folder / "__pycache__").exists()


def test_only_onnx_comes_with_a_predictor(pictures: hs.Result, tmp_path: Path) -> None:
    folder = export(pictures.run, format="torch", out=tmp_path / "pt2").folder
    assert not (folder / "predict.py").exists()
    assert "predict.py" not in (folder / "README.md").read_text()
    assert "torch.export.load" in (folder / "README.md").read_text()
