"""`pretrain` on pictures: what was covered is painted, the folder is a source, test parts stay unseen."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.core.errors import UserError
from headstart.pretraining import denoising, run
from headstart.pretraining.denoising import CELL, covered
from headstart.pretraining.objective import Asked
from headstart.pretraining.run import pretrain
from headstart.sources.load import load
from headstart.testing import check_source


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps of small batches, whatever the machine."""
    monkeypatch.setattr(denoising, "BATCH", 8)
    monkeypatch.setattr(run, "ROUNDS", 4)
    monkeypatch.setattr(run, "_step_seconds", lambda _objective: 0.95 * 60 / 40)


def stripes(folder: Path, count: int = 24, seed: int = 0) -> Path:
    """Pictures that can be guessed from half of them."""
    draw = np.random.default_rng(seed)
    for at in range(count):
        wave = 127 + 120 * np.sin(np.arange(28) * draw.uniform(0.2, 0.6) + draw.uniform(0, 6))
        rows = np.tile(wave, (28, 1)) if at % 2 else np.tile(wave, (28, 1)).T
        (folder / str(at % 2)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(rows.astype(np.uint8)).save(folder / str(at % 2) / f"{at}.png")
    return folder


def test_it_learns_and_the_folder_is_a_source(tmp_path: Path) -> None:
    done = pretrain([stripes(tmp_path / "my stripes")], out=tmp_path / "source", minutes=1)
    losses = [one["loss"] for one in done.record["losses"]]
    assert losses[-1] < 0.7 * losses[0]
    assert (done.record["pictures"], done.record["size"]) == (24, 32)
    source = load(done.name)
    check_source(source)
    assert source.card.stage_names() == ("blocks.0", "blocks.1", "blocks.2", "blocks.3")
    assert source.card.trained_on is not None
    assert (source.card.trained_on.name, source.card.trained_on.n) == ("my stripes", 24)
    assert load(f"{done.name}+fresh:first").card.trained_on is None


def test_half_of_the_squares_are_covered_whole() -> None:
    shown = covered(torch.ones(8, 3, 32, 32), np.random.default_rng(0))
    squares = shown.unfold(2, CELL, CELL).unfold(3, CELL, CELL)
    grey = (squares == 0).all(dim=(1, 4, 5))
    assert 0.4 < grey.float().mean() < 0.6
    assert bool((squares.amax(dim=(1, 4, 5)) > 0.5)[~grey].all())


def test_an_epoch_shows_every_picture_once(tmp_path: Path) -> None:
    made = denoising.denoising(Asked((stripes(tmp_path / "s"),), 0, 0))
    epoch = torch.cat([made.batch(step) for step in range(3)])
    assert len(np.unique(epoch.flatten(1).numpy(), axis=0)) == 24
    assert not torch.equal(made.batch(0), made.batch(3))
    assert torch.equal(made.batch(1), made.batch(1))


def test_pictures_of_a_test_part_are_not_learned_from(tmp_path: Path) -> None:
    stripes(tmp_path / "data" / "train")
    stripes(tmp_path / "data" / "test", count=10, seed=1)
    made = denoising.denoising(Asked((tmp_path / "data",), 0, 0))
    assert made.facts()["pictures"] == 24
    assert not any("test" in Path(item.name).parts for item in made.pictures.items)


@pytest.mark.parametrize(
    ("count", "size", "says"),
    [(24, 30, "--size divisible by 8, got 30"), (4, 32, "at least 10 pictures to learn from, got 4")],
)
def test_what_cannot_be_learned_from_is_one_clear_error(count: int, size: int, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        pretrain([stripes(tmp_path / "s", count)], out=tmp_path / "source", minutes=1, size=size)


def test_timing_leaves_the_net_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    made = denoising.denoising(Asked((stripes(tmp_path / "s"),), 0, 0))
    before = {name: tensor.clone() for name, tensor in made.net.state_dict().items()}
    assert run._step_seconds(made) > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.net.state_dict().items())
