"""The main job on made series, end to end: a real folder, a real net, a real record; only the source is untrained."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import headstart as hs
from headstart.cli.main import main
from headstart.core.errors import UserError
from headstart.core.progress import Silent
from headstart.pretraining import reconstruction

SOURCE = "random:timenet"
CLOSED = ("linear", "all-stages")
MINUTES = 0.02  # too few for any gradient arm
SCHEMA = Path(__file__).parents[2] / "docs" / "record.schema.json"


def waves(count: int, seed: int) -> list[str]:
    """Lines of a .ts file: two channels of unequal length, slow or quick waves anywhere, some values missing."""
    draw, lines = np.random.default_rng(seed), []
    for at in range(count):
        steps = int(draw.integers(30, 60))
        rate = (0.3, 0.8)[at % 2] * draw.uniform(0.9, 1.1)
        one = np.sin(np.arange(steps) * rate + draw.uniform(0, 6)) + draw.normal(0, 0.1, steps)
        channels = [[f"{value:.4f}" for value in row] for row in (one, draw.normal(size=steps))]
        if at % 9 == 0:
            channels[0][int(draw.integers(steps))] = "?"
        lines.append(":".join([*(",".join(channel) for channel in channels), ("slow", "quick")[at % 2]]))
    return lines


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("@problemName Waves\n@classLabel true quick slow\n@data\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("series") / "Waves"
    place.mkdir()
    written(place / "Waves_TRAIN.ts", waves(40, 0))
    written(place / "Waves_TEST.ts", waves(30, 1))
    return place


def fitted(folder: Path, out: Path, **more: Any) -> hs.Result:
    asked: dict[str, Any] = {"sources": [SOURCE], "strategies": CLOSED, "minutes": MINUTES, **more}
    return hs.fit(folder, out=out, **asked)


@pytest.fixture(scope="module")
def transferred(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Result:
    return fitted(folder, tmp_path_factory.mktemp("runs") / "transfer", deliver="transfer")


def test_the_record_is_whole(transferred: hs.Result) -> None:
    record = transferred.record
    written = json.loads((transferred.run / "record.json").read_text())
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(written)
    assert (record.data.modality, record.data.n_train, record.data.n_test) == ("series", 40, 30)
    assert record.sources[0].name == f"{SOURCE}+channels:2"
    missing = [said for said in record.data.warnings if "missing values" in said]
    assert missing == ["9 missing values in 9 series lie on the line between their neighbours"]
    scored = {c.name: c.score for c in record.candidates if c.status == "done" and c.score}
    assert {"majority", "raw", "minirocket", "dtw", "random-features", *CLOSED} <= set(scored)
    assert scored["minirocket"].value > 0.9 > scored["majority"].value
    assert record.score.on == "test"
    assert record.score.value > 0.75


def test_it_predicts_files_of_series(transferred: hs.Result, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = transferred.predict([folder / "Waves_TEST.ts"])
    assert len(found) == 30
    right = [one.label == ("slow", "quick")[at % 2] for at, one in enumerate(found)]
    assert np.mean(right) == pytest.approx(transferred.record.score.value)
    assert main(["predict", str(transferred.run), str(folder / "Waves_TEST.ts"), "--json"]) == 0
    assert "Waves_TEST.ts:4" in capsys.readouterr().out


@pytest.mark.parametrize("control", ["minirocket", "dtw", "raw", "random-features"])
def test_a_delivered_control_predicts_as_it_was_scored(control: str, folder: Path, tmp_path: Path) -> None:
    """Whichever control wins is saved as arrays, and opened again without the data."""
    from headstart.advisor.arms import arms
    from headstart.data.store import Store
    from headstart.features.extract import extract
    from headstart.features.table import FeatureTable
    from headstart.sources.load import load
    from headstart.training.plan_learner import FittedSolve

    data, store = hs.read(folder), Store(tmp_path)
    untrained = {name: load(name) for name in data.modality.untrained}
    features: FeatureTable = extract(
        [data.modality.baseline, *data.modality.controls.values(), *untrained.values()], data, store, Silent()
    )
    found = arms(
        CLOSED, sources={}, modality=data.modality, untrained=untrained, task=data.task, stage=None, store=store
    )
    learner = next(one for one in found.closed if one.name == control)
    fitted = learner.fit(data.take(np.arange(40)), seed=0, features=features)
    test = data.take(np.arange(40, 70))
    again = FittedSolve.restore(fitted.state())
    one, other = (which.predict(test, features).probabilities for which in (fitted, again))
    assert np.allclose(one, other, atol=1e-5)
    assert (one.argmax(axis=1) == test.targets).mean() > 0.6


def test_the_command_pretrains_and_fits(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconstruction, "STEPS", 256)
    source = tmp_path / "source"
    asked = ["pretrain", str(folder), "--generated", "50", "--minutes", "0.01", "--out", str(source)]
    assert main(asked) == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"file:{source}: loss ")
    assert "left" in told.err
    assert main([*asked[:-1], str(tmp_path / "second"), "--json", "--quiet"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["series"] == 130
    assert told.err == ""
    run = fitted(folder, tmp_path / "run", sources=[f"file:{source}"], deliver="transfer")
    assert run.record.sources[0].name == f"file:{source}+channels:2"
    assert run.record.sources[0].licence == "your own"
    assert len(hs.load(tmp_path / "run").predict([folder / "Waves_TEST.ts"])) == 30


def long_table(path: Path, count: int) -> Path:
    """A row a reading: two channels, a person, a label."""
    draw, lines = np.random.default_rng(0), ["series,time,pid,up,down,label"]
    for at in range(count):
        rate = (0.3, 0.9)[at % 2]
        for step in range(30):
            wave = np.sin(step * rate + at)
            lines.append(f"s{at},{step},{at},{wave:.4f},{draw.normal():.4f},{('slow', 'quick')[at % 2]}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_long_table_is_predicted_by_the_channels_that_were_learned_from(tmp_path: Path) -> None:
    """Neither the person nor the label is a channel, though both stand in the table."""
    table = long_table(tmp_path / "t.csv", 40)
    asked: dict[str, Any] = {"strategies": ("linear",), "minutes": MINUTES, "deliver": "transfer"}
    run = hs.fit(table, target="label", group="pid", sources=[SOURCE], out=tmp_path / "run", **asked)
    said = [one.label for one in run.predict([table])]
    assert np.mean([label == ("slow", "quick")[at % 2] for at, label in enumerate(said)]) > 0.9
    header, *rows = [line.split(",") for line in table.read_text().splitlines()]
    fewer = [",".join(one for at, one in enumerate(row) if at != 4) for row in (header, *rows)]
    (tmp_path / "fewer.csv").write_text("\n".join(fewer) + "\n")
    with pytest.raises(UserError, match=r"a column 'down' in .*, as in the run, got none"):
        run.predict([tmp_path / "fewer.csv"])
    np.savez(tmp_path / "one.npz", X=np.random.default_rng(0).normal(size=(3, 30)))
    with pytest.raises(UserError, match=r"series of 2 channels, as before, got 1 in one\.npz:1"):
        run.predict([tmp_path / "one.npz"])
