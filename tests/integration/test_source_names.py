"""The name under which a run keeps its source: what it means, found from anywhere, and still what it was."""

import json
from pathlib import Path

import pytest
import torch

import headstart as hs
from headstart.core.errors import UserError
from headstart.sources.access import Access
from headstart.sources.providers.timm import build

TRUSTING = Access(trust=True, any_licence=True, allow_missing=("fc.*",))
CFG = "[net]\nwidth=32\nheight=32\n[convolutional]\nfilters=8\nsize=3\npad=1\nstride=2\nactivation={}\n"


def fitted(photos: Path, source: str, out: Path) -> hs.Result:
    return hs.fit(
        photos, sources=[source], strategies=["linear"], minutes=0.02, deliver="transfer", out=out, access=TRUSTING,
        thumbnails=False,
    )  # fmt: skip


@pytest.fixture
def picture(photos: Path) -> Path:
    return next(photos.rglob("*.png"))


def test_an_alias_in_a_name_stands_for_what_it_means(photos: Path, picture: Path, tmp_path: Path) -> None:
    result = fitted(photos, "random:test_resnet@64+cut:-2", tmp_path / "run")
    (source,) = result.record.sources
    assert source.name == "random:test_resnet@64+cut:layer3"
    assert result.predict([picture])


def test_a_run_finds_its_file_from_anywhere(
    photos: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights were allowed to be not the whole net; the hash says that they are the same again."""
    state = build("test_resnet").state_dict()
    torch.save({name: tensor for name, tensor in state.items() if not name.startswith("fc.")}, tmp_path / "w.pth")
    monkeypatch.chdir(tmp_path)
    before = fitted(photos, "file:test_resnet@w.pth+size:64", Path("run")).predict([picture])
    monkeypatch.chdir("/")
    assert hs.load(tmp_path / "run").predict([picture]) == before
    monkeypatch.chdir(tmp_path)
    assert hs.source("run:run", TRUSTING).name == f"run:{tmp_path / 'run'}"
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(UserError, match="The source has changed; fit again"):
        hs.load(tmp_path / "run").predict([picture])


def test_other_weights_under_the_same_name_are_another_question(photos: Path, tmp_path: Path) -> None:
    torch.save(build("test_resnet").state_dict(), tmp_path / "w.pth")
    name = f"file:test_resnet@{tmp_path / 'w.pth'}+size:64"
    before = fitted(photos, name, tmp_path / "run").record
    assert fitted(photos, name, tmp_path / "run").record == before, "answered already"
    torch.save(build("test_resnet").state_dict(), tmp_path / "w.pth")  # other random weights
    with pytest.raises(UserError, match="a new or empty folder for the run"):
        fitted(photos, name, tmp_path / "run")
    with pytest.raises(UserError, match=r"a work.json of the same weights, got another net under file:test_resnet"):
        hs.fit(photos, out=tmp_path / "again", replay=tmp_path / "run" / "work.json", access=TRUSTING)


def test_a_net_that_was_described_anew_is_another_source(photos: Path, picture: Path, tmp_path: Path) -> None:
    """The weights of a Darknet net are the same file whatever its cfg says."""
    from headstart.nets.darknet import build as darknet
    from headstart.sources.formats.darknet import Header, write

    cfg = tmp_path / "net.cfg"
    cfg.write_text(CFG.format("leaky"))
    cfg.with_suffix(".weights").write_bytes(write(darknet(cfg.read_text()), Header()))
    result = fitted(photos, f"darknet:{cfg}", tmp_path / "run")
    assert result.predict([picture])
    cfg.write_text(CFG.format("logistic"))
    with pytest.raises(UserError, match="as the run was made with it, got another net"):
        hs.load(result.run).predict([picture])


def test_pictures_have_three_channels_or_are_made_grey(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"as it is read, got .*which takes 4 channels"):
        fitted(photos, "random:test_resnet@64+channels:4", tmp_path / "run")
    assert fitted(photos, "random:test_resnet@64+channels:1", tmp_path / "grey").record.sources


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("model.json", {"task": None}, "a finished run, got"),
        ("model.json", {"temperature": "hot"}, "a finished run, got"),
        ("model.json", {"sha256": "0" * 64}, "with another sha256 than 0000"),
        ("card.json", {"name": 3}, "a finished run, got"),
    ],
)
def test_a_spoilt_run_predicts_nothing(
    name: str, change: dict[str, object], says: str, photos: Path, picture: Path, tmp_path: Path
) -> None:
    result = fitted(photos, "random:test_resnet@32", tmp_path / "run")
    path = result.run / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=says):
        result.predict([picture])
