"""`pretrain`: made series, rounds that outlive a kill, a folder that is a source."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.core.errors import UserError
from headstart.core.progress import Silent
from headstart.nets.timenet import TimeNet
from headstart.pretraining import reconstruction, run
from headstart.pretraining.made import KINDS, made
from headstart.pretraining.objective import Asked
from headstart.pretraining.run import pretrain
from headstart.sources.load import load
from headstart.testing import check_source


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps of small batches, whatever the machine."""
    monkeypatch.setattr(reconstruction, "STEPS", 512)
    monkeypatch.setattr(reconstruction, "LENGTHS", (16, 32))
    monkeypatch.setattr(run, "ROUNDS", 6)
    monkeypatch.setattr(run, "_step_seconds", lambda _objective: 0.95 * 60 / 60)


def sines(path: Path, count: int = 12) -> Path:
    draw = np.random.default_rng(0)
    waves = [np.sin(np.arange(50) * draw.uniform(0.1, 0.5) + draw.uniform(0, 6)) for _ in range(count)]
    np.savez(path, X=np.stack(waves))
    return path


def test_made_series_are_of_five_kinds_and_scaled() -> None:
    rows = made(200, 64, np.random.default_rng(0))
    assert np.isfinite(rows).all()
    assert np.abs(rows.mean(axis=1)).max() < 1e-4
    assert np.abs(rows.std(axis=1) - 1).max() < 1e-3
    assert np.array_equal(rows, made(200, 64, np.random.default_rng(0)))
    assert len({kind(32, np.random.default_rng(1)).tobytes() for kind in KINDS}) == 5


class Told(Silent):
    """Keeps what it begins with."""

    def begins(self, facts: Mapping[str, str]) -> None:
        self.facts = facts


def test_it_learns_and_the_folder_is_a_source(tmp_path: Path) -> None:
    told = Told()
    given = [sines(tmp_path / "sines.npz")]
    done = pretrain(given, out=tmp_path / "source", minutes=1, generated=20, progress=told)
    assert told.facts["data"] == "sines.npz, 20 made series; labels are not looked at"
    assert told.facts["time"] == "1 min; seed 0"
    losses = [one["loss"] for one in done.record["losses"]]
    assert len(losses) == 6
    assert losses[-1] < 0.8 * losses[0]
    assert done.record["series"] == 32
    source = load(done.name)
    check_source(source)
    assert source.card.trained_on is not None
    assert (source.card.trained_on.n, source.card.trained_on.kind) == (32, "series")
    assert source.card.trained_on.name == "sines.npz, 20 made series"
    assert source.card.name == f"file:{(tmp_path / 'source').absolute()}"
    untrained = load("random:timenet")
    assert source.identity != untrained.identity
    assert load(f"{done.name}+fresh:first+channels:2").card.trained_on is None


def test_a_killed_run_goes_on_and_ends_as_one_that_was_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = [sines(tmp_path / "sines.npz")]
    whole = pretrain(data, out=tmp_path / "whole", minutes=1, generated=20)
    taken, rounds = run._round, []

    def killed(*given: object) -> float:
        if len(rounds) == 3:
            raise KeyboardInterrupt
        rounds.append(given[2])
        return taken(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "_round", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain(data, out=tmp_path / "again", minutes=1, generated=20)
    assert not (tmp_path / "again").exists()

    def counted(*given: object) -> float:
        rounds.append(given[2])
        return taken(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "_round", counted)
    again = pretrain(data, out=tmp_path / "again", minutes=1, generated=20)
    assert len(rounds) == 6, "what was done is not done again"
    assert again.record["losses"] == whole.record["losses"]
    one, other = ((folder / "model.safetensors").read_bytes() for folder in (whole.folder, again.folder))
    assert one == other
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_other_data_begins_anew(tmp_path: Path) -> None:
    one = reconstruction.reconstruction(Asked((sines(tmp_path / "a.npz"),), 0, 0))
    other = reconstruction.reconstruction(Asked((sines(tmp_path / "b.npz", 13),), 0, 0))
    assert one.identity != other.identity
    aside = tmp_path / ".unfinished"
    assert run._decided(one, aside, 1).steps == 60
    (aside / "kept").touch()
    run._decided(one, aside, 1)
    assert (aside / "kept").exists()
    run._decided(other, aside, 1)
    assert not (aside / "kept").exists()


def test_a_batch_is_that_of_its_step(tmp_path: Path) -> None:
    objective = reconstruction.reconstruction(Asked((sines(tmp_path / "a.npz"),), 30, 0))
    assert torch.equal(objective.batch(3), objective.batch(3))
    assert objective.batch(3).shape[0] * objective.batch(3).shape[1] == 512
    assert not torch.equal(objective.batch(3)[:4, :16], objective.batch(4)[:4, :16])
    assert isinstance(objective.encoder()[0], TimeNet)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": ["nowhere"]}, "expected data to learn from, got nowhere, which is not there"),
        ({"generated": 0}, "expected series to learn from, got nothing"),
        ({"minutes": 0}, "expected --minutes above zero and --generated of zero or more, got 0 and 10"),
        ({"data": ["photos"]}, "expected at least 10 pictures to learn from, got 0 (photos/a.jpg: empty)"),
        ({"data": ["notes"]}, "expected data of a kind that is learned from without labels ("),
        ({"data": ["photos", "a.npz"]}, "expected data of one kind, got image and series"),
        ({"data": ["empty.npz"], "generated": 0}, "expected series to learn from, got none in empty.npz"),
        ({"out": "photos"}, "expected a new or empty folder for the run, got "),
    ],
)
def test_errors(changes: dict[str, object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    sines(tmp_path / "a.npz")
    np.savez(tmp_path / "empty.npz", X=np.full((2, 9), np.nan))
    asked: dict[str, object] = {"data": (), "out": "new", "generated": 10, "minutes": 1, **changes}
    with pytest.raises(UserError) as error:
        pretrain(progress=Silent(), **asked)  # type: ignore[arg-type]
    assert str(error.value).startswith(said)


def test_a_folder_that_is_not_what_it_was(tmp_path: Path) -> None:
    done = pretrain([sines(tmp_path / "sines.npz")], out=tmp_path / "source", minutes=1, generated=0)
    card = tmp_path / "source" / "card.json"
    whole = card.read_text()
    card.write_text(json.dumps({**json.loads(whole), "sha256": "0" * 64}))
    with pytest.raises(UserError, match=r"model.safetensors with sha256 0000"):
        load(done.name)
    card.write_text("{}")
    with pytest.raises(UserError, match=r"expected a source in a folder, got "):
        load(done.name)
