"""`explore` from files to values: every kind of data, with labels and without; what it says on the command line."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import headstart as hs
from headstart.cli.main import main
from headstart.core.errors import UserError
from headstart.exploring import run


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few clusters are tried."""
    from headstart.strategies.unsupervised import clustering

    monkeypatch.setattr(clustering, "MOST", 4)
    monkeypatch.setattr(clustering, "DRAWS", 2)


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """24 pictures in one folder, without classes: a bright half is left in one sort, above in the other."""
    rng, folder = np.random.default_rng(0), tmp_path / "squares"
    folder.mkdir()
    for i in range(24):
        plane = np.full((32, 32), 60.0)
        if i % 2:
            plane[:16] = 200
        else:
            plane[:, :16] = 200
        noisy = plane + rng.normal(0, 20, plane.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{i:02}.png")
    return folder


@pytest.mark.slow
def test_pictures_without_labels(squares: Path, tmp_path: Path) -> None:
    with Image.open(squares / "00.png") as picture:  # a brighter copy
        picture.point(lambda value: min(255, int(value * 1.1))).save(squares / "copy.png")
    (squares / "broken.png").write_bytes(b"no picture")
    found = hs.explore(squares, source="raw", way="pca", clusters="2", out=tmp_path / "map")
    assert [one.name for one in found.points] == sorted(p.name for p in squares.iterdir() if p.stem != "broken")
    assert found.skipped == (("broken.png", "not a picture"),)
    assert {one.label for one in found.points} == {None}
    assert found.suspects is None
    agree = sum(point.cluster == int(point.name[:2]) % 2 for point in found.points[:24])
    assert max(agree, 24 - agree) >= 22
    assert [one.names for one in found.duplicates] == [("00.png", "copy.png")]
    assert found.page == tmp_path / "map" / "map.html"
    page = found.page.read_text()
    assert page.count("data:image/jpeg;base64,") == 25
    assert json.loads((tmp_path / "map" / "explored.json").read_text()) == json.loads(found.to_json())


@pytest.mark.slow
def test_labels_in_folders_and_a_wrong_one_among_them(squares: Path) -> None:
    for name in ("left", "above"):
        (squares / name).mkdir()
    for file in sorted(squares.glob("*.png")):
        odd = bool(int(file.stem) % 2) != (file.stem == "05")
        shutil.move(file, squares / ("above" if odd else "left") / file.name)
    found = hs.explore(squares, source="raw", way="pca", clusters="2")
    assert [(one.name, one.given, one.likely) for one in found.suspects or ()] == [("left/05.png", "left", "above")]
    assert found.clusters.ari is not None
    assert found.clusters.ari > 0.7
    assert sum(sum(one.labels.values()) for one in found.clusters.found) == 24


@pytest.mark.slow
def test_parts_without_classes_and_a_leak(squares: Path) -> None:
    for at, file in enumerate(sorted(squares.glob("*.png"))):
        part = squares / ("train" if at < 16 else "test")
        part.mkdir(exist_ok=True)
        shutil.move(file, part / file.name)
    shutil.copy(squares / "train" / "03.png", squares / "test" / "again.png")
    found = hs.explore(squares, source="raw", way="pca", clusters="none")
    assert [(one.names, one.leak, one.conflict) for one in found.duplicates] == [
        (("test/again.png", "train/03.png"), True, False)
    ]


def written(path: Path, rows: list[list[object]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_a_table_with_and_without_its_target(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [[round(rng.normal(3 * (i % 2), 0.2), 6), "ab"[i % 2], ("no", "yes")[i % 2]] for i in range(40)]
    path = written(tmp_path / "t.csv", [["x", "y", "bought"], *rows, rows[0]])
    bare = hs.explore(path, way="pca", clusters="none")
    assert {one.label for one in bare.points} == {None}
    assert bare.source == "values"
    assert [one.names for one in bare.duplicates] == [("t.csv:1", "t.csv:41")]
    told = hs.explore(path, target="bought", way="pca", clusters="2")
    assert {one.label for one in told.points} == {"no", "yes"}
    assert told.clusters.ari == 1.0


def test_what_is_in_memory_is_looked_at_as_a_file_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=30), "y": ["a", "b"] * 15, "bought": ["no", "yes"] * 15})
    frame.to_csv(tmp_path / "t.csv", index=False)
    held = hs.explore(frame, target="bought", test=frame[:5], way="pca", clusters="none")
    lies = hs.explore(tmp_path / "t.csv", target="bought", way="pca", clusters="none")
    assert [(one.label, one.part) for one in held.points[:30]] == [(one.label, "train") for one in lies.points]
    assert sum(group.leak for group in held.duplicates) == 5


def test_numbers_are_labels_in_words(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        [round(x, 3), "uv"[int(x > 0)], "" if i == 3 else round(2.5 * x, 3)] for i, x in enumerate(rng.normal(size=40))
    ]
    found = hs.explore(written(tmp_path / "t.csv", [["x", "sign", "y"], *rows]), target="y", way="pca", clusters="none")
    assert found.points[3].label is None
    assert found.points[0].label == f"{rows[0][2]:.4g}"
    assert found.suspects is None


def test_texts_and_series_without_labels(tmp_path: Path) -> None:
    words = [["text"], *([f"the weather is {'fine' if i % 2 else 'bad'} on day {i} of may"] for i in range(12))]
    texts = hs.explore(written(tmp_path / "w.csv", words), source="raw", way="pca", clusters="none")
    assert (texts.kind, len(texts.points)) == ("text", 12)
    at = np.arange(30)
    rows = [[f"t{i}" for i in at], *(np.sin(at / (2 + i % 2)).round(3) + 0.01 * i for i in range(12))]
    series = hs.explore(written(tmp_path / "s.csv", rows), source="raw", way="pca", out=tmp_path / "m", clusters="none")
    assert (series.kind, len(series.points)) == ("series", 12)
    assert '{"series":[[' in (tmp_path / "m" / "map.html").read_text()


@pytest.mark.slow
def test_the_command_prints_one_object(squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["explore", str(squares), "--source", "raw", "--map", "pca", "--clusters", "none", "--json"]
    assert main([*command, "--no-thumbnails", "--out", str(tmp_path / "map")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], len(found["points"]), found["way"]) == (1, 24, "pca")
    assert ";base64," not in (tmp_path / "map" / "map.html").read_text()


@pytest.mark.slow
def test_what_the_user_can_mend(squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explore", str(squares), "--clusters", "1"]) == 2
    assert "--clusters auto, hdbscan, none or a number from 2" in capsys.readouterr().err
    assert main(["explore", str(squares), "--map", "pac"]) == 2
    assert "Did you mean pca?" in capsys.readouterr().err
    with pytest.raises(UserError, match="a map by auto, pca or umap"):
        hs.explore(squares, way="tsne")  # pyright: ignore[reportArgumentType]
    (tmp_path / "few").mkdir()
    for name in ("00.png", "01.png"):
        shutil.copy(squares / name, tmp_path / "few")
    with pytest.raises(UserError, match="at least 3 readable examples"):
        hs.explore(tmp_path / "few", source="raw")


@pytest.mark.slow
def test_without_scikit_learn_there_is_a_map_and_a_word(squares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "installed", lambda name: False)
    found = hs.explore(squares, source="raw", way="pca")
    assert found.clusters.found == ()
    assert found.warnings[-1].endswith("pip install 'headstart[explore]' brings what finds them")


def test_clusters_that_cannot_be_are_said(tmp_path: Path) -> None:
    few = [["a", "b"], *np.eye(2).tolist() * 4]
    asked = hs.explore(written(tmp_path / "few.csv", few), way="pca", clusters=3).clusters
    assert (len(asked.found), asked.sentence) == (2, "2 clusters, not 3 as asked: no more than 2 examples differ.")
    auto = hs.explore(tmp_path / "few.csv", way="pca").clusters
    assert auto.sentence == "No clusters were looked for: 8 examples are too few, 10 would do. Ask for a number."
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(30, 2)) * 0.01 + at for at in ([1, 1], [1, -1], [-1, 0])])
    dense = hs.explore(
        written(tmp_path / "t.csv", [["a", "b"], *rows.tolist()]), way="pca", clusters="hdbscan"
    ).clusters
    assert dense.sentence.endswith("Whether they repeat themselves was not looked at.")
    assert not dense.clear


def test_several_stages_are_not_one(squares: Path) -> None:
    with pytest.raises(UserError, match=r"one --stage, got '\*', which is stem, .*\nName one of these"):
        hs.explore(squares, source="random:resnet10t", stage="*", clusters="none")


def test_no_clear_clusters_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [["a", "b", "c", "d"], *rng.normal(size=(80, 4)).round(4).tolist()]
    found = hs.explore(written(tmp_path / "t.csv", rows), way="pca")
    assert found.clusters.sentence.startswith("No clear clusters")
    assert not found.clusters.clear
    assert {one.cluster for one in found.points} == {-1}
