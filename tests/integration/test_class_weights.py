"""A run on unbalanced pictures that is judged by balanced accuracy: weights are chosen, kept, applied and verified."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import headstart as hs
from headstart.core.errors import UserError
from headstart.evaluation.verify import verify


@pytest.fixture(scope="module")
def run(unbalanced: Path, more_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Result:
    out = tmp_path_factory.mktemp("runs") / "balanced"
    return hs.fit(
        unbalanced, test=str(more_photos), sources=["random:test_resnet@64"], strategies=["linear"], minutes=0.02,
        metric="balanced_accuracy", deliver="transfer", out=out,
    )  # fmt: skip


def test_weights_are_chosen_kept_and_verified(run: hs.Result) -> None:
    calibration = run.record.calibration
    assert calibration.tau > 0
    assert calibration.class_weights == {"warp": pytest.approx(5**calibration.tau), "weft": 1.0}
    assert json.loads((run.run / "model.json").read_text())["class_weights"] == list(calibration.class_weights.values())
    found = verify(run.run)
    assert found.ok, [row for row in found.rows if not row.equal]
    assert {"calibration.tau", "calibration.class_weights.warp"} <= {row.what for row in found.rows}
    assert "its weight: warp" in (run.run / "report.html").read_text()


def test_a_saved_run_names_the_class_that_its_weights_choose(run: hs.Result, more_photos: Path, tmp_path: Path) -> None:
    files = sorted(more_photos.rglob("*.png"))
    said = hs.load(run.save(tmp_path / "copy")).predict(files)
    weights = run.record.calibration.class_weights
    for one in said:
        assert one.label == max(weights, key=lambda name: one.probabilities[name] * weights[name])
        assert one.probability == one.probabilities[one.label]
        assert sum(one.probabilities.values()) == pytest.approx(1)
    assert any(one.probability < 0.5 for one in said)
    hits = {name: [one.label == name for one in said if Path(one.file).parent.name == name] for name in weights}
    assert np.mean([np.mean(part) for part in hits.values()]) == pytest.approx(run.record.score.value)


def changed(run: hs.Result, to: Path, name: str, **change: object) -> Path:
    copy = Path(shutil.copytree(run.run, to))
    known = json.loads((copy / name).read_text())
    (copy / name).write_text(json.dumps({key: value for key, value in {**known, **change}.items() if value != "gone"}))
    return copy


def test_verify_notices_another_weight(run: hs.Result, tmp_path: Path) -> None:
    calibration = run.record.calibration.model_dump() | {"class_weights": {"warp": 9.0}}
    found = verify(changed(run, tmp_path / "run", "record.json", calibration=calibration))
    assert [row.what for row in found.rows if not row.equal] == ["calibration.class_weights.warp"]


def test_a_run_from_before_there_were_weights_names_the_most_probable(
    run: hs.Result, more_photos: Path, tmp_path: Path
) -> None:
    old = changed(run, tmp_path / "run", "model.json", class_weights="gone")
    said = hs.load(old).predict(sorted(more_photos.rglob("*.png")))
    assert all(one.probability == max(one.probabilities.values()) for one in said)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, float("inf")], ["heavy", 1.0]])
def test_weights_that_cannot_be_are_refused(run: hs.Result, weights: list[object], tmp_path: Path) -> None:
    damaged = changed(run, tmp_path / "run", "model.json", class_weights=weights)
    with pytest.raises(UserError, match=r"the model of a finished run, got .*(class weight|float)"):
        hs.load(damaged).predict([])
