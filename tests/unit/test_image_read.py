"""Folders and tables of pictures as data sets; what cannot be used is counted and named."""

import json
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from headstart.core.errors import UserError
from headstart.core.problem import Task
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.modalities.image import files
from headstart.modalities.image.read import read, read_files


def draw(path: Path, seed: int, side: int = 12) -> Path:
    """A small picture that no other seed gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)
    return path


def folder(root: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 3, seed: int = 0) -> Path:
    """A folder a class."""
    for c, name in enumerate(classes):
        for i in range(count):
            draw(root / name / f"{i}.png", seed + 100 * c + i)
    return root


def bomb(path: Path, width: int = 20_000, height: int = 20_000) -> Path:
    """A PNG of a few bytes that claims to be huge."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b""))
    return path


def names(data: Dataset, part: str | None = None) -> list[str]:
    return [item.name for i, item in enumerate(data.items) if part is None or (data.parts or [])[i] == part]


def labels(data: Dataset) -> dict[str, str]:
    return {item.name: data.task.classes[code] for item, code in zip(data.items, data.targets.tolist(), strict=True)}


def skipped(data: Dataset) -> dict[str, str]:
    return {file.name: file.why for file in data.skipped}


def test_a_folder_a_class(tmp_path: Path) -> None:
    data = read(folder(tmp_path))
    assert data.task == Task("class", "classification", ("cat", "dog"))
    assert names(data) == [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(3)]
    assert data.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.parts is None
    assert len(set(data.groups.tolist())) == 6
    assert data.skipped == ()
    assert data.warnings == ()


def test_folders_inside_a_class_belong_to_it(tmp_path: Path) -> None:
    draw(folder(tmp_path) / "cat" / "indoor" / "deep" / "9.png", 9)
    assert labels(read(tmp_path))["cat/indoor/deep/9.png"] == "cat"


def test_train_and_test_folders(tmp_path: Path) -> None:
    folder(tmp_path / "train")
    folder(tmp_path / "test", seed=10)
    folder(tmp_path / "val", seed=20)
    data = read(tmp_path)
    assert data.task.classes == ("cat", "dog")
    assert len(names(data, "test")) == 6
    assert all(name.startswith("test/") for name in names(data, "test"))
    assert {name.split("/")[0] for name in names(data, "train")} == {"train", "val"}


def test_classes_called_train_and_car_are_classes(tmp_path: Path) -> None:
    assert read(folder(tmp_path, ("car", "train"))).task.classes == ("car", "train")


def test_another_folder_as_the_test(tmp_path: Path) -> None:
    data = read(folder(tmp_path / "mine"), test=folder(tmp_path / "theirs", seed=10))
    assert names(data, "test") == [f"theirs/{c}/{i}.png" for c in ("cat", "dog") for i in range(3)]
    assert len(names(data, "train")) == 6


def test_what_systems_leave_behind_is_no_picture_and_no_class(tmp_path: Path) -> None:
    folder(tmp_path)
    for name in (".DS_Store", "cat/Thumbs.db", "cat/.hidden.png", "dog/desktop.ini", "cat/._0.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    draw(tmp_path / ".git" / "a.png", 7)
    data = read(tmp_path)
    assert len(data) == 6
    assert data.skipped == ()


def test_names_with_anything_in_them(tmp_path: Path) -> None:
    strange = ("Zürich 東京", "<script>alert(1)<", "a b  c")
    data = read(folder(tmp_path, strange, count=2))
    assert set(data.task.classes) == set(strange)
    draw(tmp_path / strange[0] / "ß & 'ö' \"x\".png", 77)
    assert labels(read(tmp_path))[f"{strange[0]}/ß & 'ö' \"x\".png"] == strange[0]


def test_links_are_followed_and_broken_ones_are_not_lost_in_silence(tmp_path: Path) -> None:
    kept = folder(tmp_path / "kept")
    root = tmp_path / "linked"
    root.mkdir()
    (root / "cat").symlink_to(kept / "cat", target_is_directory=True)
    (root / "dog").mkdir()
    for i in range(3):
        (root / "dog" / f"{i}.png").symlink_to(kept / "dog" / f"{i}.png")
    (root / "dog" / "gone.png").symlink_to(kept / "nowhere.png")
    data = read(root)
    assert len(data) == 6
    assert list(skipped(data)) == ["dog/gone.png"]


SPOILT = {
    "empty.png": (lambda path: path.write_bytes(b""), "^empty$"),
    "text.png": (lambda path: path.write_text("I am no picture"), "not a picture"),
    "notes.txt": (lambda path: path.write_text("notes"), "not a picture"),
    "cut.png": (lambda path: path.write_bytes(draw(path, 5, 64).read_bytes()[:3000]), "damaged"),
    "cut.jpg": (lambda path: path.write_bytes(draw(path, 6, 64).read_bytes()[:1500]), "damaged"),
    "head.jpg": (lambda path: path.write_bytes(b"\xff\xd8\xff\xe0"), "not a picture|damaged"),
    "bomb.png": (bomb, "too large"),
    "medium.png": (lambda path: bomb(path, 15_000, 12_500), "too large"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_cannot_be_decoded_is_skipped_with_its_reason(tmp_path: Path, name: str) -> None:
    spoil, why = SPOILT[name]
    spoil(folder(tmp_path) / "cat" / name)
    data = read(tmp_path)
    assert len(data) == 6
    assert list(skipped(data)) == [f"cat/{name}"]
    assert re.search(why, skipped(data)[f"cat/{name}"])


def test_reasons_are_remembered_too(tmp_path: Path) -> None:
    for name, (spoil, _) in SPOILT.items():
        spoil(folder(tmp_path / "data") / "cat" / name)
    first = read(tmp_path / "data", store=Store(tmp_path / "cache"))
    store = Store(tmp_path / "cache")
    second = read(tmp_path / "data", store=store)
    assert store.counters["decoded"] == 0
    assert second.skipped == first.skipped
    assert len(second.skipped) == len(SPOILT)


def test_a_second_read_decodes_nothing_and_says_the_same(tmp_path: Path) -> None:
    root, first = folder(tmp_path / "data"), Store(tmp_path / "cache")
    data = read(root, store=first)
    assert first.counters["decoded"] == 6
    second = Store(tmp_path / "cache")
    again = read(root, store=second)
    assert second.counters["decoded"] == 0
    assert again.fingerprint == data.fingerprint
    assert again.items == data.items


def test_the_limit_on_pixels_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 100)
    draw(tmp_path / "a.png", 0, 11)
    assert files.state(tmp_path / "a.png") == "too large (11 x 11 pixels)"
    draw(tmp_path / "a.png", 0, 10)
    assert files.state(tmp_path / "a.png") == files.GOOD


def test_what_the_test_part_has_leaves_the_training_part(tmp_path: Path) -> None:
    folder(tmp_path / "train")
    folder(tmp_path / "test", seed=10)
    draw(tmp_path / "train" / "cat" / "leak.png", 10)
    data = read(tmp_path)
    assert skipped(data) == {"train/cat/leak.png": "also in the test part"}
    (said,) = data.warnings
    assert said == "1 training examples left out because the test part has them too: train/cat/leak.png"
    assert "test/cat/0.png" in names(data, "test")


def test_equal_pictures_share_a_group_and_conflicts_are_named(tmp_path: Path) -> None:
    draw(folder(tmp_path) / "cat" / "copy.png", 0)
    data = read(tmp_path)
    group = dict(zip(names(data), data.groups.tolist(), strict=True))
    assert group["cat/copy.png"] == group["cat/0.png"]
    assert len(set(group.values())) == 6
    assert data.warnings == ()
    draw(tmp_path / "dog" / "torn.png", 1)
    (said,) = read(tmp_path).warnings
    assert said == "2 equal examples carry different labels: cat/1.png, dog/torn.png"


def test_classes_of_one_example_are_left_out(tmp_path: Path) -> None:
    draw(folder(tmp_path, ("ant", "dog", "eel")) / "cow" / "0.png", 900)
    data = read(tmp_path)
    assert data.task.classes == ("ant", "dog", "eel")
    assert set(labels(data).values()) == {"ant", "dog", "eel"}
    assert labels(data)["eel/0.png"] == "eel"
    assert list(skipped(data)) == ["cow/0.png"]
    assert data.warnings == ("classes with fewer than two different training examples left out: cow",)


def test_copies_of_one_picture_are_one_example(tmp_path: Path) -> None:
    draw(draw(folder(tmp_path) / "cow" / "0.png", 900).parent / "1.png", 900)
    (cow,) = {why for name, why in skipped(read(tmp_path)).items() if name.startswith("cow/")}
    assert cow == "its class has fewer than two different training examples"


def _rows(root: Path) -> list[dict[str, object]]:
    folder(root)
    return [
        {
            "id": f"row {i}",
            "file": f"{c}/{i}.png",
            "kind": c,
            "patient": f"p{i}",
            "split": "test" if i == 2 else "train",
        }
        for c in ("cat", "dog")
        for i in range(3)
    ]


def _csv(path: Path, rows: list[dict[str, object]], by: str = ",") -> Path:
    path.write_text("\n".join([by.join(rows[0]), *(by.join(map(str, row.values())) for row in rows)]) + "\n")
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "jsonl"])
def test_tables(tmp_path: Path, ending: str) -> None:
    rows, path = _rows(tmp_path), tmp_path / f"t.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        _csv(path, rows, "\t" if ending == "tsv" else ",")
    data = read(path, target="kind", group="patient")
    assert data.task == Task("kind", "classification", ("cat", "dog"))
    assert labels(data)["dog/1.png"] == "dog"
    assert names(data, "test") == ["cat/2.png", "dog/2.png"]
    group = dict(zip(names(data), data.groups.tolist(), strict=True))
    assert group["cat/0.png"] == group["dog/0.png"]
    assert len(set(group.values())) == 3
    assert len(set(read(path, target="kind").groups.tolist())) == 6


def test_numbers_can_be_classes_and_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    rows = [row | {"grade": i % 2} for i, row in enumerate(_rows(tmp_path))]
    path = _csv(tmp_path / "t.csv", rows)
    assert read(path, target="grade").task.classes == ("0", "1")
    draw(tmp_path / "cat" / "none.png", 800)
    unlabelled = {**rows[0], "file": "cat/none.png", "kind": None}
    pq.write_table(pa.Table.from_pylist([*rows, unlabelled]), tmp_path / "t.parquet")
    data = read(tmp_path / "t.parquet", target="kind")
    assert len(data) == 6
    assert skipped(data) == {"cat/none.png": "no label"}


def test_a_table_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    rows = [*_rows(tmp_path), {"id": "r", "file": "gone.png", "kind": "cat", "patient": "p", "split": "train"}]
    data = read(_csv(tmp_path / "t.csv", rows), target="kind")
    assert skipped(data) == {"gone.png": "cannot be read (No such file or directory)"}


def test_a_picture_named_twice_in_a_table_is_kept_once_a_row(tmp_path: Path) -> None:
    rows = _rows(tmp_path)
    data = read(_csv(tmp_path / "t.csv", [*rows, rows[0]]), target="kind")
    assert len(data) == 7
    assert len(set(data.groups.tolist())) == 6


def test_files_to_predict(tmp_path: Path) -> None:
    a, b = draw(tmp_path / "a.png", 0), draw(tmp_path / "b.png", 1)
    data = read_files([b, str(a), b], Task("class", "classification", ("x", "y")))
    assert [item.path for item in data.items] == [b, a, b]  # one a file that was named, in order
    assert data.targets.tolist() == [-1, -1, -1]
    with pytest.raises(UserError, match="at least one picture"):
        read_files([], data.task)
