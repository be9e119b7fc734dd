"""Layouts of folders and tables at their edges: what is refused says why, what is odd is taken or named."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from headstart.core.errors import UserError
from headstart.data.dataset import Dataset
from headstart.modalities.image.prepare import square
from headstart.modalities.image.read import read
from headstart.sources.card import ImageInput


def _draw(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)
    return path


def _folder(root: Path, classes: tuple[str, ...] = ("cat", "dog"), seed: int = 0) -> Path:
    for c, name in enumerate(classes):
        for i in range(3):
            _draw(root / name / f"{i}.png", seed + 100 * c + i)
    return root


def _table(path: Path, extra: str = "", values: tuple[str, ...] = ("",) * 6, by: str = ",") -> Path:
    """A CSV of six pictures with one more column."""
    _folder(path.parent)
    files = [(f"{name}/{i}.png", name) for name in ("cat", "dog") for i in range(3)]
    rows = [by.join(("file", "label", extra)[: 2 + bool(extra)])]
    rows += [by.join((file, name, value)[: 2 + bool(extra)]) for (file, name), value in zip(files, values, strict=True)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def _skipped(data: Dataset) -> dict[str, str]:
    return {file.name: file.why for file in data.skipped}


def test_a_flat_test_folder_beside_train_is_no_class(tmp_path: Path) -> None:
    _folder(tmp_path / "train")
    _draw(tmp_path / "test" / "0.png", 7)
    with pytest.raises(UserError, match=r"expected class folders in each of test, train, got test without sub-folders"):
        read(tmp_path)


def test_pictures_beside_the_class_folders_are_named(tmp_path: Path) -> None:
    _draw(_folder(tmp_path) / "loose.png", 7)
    _folder(tmp_path / "parted" / "train")
    (tmp_path / "notes.txt").write_text("notes")
    data = read(tmp_path)
    assert _skipped(data)["loose.png"] == "no label"
    assert _skipped(data)["notes.txt"] == "not a picture"
    assert "loose.png" not in [item.name for item in data.items]


def test_what_editors_and_archives_leave_inside_a_class_is_no_example(tmp_path: Path) -> None:
    _draw(_folder(tmp_path) / "cat" / ".ipynb_checkpoints" / "0.png", 7)
    _draw(tmp_path / "__MACOSX" / "cat" / "0.png", 8)
    data = read(tmp_path)
    assert len(data) == 6
    assert data.task.classes == ("cat", "dog")


def test_one_class_name_in_two_spellings_of_its_accent_is_one_class(tmp_path: Path) -> None:
    _folder(tmp_path / "train", ("caf\u00e9", "dog"))
    _folder(tmp_path / "test", ("cafe\u0301", "dog"), seed=10)
    assert read(tmp_path).task.classes == ("caf\u00e9", "dog")


def test_classes_of_which_nothing_is_left_are_named(tmp_path: Path) -> None:
    (_folder(tmp_path) / "eel").mkdir()
    (tmp_path / "fox").mkdir()
    (tmp_path / "fox" / "0.jpg").write_bytes(b"broken")
    warnings = read(tmp_path).warnings
    assert warnings == ("folders without any file: eel", "classes without a readable example: fox")


def test_two_test_parts_are_one_too_many(tmp_path: Path) -> None:
    _folder(tmp_path / "mine" / "train")
    _folder(tmp_path / "mine" / "test", seed=10)
    theirs = _folder(tmp_path / "theirs", seed=20)
    with pytest.raises(UserError, match="expected one test part, got one inside the data and --test"):
        read(tmp_path / "mine", test=theirs)


def test_a_test_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs" / "cat").mkdir(parents=True)
    with pytest.raises(UserError, match="expected examples in --test"):
        read(_folder(tmp_path / "mine"), test=tmp_path / "theirs")


def test_a_table_may_be_tested_on_a_folder(tmp_path: Path) -> None:
    path = _table(tmp_path / "mine" / "t.csv")
    data = read(path, target="label", test=_folder(tmp_path / "theirs", seed=20))
    assert (data.parts or ()).count("test") == 6
    assert data.task.classes == ("cat", "dog")


def test_names_that_meet_do_not_mix(tmp_path: Path) -> None:
    mine = _folder(tmp_path / "mine", ("theirs", "dog"))
    _draw(mine / "theirs" / "dog" / "0.png", 50)
    data = read(mine, test=_folder(tmp_path / "theirs", ("theirs", "dog"), seed=20))
    met = [i for i, item in enumerate(data.items) if item.name == "theirs/dog/0.png"]
    assert len({data.items[i].key for i in met}) == len(met) == 2
    assert [data.task.classes[data.targets[i]] for i in met] == ["theirs", "dog"]


def test_groups_of_the_user_and_equal_pictures_hold_together(tmp_path: Path) -> None:
    path = _table(tmp_path / "t.csv", "patient", ("p", "p", "q", "r", "s", ""))
    _draw(tmp_path / "dog" / "0.png", 0)  # the same as cat/0.png: joins p and r
    data = read(path, target="label", group="patient")
    group = {item.name: int(number) for item, number in zip(data.items, data.groups, strict=True)}
    assert group["cat/0.png"] == group["cat/1.png"] == group["dog/0.png"]
    assert len(set(group.values())) == 4


def test_examples_without_a_group_stand_alone(tmp_path: Path) -> None:
    table = pa.table(
        {
            "file": [f"{name}/{i}.png" for name in ("cat", "dog") for i in range(3)],
            "label": ["cat"] * 3 + ["dog"] * 3,
            "patient": ["p", "p", None, None, None, "q"],
        }
    )
    _folder(tmp_path)
    pq.write_table(table, tmp_path / "t.parquet")
    assert len(set(read(tmp_path / "t.parquet", target="label", group="patient").groups.tolist())) == 5


def test_a_column_called_part_that_means_something_else_is_left_alone(tmp_path: Path) -> None:
    path = _table(tmp_path / "t.csv", "part", ("knee", "hip", "knee", "hip", "hip", "knee"))
    assert read(path, target="label").parts is None


@pytest.mark.parametrize(("value", "shown"), [("mars", "'mars'"), ("tset", "'tset'")])
def test_a_split_that_is_neither_train_nor_test_is_refused(tmp_path: Path, value: str, shown: str) -> None:
    path = _table(tmp_path / "t.csv", "split", ("train", "train", "test", "train", "train", value))
    with pytest.raises(UserError, match=f"expected train or test in 'split', got {shown}"):
        read(path, target="label")


def test_semicolons_are_seen(tmp_path: Path) -> None:
    assert len(read(_table(tmp_path / "t.csv", by=";"), target="label")) == 6


def test_long_texts_and_odd_bytes_in_a_table_are_no_paths(tmp_path: Path) -> None:
    path = _table(tmp_path / "t.csv", "remark", ("word " * 200, "a\0b", "c", "d", "e", "f"))
    assert len(read(path, target="label")) == 6


def test_one_column_name_twice_is_refused(tmp_path: Path) -> None:
    path = _table(tmp_path / "t.csv", "file", ("a", "b", "c", "d", "e", "f"))
    with pytest.raises(UserError, match=r"columns have different names, got 'file' twice"):
        read(path, target="label")


def test_another_encoding_is_refused(tmp_path: Path) -> None:
    path = _table(tmp_path / "t.csv")
    path.write_bytes(path.read_text().replace(",dog", ",\u00e4rger").encode("latin-1"))
    with pytest.raises(UserError, match=r"expected a table in UTF-8, got other bytes in 'label'"):
        read(path, target="label")


def test_a_target_of_structures_is_refused(tmp_path: Path) -> None:
    _folder(tmp_path)
    (tmp_path / "t.jsonl").write_text('{"file": "cat/0.png", "label": {"a": 1}}\n' * 3)
    with pytest.raises(UserError, match="a target for multi-label, got 'label' of type struct"):
        read(tmp_path / "t.jsonl", target="label")


def test_a_path_with_a_nul_is_skipped(tmp_path: Path) -> None:
    _folder(tmp_path)
    table = pa.table(
        {
            "file": ["cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png", "dog/\0.png"],
            "label": ["cat", "cat", "dog", "dog", "dog"],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    (why,) = _skipped(read(tmp_path / "t.parquet", target="label")).values()
    assert why.startswith("cannot be read")


def test_a_long_strip_does_not_grow_to_a_giant(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    resize = Image.Image.resize

    def watched(image: Image.Image, size: tuple[int, int], *more: object) -> Image.Image:
        sizes.append(size[0] * size[1])
        return resize(image, size, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "resize", watched)
    strip = Image.fromarray(np.arange(20_000, dtype=np.uint32).astype(np.uint8)[:, None])
    assert square(strip.convert("RGB"), ImageInput(size=224)).shape == (224, 224, 3)
    assert max(sizes) < 2_000_000
