"""Objects instead of paths: what is made of them is what a file with the same in it would be."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import headstart as hs
from headstart import asking
from headstart.core.errors import UserError
from headstart.data.dataset import Item
from headstart.data.handed import examples
from headstart.data.store import Store, cache_root
from headstart.data.tables import values
from headstart.modalities.image.encode import png
from headstart.modalities.series.values import unpacked
from headstart.modalities.table.read import opened

datasets = pytest.importorskip("datasets")

WORDS = ["a fine and lively film", "dull from end to end", "a joy to watch again", "nobody needs this one"] * 5
MOODS = ["good", "bad", "good", "bad"] * 5
TEXTS = {"review": WORDS, "mood": MOODS}


def digits(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    found = load_digits(n_class=2)
    return (found.images[:n] * 15).astype(np.uint8), found.target[:n]


def picture_set(n: int = 40) -> Any:
    pixels, codes = digits(n)
    features = datasets.Features({"image": datasets.Image(), "digit": datasets.ClassLabel(names=["zero", "one"])})
    given = {"image": [Image.fromarray(one) for one in pixels], "digit": codes.tolist()}
    return datasets.Dataset.from_dict(given, features=features)


def lines(table: Any) -> list[dict[str, Any]]:
    return pq.read_table(asking.given(table, None, None, Store())[0]).to_pylist()


def test_a_frame_a_table_and_a_file_are_the_same_data(tmp_path: Path) -> None:
    frame = pd.DataFrame(TEXTS)
    frame.to_csv(tmp_path / "reviews.csv", index=False)
    read = [hs.read(one, target="mood") for one in (tmp_path / "reviews.csv", frame, pa.table(TEXTS))]
    assert len({one.fingerprint for one in read}) == 1
    assert read[1].task.classes == ("bad", "good")
    assert read[1].modality.name == "text"
    assert read[1].column == "review"


def test_a_data_set_brings_its_classes_its_pictures_and_its_target(tmp_path: Path) -> None:
    pixels, codes = digits()
    for at, (one, code) in enumerate(zip(pixels, codes, strict=True)):
        folder = tmp_path / ("zero", "one")[code]
        folder.mkdir(exist_ok=True)
        Image.fromarray(one).save(folder / f"{at}.png")
    data, lies = hs.read(picture_set()), hs.read(tmp_path)
    assert (data.task.name, data.task.classes) == ("digit", ("one", "zero"))
    assert data.modality.name == "image"
    assert data.counts() == lies.counts()
    shown = [np.asarray(Image.open(item.path)) for item in data.items]
    assert np.array_equal(np.stack(shown), pixels)
    assert hs.read((pixels, np.array(["zero", "one"])[codes])).keys == data.keys  # arrays are the same pictures


def test_what_is_handed_in_twice_is_written_once() -> None:
    first = hs.read(picture_set(), target="digit").path
    there = sorted(path.stat().st_mtime_ns for path in cache_root().joinpath("handed").rglob("*.png"))
    assert there
    assert hs.read(picture_set(), target="digit").path == first
    assert sorted(p.stat().st_mtime_ns for p in cache_root().joinpath("handed").rglob("*.png")) == there


def test_rows_that_were_chosen_shuffled_or_filtered_are_those() -> None:
    one = datasets.Dataset.from_dict(TEXTS).shuffle(seed=3).select(range(7))
    assert lines(one) == list(one)


def test_splits_are_the_parts(tmp_path: Path) -> None:
    split = picture_set().train_test_split(10, seed=0)
    data = hs.read(split)
    assert data.parts is not None
    assert (data.parts.count("train"), data.parts.count("test")) == (30, 10)
    split.save_to_disk(tmp_path / "saved")
    saved = hs.read(tmp_path / "saved")
    assert saved.fingerprint == data.fingerprint
    assert Path(saved.path).name.startswith("saved-")
    picture_set().save_to_disk(tmp_path / "one")
    assert hs.read(tmp_path / "one").parts is None
    assert hs.read(datasets.DatasetDict(train=picture_set())).parts is None
    picture_set().to_parquet(tmp_path / "hub.parquet")
    assert hs.read(tmp_path / "hub.parquet").fingerprint == hs.read(picture_set()).fingerprint
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="a readable table"):
        hs.read(tmp_path / "broken.parquet", target="y")


def test_a_part_that_is_none_says_so() -> None:
    odd = datasets.DatasetDict(train=picture_set(), unsupervised=picture_set())
    with pytest.raises(UserError, match="train or test in 'split', got 'unsupervised'"):
        hs.read(odd)


def test_a_test_part_may_be_handed_in_too() -> None:
    data = hs.read(pd.DataFrame(TEXTS), target="mood", test=pd.DataFrame({"review": ["so so"], "mood": ["bad"]}))
    assert data.parts is not None
    assert data.parts.count("test") == 1


def test_codes_become_names_and_minus_one_none() -> None:
    label, tags = datasets.ClassLabel(names=["a", "b"]), datasets.List(datasets.ClassLabel(names=["x", "y"]))
    features = datasets.Features({"label": label, "tags": tags, "n": datasets.Value("int64")})
    given = {"label": [0, -1, 1], "tags": [[0, 1], [], None], "n": [0, 1, 2]}
    made = lines(datasets.Dataset.from_dict(given, features=features))
    assert [row["label"] for row in made] == ["a", None, "b"]
    assert [row["tags"] for row in made] == [["x", "y"], [], None]
    assert [row["n"] for row in made] == [0, 1, 2]


def test_pictures_of_files_stay_where_they_are(tmp_path: Path) -> None:
    paths = []
    for at, one in enumerate(digits(4)[0]):
        paths.append(str(tmp_path / f"{at}.png"))
        Image.fromarray(one).save(paths[-1])
    given = datasets.Dataset.from_dict({"image": paths, "y": list("abab")}).cast_column("image", datasets.Image())
    assert [row["image"] for row in lines(given)] == paths


def test_paths_of_a_frame_are_seen_from_where_the_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels, codes = digits(8)
    for at, one in enumerate(pixels):
        Image.fromarray(one).save(f"{at}.png")
    frame = pd.DataFrame({"file": [f"{at}.png" for at in range(8)], "y": [f"c{code}" for code in codes]})
    data = hs.read(frame, target="y")
    assert data.modality.name == "image"
    assert [item.path for item in data.items] == [tmp_path / f"{at}.png" for at in range(8)]


def test_arrays_are_series_rows_and_texts() -> None:
    rng = np.random.default_rng(0)
    series = rng.normal(size=(12, 2, 9)).astype(np.float32)
    data = hs.read((series, ["a", "b"] * 6))
    assert data.modality.name == "series"
    assert hs.read((rng.normal(size=(12, 3)), rng.normal(size=12)), kind="regression").modality.name == "table"
    assert hs.read((WORDS, MOODS)).fingerprint == hs.read(pd.DataFrame(TEXTS), target="mood").fingerprint


APART = [f"{text}, {at}" for at, text in enumerate(WORDS)]  # no two are equal
GAPS = ["good", float("nan"), "bad", None] * 5


@pytest.mark.parametrize(
    "given",
    [
        (APART, GAPS),
        (APART, np.array(GAPS, dtype=object)),
        (APART, pd.Series(GAPS, dtype="string")),
        pd.DataFrame({"review": APART, "target": GAPS}),
    ],
)
def test_nan_among_strings_is_no_label(given: Any) -> None:
    data = hs.read(given, target="target")
    assert data.task.classes == ("bad", "good")
    assert data.counts() == {"bad": 5, "good": 5}


def test_nan_among_numbers_is_no_label() -> None:
    codes = np.array([0.0, 1.0, np.nan, 0.0] * 5)
    for given in (
        (APART, codes),
        pa.table({"review": APART, "target": codes}),
        pd.DataFrame({"review": APART, "target": codes}),
    ):
        assert hs.read(given, target="target").counts() == {"0.0": 10, "1.0": 5}
    assert hs.read((digits(20)[0], codes)).counts() == {"0.0": 10, "1.0": 5}
    assert values(pa.table({"y": codes[:3]}), "y") == ["0.0", "1.0", None]


def test_nan_among_texts_is_no_text() -> None:
    assert [row["example"] for row in lines(([*WORDS[:2], float("nan")], list("aba")))] == [*WORDS[:2], None]


@pytest.mark.parametrize(
    "several", [[["a"], ["a", "b"], [], ["b"]], [["a"], ["a"], ["b"], ["b"]], [{"a"}, None, (), {"b"}]]
)
def test_lists_as_targets_are_labels(several: list[Any]) -> None:
    told = [None if one is None else list(one) for one in several]
    assert [row["target"] for row in lines((WORDS[:4], several))] == told
    data = hs.read((APART, several * 5))
    assert (data.task.kind, data.task.classes) == ("multi-label", ("a", "b"))


def test_pictures_may_have_any_size_and_mode() -> None:
    rng = np.random.default_rng(0)
    shapes = [(8, 8, 3), (9, 12, 3), (8, 8), (10, 7, 3)]
    arrays = [rng.integers(0, 255, shape, dtype=np.uint8) for shape in shapes]
    drawn = [Image.fromarray(one) for one in arrays]
    data = hs.read((arrays, list("abab")))
    assert [np.asarray(Image.open(item.path)).shape for item in data.items] == shapes
    assert hs.read((drawn, list("abab"))).keys == data.keys
    modes = ["P", "RGBA", "CMYK", "1"]
    changed = [Image.fromarray(arrays[0]).convert(mode) for mode in modes]
    kept = [Image.open(item.path) for item in hs.read((changed, list("abab"))).items]
    for one, was in zip(kept, changed, strict=True):
        assert np.array_equal(np.asarray(one.convert("RGB")), np.asarray(was.convert("RGB")))


def test_series_may_have_any_lengths() -> None:
    several = [np.arange(2.0 * n).reshape(2, n) for n in (30, 24, 27, 30)]
    data = hs.read((several, list("abab")))
    assert data.modality.name == "series"
    assert [unpacked(item.content).shape for item in data.items] == [one.shape for one in several]


def test_tensors_that_learn_are_their_values() -> None:
    rows = torch.arange(12.0).reshape(4, 3).requires_grad_()
    plain = lines((rows.detach().numpy(), list("abab")))
    assert lines((rows, list("abab"))) == plain
    assert lines((list(rows), list("abab"))) == plain


def test_a_part_without_the_label_column_has_no_labels() -> None:
    train, test = datasets.Dataset.from_dict(TEXTS), datasets.Dataset.from_dict({"review": WORDS[:3]})
    made = lines(datasets.DatasetDict(train=train, test=test))
    assert [row["mood"] for row in made] == [*MOODS, None, None, None]
    odd = datasets.Dataset.from_dict({"review": WORDS[:3], "mood": [1, 2, 3]})
    with pytest.raises(UserError, match=r"parts whose columns agree(?s:.*)mood(?s:.*)one type in all parts"):
        lines(datasets.DatasetDict(train=train, test=odd))


def test_a_column_may_be_named_by_a_number() -> None:
    assert hs.read(pd.DataFrame({0: MOODS, 1: WORDS}), target=0).task.name == "0"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "expected", "came"),
    [
        ({"a": [1]}, "a pandas DataFrame, a pyarrow Table", "a dict"),
        (pd.DataFrame({"a": [1, "x", None]}), "a DataFrame of plain columns", "got "),
        (pd.DataFrame({"a": []}), "data with rows", "a DataFrame without any"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "columns of different names", "'a' twice\nGive each column a"),
        (pa.table([[1], [2]], names=["a", "a"]), "columns of different names", "'a' twice\nGive each column a"),
        (([np.zeros((2, 2)), np.zeros((3, 3))], ["a", "b"]), "an array of examples", r"shape \(2, 2\) and type float"),
        (([{"a": 1}, {"a": 2}], ["a", "b"]), "an array of examples", "a dict among them"),
        ((torch.zeros(4, 3, dtype=torch.bfloat16), list("abab")), "what NumPy can read", "a Tensor .*BFloat16"),
        ((WORDS[:2], np.array(["a", 1], dtype=object)), "targets of one type", "None where there is none"),
        ((WORDS[:2], [["a"], "b"]), "targets of one type", "lists of labels"),
        (pa.table({"a": pa.array([{}], pa.struct([]))}), "columns that a Parquet file takes", "Leave such columns out"),
        ((WORDS, MOODS, MOODS), "a pair", "3 things"),
        ((WORDS, MOODS[:3]), "as many examples as targets", r"\(20,\) and \(3,\)"),
        ((np.zeros((4, 2, 2, 2)), list("abab")), "an array of examples", r"shape \(4, 2, 2, 2\)"),
        (datasets.Dataset.from_dict(TEXTS).to_iterable_dataset(), "can be read again", "an? IterableDataset"),
        (pd.DataFrame(TEXTS), "--target COLUMN for a table", "review, mood"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_said(given: Any, expected: str, came: str) -> None:
    with pytest.raises(UserError, match=f"(?s){expected}.*{came}"):
        hs.read(given)


def test_sounds_are_said_to_be_none_of_ours() -> None:
    about = '{"info": {"features": {"clip": {"_type": "Audio"}}}}'
    with pytest.raises(UserError, match="the Audio 'clip'"):
        hs.read(pa.table({"clip": ["x"]}).replace_schema_metadata({"huggingface": about}))


def test_a_column_called_split_is_no_hindrance() -> None:
    two = datasets.Dataset.from_dict({**TEXTS, "split": ["x"] * 20, "part": ["y"] * 20})
    assert {row["subset"] for row in lines(datasets.DatasetDict(train=two, test=two))} == {"train", "test"}
    three = two.add_column("subset", ["z"] * 20)
    with pytest.raises(UserError, match="split, part, subset taken"):
        lines(datasets.DatasetDict(train=three, test=three))


ASK = """
import sys, pathlib, pyarrow
from headstart.data.handed import handed
handed(pyarrow.table({"a": [1]}), None, pathlib.Path(sys.argv[1]), bytes)
print("datasets" in sys.modules, "torch" in sys.modules)
"""


def test_nobodys_package_is_imported_to_ask(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", ASK, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


def test_predictions_come_out_as_a_table_for_anyone(tmp_path: Path) -> None:
    on = ["out-of-fold", "out-of-fold, learned from less", "test"]
    rows = {"example": ["a", "a", "b"], "arm": ["linear"] * 3, "on": on, "share": [1.0, 0.5, 1.0], "halved": [0] * 3}
    pq.write_table(pa.table({**rows, "probabilities": [[0.25, 0.75]] * 3}), tmp_path / "predictions.parquet")
    found = hs.Result(record=None, run=tmp_path).predictions()  # type: ignore[arg-type]
    assert found.column_names == ["example", "arm", "on", "probabilities"]
    assert found["on"].to_pylist() == ["out-of-fold", "test"]
    assert found.to_pandas().example.tolist() == ["a", "b"]
    assert datasets.Dataset(found)[1]["probabilities"] == [0.25, 0.75]


@pytest.mark.slow
def test_a_run_on_a_data_set_predicts_compares_and_is_known_again(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"sources": ["random:resnet10t"], "strategies": ["linear"], "minutes": 0.2}
    run = hs.fit(picture_set(60), out=tmp_path / "run", thumbnails=False, **asked)
    assert run.record.tasks[0].classes == ("one", "zero")
    assert run.record.asked is not None
    assert (run.record.asked.target, run.record.asked.sources) == ("digit", ("random:resnet10t",))
    before = (tmp_path / "run" / "record.json").stat().st_mtime_ns
    assert hs.fit(picture_set(60), out=tmp_path / "run", thumbnails=False, **asked).record == run.record
    assert (tmp_path / "run" / "record.json").stat().st_mtime_ns == before
    image = io.BytesIO()
    Image.fromarray(digits(1)[0][0]).save(image, "PNG")
    (tmp_path / "new.png").write_bytes(image.getvalue())
    said = run.predictions().to_pandas()
    counted = said[(said.arm == "linear") & (said.on == "out-of-fold")].groupby("example").size()
    assert len(counted) == 60
    assert set(counted) == {run.record.budget.repeats}
    assert run.predict([tmp_path / "new.png"])[0].label in ("one", "zero")


def test_a_text_is_no_name_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a bright noon").write_text("something else")
    frame = pd.DataFrame({"text": ["a bright noon", "a cold night"]})
    for files, first in ((False, "a bright noon"), (True, str(tmp_path / "a bright noon"))):
        told = examples(frame, tmp_path / "written", png, files=files)
        assert isinstance(told, Path)
        assert pq.read_table(told)["text"].to_pylist() == [first, "a cold night"]


def test_rows_are_taken_one_by_one_and_codes_stay_what_they_are(tmp_path: Path) -> None:
    column = '{"code": "category", "n": "number"}'
    told = examples([{"code": "007", "n": 1}, {"n": 2.5}], tmp_path, png)
    assert isinstance(told, Path)
    rows = [one.content for one in opened(told, 0, column) if isinstance(one, Item)]
    assert rows == ['{"code": "007", "n": 1.0}', '{"code": null, "n": 2.5}']
