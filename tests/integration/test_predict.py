"""Predicting many files: in order, the damaged ones named, memory flat, nothing left in the cache."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

import headstart as hs
from headstart.cli.main import main
from headstart.core.errors import UserError
from headstart.core.record import SkippedFile
from headstart.saved import CHUNK, Saved

SOURCE = "random:test_resnet@64"


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Result:
    out = tmp_path_factory.mktemp("predict") / "run"
    return hs.fit(photos, sources=[SOURCE], strategies=["linear"], minutes=0.05, deliver="transfer", out=out)


def made(folder: Path, n: int) -> list[Path]:
    """Pictures of many sizes; every seventh is damaged."""
    folder.mkdir(exist_ok=True)
    chances = np.random.default_rng(0)
    paths: list[Path] = []
    for at in range(n):
        path = folder / f"{at:05d}.png"
        Image.fromarray(chances.integers(0, 255, (20 + at % 30, 30, 3), dtype=np.uint8)).save(path)
        if at % 7 == 3:
            path.write_bytes(path.read_bytes()[: 200 if at % 2 else 0])
        paths.append(path)
    return paths


def test_answers_come_in_order_across_chunks_and_the_damaged_are_named(run: hs.Result, tmp_path: Path) -> None:
    paths = made(tmp_path / "new", CHUNK + 70)
    found = list(run.answers([tmp_path / "new"]))
    assert [one.name if isinstance(one, SkippedFile) else one.file for one in found] == list(map(str, paths))
    skipped = [one for one in found if isinstance(one, SkippedFile)]
    assert [Path(one.name).stem for one in skipped] == [f"{at:05d}" for at in range(3, CHUNK + 70, 7)]
    assert {one.why.split(" (")[0] for one in skipped} == {"damaged", "empty"}
    good = [path for at, path in enumerate(paths) if at % 7 != 3]
    alone = [run.predict([path])[0] for path in (good[0], good[-1])]
    spoken = [one for one in found if not isinstance(one, SkippedFile)]
    for one, other in zip(alone, (spoken[0], spoken[-1]), strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)  # whatever shares its batch


def test_nothing_is_left_in_the_cache(run: hs.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    made(tmp_path / "new", 10)
    assert len(list(hs.load(run.run).answers([tmp_path / "new"]))) == 10
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_the_command_writes_all_and_says_what_it_could_not_read(
    run: hs.Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path / "new pictures", 50)
    out = tmp_path / "said.parquet"
    assert main(["predict", str(run.run), str(tmp_path / "new pictures"), "--out", str(out), "--quiet"]) == 1
    printed = capsys.readouterr()
    assert "said.parquet: 43 answers" in printed.out
    assert "7 of 50 could not be read: " in printed.err
    assert "; and 2 more" in printed.err
    table = pq.read_table(out)
    assert table.num_rows == 50
    assert sum(one is not None for one in table["error"].to_pylist()) == 7
    assert main(["predict", str(run.run), str(tmp_path / "new pictures"), "--out", str(out)]) == 2
    assert "expected a new file" in capsys.readouterr().err


def test_what_could_be_read_is_shown_as_well(
    run: hs.Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = made(tmp_path / "new", 5)
    assert main(["predict", str(run.run), *map(str, paths), "--json", "--quiet"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [one["file"] for one in found["predictions"]] == [str(paths[at]) for at in (0, 1, 2, 4)]
    assert found["skipped"][0]["name"] == str(paths[3])
    assert main(["predict", str(run.run), str(paths[3]), "--quiet"]) == 2
    assert "expected at least one example that can be read, got " in capsys.readouterr().err


def test_names_that_no_file_can_have_and_folders_without_files_are_named(run: hs.Result, tmp_path: Path) -> None:
    (good, *_), long = made(tmp_path / "new", 1), "a" * 300 + ".png"
    (tmp_path / "empty").mkdir()
    first, second, third = run.answers([long, tmp_path / "empty", good])
    assert isinstance(first, SkippedFile)
    assert first.why == "cannot be read (File name too long)"
    assert isinstance(second, SkippedFile)
    assert not isinstance(third, SkippedFile)


def test_a_table_stands_for_its_pictures_and_one_among_them_does_not(run: hs.Result, tmp_path: Path) -> None:
    first, second, *_ = made(tmp_path / "new", 3)
    pd.DataFrame({"shot": [second.name, "gone.png", None, first.name]}).to_csv(tmp_path / "new/list.csv", index=False)
    found = list(run.answers([tmp_path / "new/list.csv"]))
    assert [one.name if isinstance(one, SkippedFile) else one.file for one in found] == [
        second.name, "gone.png", f"{tmp_path / 'new/list.csv'}:3", first.name,
    ]  # fmt: skip
    assert [one.why for one in found if isinstance(one, SkippedFile)] == [
        "cannot be read (No such file or directory)", "empty",
    ]  # fmt: skip
    *pictures, listed = run.answers([tmp_path / "new"])
    assert not any(isinstance(one, SkippedFile) for one in pictures)
    assert isinstance(listed, SkippedFile)
    assert listed.why.startswith("a table among other files")


def test_what_is_in_memory_is_answered_as_files_are(run: hs.Result, tmp_path: Path) -> None:
    paths = made(tmp_path / "new", 3)
    arrays = [np.asarray(Image.open(path)) for path in paths]
    told = [one.probabilities for one in run.predict(paths)]
    forms = (arrays, [Image.fromarray(one) for one in arrays], pd.DataFrame({"shot": list(map(str, paths)), "n": 1}))
    for form in forms:
        found = run.predict(form)
        assert [one.probabilities for one in found] == told
        assert [one.file for one in found] == ["example 1", "example 2", "example 3"]
    assert run.predict(np.stack([arrays[0]] * 2))[1].probabilities == pytest.approx(told[0], abs=1e-5)
    assert run.predict(pd.Series(paths))[0].file == str(paths[0])


def test_what_is_no_example_is_refused_in_words(run: hs.Result) -> None:
    with pytest.raises(UserError, match=r"expected paths, an array of examples, a pandas DataFrame.*, got a int"):
        run.predict(5)
    with pytest.raises(UserError, match=r"a column of picture paths in it, got none among a"):
        run.predict(pd.DataFrame({"a": ["x"]}))
    with pytest.raises(UserError, match="expected data with rows, got a DataFrame without any"):
        run.predict(pd.DataFrame({"a": []}))
    for odd in (np.array(5.0), {"a": ["x"]}, {"a", "b"}):
        with pytest.raises(UserError, match=f"expected paths.*, got a {type(odd).__name__}"):
            run.predict(odd)
    with pytest.raises(UserError, match=r"several pictures, got one, of shape \(20, 24, 3\)"):
        run.predict(np.zeros((20, 24, 3), np.uint8))
    with pytest.raises(UserError, match="an array of examples"):
        run.predict(np.zeros((2, 0, 5, 3), np.uint8))


def test_what_cannot_be_opened_costs_no_other_answer(run: hs.Result, tmp_path: Path) -> None:
    (good,) = made(tmp_path / "new", 1)
    (tmp_path / "saved").mkdir()
    for name in ("dataset_info.json", "state.json"):
        (tmp_path / "saved" / name).write_text("")
    broken, nothing, answered = run.answers([tmp_path / "saved", None, good])
    assert isinstance(broken, SkippedFile)
    assert "a data set as `datasets` saves it" in broken.why
    assert nothing == SkippedFile(name="example 2", why="nothing")
    assert not isinstance(answered, SkippedFile)


def test_a_run_knows_what_is_unlike_its_training_examples(run: hs.Result, photos: Path) -> None:
    files = sorted(photos.rglob("*.png"))[:12]
    known = run.predict(files)
    assert sum(one.unlike is True for one in known) <= 1
    assert all(one.nearest[0].similarity > 0.99 for one in known)  # itself
    saved = Saved.open(run.run)
    assert saved.familiar is not None
    shown = saved.familiar.exhibit(known[0].nearest[0].name)
    assert shown is not None
    assert str(shown.picture).startswith("data:image/jpeg;base64,")


def test_a_private_run_keeps_no_training_examples(photos: Path, tmp_path: Path) -> None:
    private = hs.fit(
        photos, sources=[SOURCE], strategies=["linear"], minutes=0.05, out=tmp_path / "run", thumbnails=False
    )
    assert not list(private.run.glob("familiar*"))
    kept = hs.fit(photos, sources=[SOURCE], strategies=["linear"], minutes=0.05, out=tmp_path / "kept")
    assert len(list(kept.run.glob("familiar*"))) == 2
    hs.fit(photos, sources=[SOURCE], strategies=["linear"], minutes=0.05, out=tmp_path / "kept", thumbnails=False)
    assert not list(kept.run.glob("familiar*"))
    assert "data:image/jpeg" not in (kept.run / "report.html").read_text()
    (said,) = private.predict(sorted(photos.rglob("*.png"))[:1])
    assert said.unlike is None
    assert said.nearest == ()


def test_tables_in_a_folder_are_examples_where_examples_are_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = pd.DataFrame({"text": ["a bright noon", "a cold night"] * 8, "mood": ["up", "down"] * 8})
    texts["text"] += [f" {at}" for at in range(16)]
    run = hs.fit(texts, target="mood", sources=["random:text-cnn"], strategies=["linear"], minutes=0.02,
                 out=tmp_path / "run")  # fmt: skip
    (tmp_path / "new").mkdir()
    (tmp_path / "new/about.pdf").write_bytes(b"%PDF")
    texts[:3].to_csv(tmp_path / "new/rows.csv", index=False)
    skipped, *rows = run.answers([tmp_path / "new"])
    assert isinstance(skipped, SkippedFile)
    (tmp_path / "a cold night").mkdir()
    monkeypatch.chdir(tmp_path / "a cold night")
    Path("a bright noon").write_text("something else")
    named = run.predict(pd.DataFrame({"text": ["a bright noon"]}))
    assert named[0].probabilities == run.predict("a bright noon")[0].probabilities, "a text names no file"
    said, gap = run.answers([Path("a bright noon").rename("noon.txt"), None])
    assert not isinstance(said, SkippedFile)
    assert said.probabilities == run.predict("something else")[0].probabilities
    assert isinstance(gap, SkippedFile)
    assert [one.file for one in rows if not isinstance(one, SkippedFile)] == [
        f"{tmp_path / 'new/rows.csv'}:{at}" for at in (1, 2, 3)
    ]
