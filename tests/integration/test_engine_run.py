"""A run whose features are computed in low precision: decided once, kept in the work, and the same when predicting."""

from pathlib import Path

import numpy as np
import pytest

import headstart as hs
from headstart.advisor import work as work_file
from headstart.cli.main import main
from headstart.evaluation import evidence as kept
from headstart.features import engine
from headstart.features.backends import Mode
from headstart.features.engine import Way
from headstart.metrics.calibration import scale

SOURCE = "random:test_resnet@64"


@pytest.fixture
def low(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little work there is, eager bfloat16 is tried, and taken if it agrees."""
    monkeypatch.setattr(engine, "WORTH", 0.0)
    monkeypatch.setattr(engine, "PAYS", 1000.0)
    monkeypatch.setattr(engine, "HOPELESS", 1000.0)
    monkeypatch.setattr(engine, "WAYS", (Way("eager", low=True, start=0.0, share=0.5),))


@pytest.mark.usefixtures("low")
def test_a_run_keeps_the_way_that_its_features_were_computed(
    photos: Path, more_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    result = hs.fit(
        photos, test=str(more_photos), sources=[SOURCE], strategies=["linear"], minutes=0.02, deliver="transfer",
        out=tmp_path / "run",
    )  # fmt: skip
    mode = work_file.read(result.run / work_file.NAME).modes[SOURCE]
    assert mode.exact is not None
    found = kept.read(result.run / kept.NAME)
    assert found.test is not None
    said = result.predict([more_photos.parent / name for name in found.test.names])
    wanted = scale(found.tested["linear"], result.record.calibration.temperature)
    got = np.array([[one.probabilities[name] for name in found.classes] for one in said])
    np.testing.assert_allclose(got, wanted, atol=1e-3)
    replayed = hs.fit(photos, test=str(more_photos), replay=result.run / work_file.NAME, out=tmp_path / "again")
    assert replayed.record.work_done["features_computed"] == 0
    assert work_file.read(replayed.run / work_file.NAME).modes == {SOURCE: mode}


@pytest.mark.usefixtures("low")
def test_bench_shows_every_way_that_was_tried(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(photos), "--source", SOURCE, "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "eager" in out
    assert Mode().precision in out
    assert Mode(exact=0).precision in out
