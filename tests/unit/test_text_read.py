"""Folders and tables of texts as data sets; what cannot be used is counted and named, and whose data it is is found."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from headstart.core.errors import UserError
from headstart.core.problem import Task
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.labelled import Where
from headstart.modalities import catalog
from headstart.modalities.text import read as reading
from headstart.modalities.text.modality import TEXT
from headstart.modalities.text.read import read_at, read_inputs
from headstart.modalities.text.reader import SHOWN, TextReader

Row = dict[str, str | None]
TASK = Task("mood", "classification", ("bad", "good"))
ROWS: list[Row] = [
    {"id": f"r{i}", "review": f"{mood} film, number {i}", "mood": mood, "who": f"p{i % 2}", "split": split}
    for i, (mood, split) in enumerate([("good", "train"), ("bad", "train")] * 3 + [("good", "test"), ("bad", "test")])
]


def read(path: Path, **named: str | Path) -> Dataset:
    return read_at(Where(path, **named), Silent())  # type: ignore[arg-type]


def written(path: Path, text: str = "some words") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def folder(root: Path, classes: tuple[str, ...] = ("bad", "good"), mark: str = "") -> Path:
    """A folder a class, three texts each; another mark gives other texts."""
    for name in classes:
        for i in range(3):
            written(root / name / f"{i}.txt", f"{name} film, number {i}{mark}")
    return root


def table(path: Path, rows: Sequence[Row] = ROWS) -> Path:
    """In the form that the ending says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            lines = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            lines.writeheader()
            lines.writerows(rows)
    return path


def texts(data: Dataset, part: str | None = None) -> list[str]:
    return [item.content for i, item in enumerate(data.items) if part is None or (data.parts or [])[i] == part]


def labels(data: Dataset) -> dict[str, str]:
    return {item.name: data.task.classes[code] for item, code in zip(data.items, data.targets.tolist(), strict=True)}


def skipped(data: Dataset) -> dict[str, str]:
    return {file.name: file.why for file in data.skipped}


# Folders


def test_a_folder_a_class(tmp_path: Path) -> None:
    data = read(folder(tmp_path))
    assert data.task == Task("class", "classification", ("bad", "good"))
    assert data.modality is TEXT
    assert labels(data) == {f"{c}/{i}.txt": c for c in ("bad", "good") for i in range(3)}
    assert texts(data)[0] == "bad film, number 0"
    assert (data.parts, data.skipped, data.warnings) == (None, (), ())
    assert len(set(data.groups.tolist())) == 6


def test_train_and_test_folders(tmp_path: Path) -> None:
    folder(tmp_path / "train")
    folder(tmp_path / "test", mark=" again")
    data = read(tmp_path)
    assert len(texts(data, "train")) == 6
    assert texts(data, "test") == [f"{c} film, number {i} again" for c in ("bad", "good") for i in range(3)]


def test_names_with_spaces_and_signs_and_a_mark_of_byte_order(tmp_path: Path) -> None:
    root = folder(tmp_path / "my films", ("not so good", "Zürich 東京"))
    (root / "not so good" / "a b.md").write_text("with a mark", encoding="utf-8-sig")
    data = read(root)
    assert labels(data)["not so good/a b.md"] == "not so good"
    assert "with a mark" in texts(data)
    assert data.task.classes == ("Zürich 東京", "not so good")


SPOILT = {
    "empty.txt": (b"", "empty"),
    "blank.txt": (b" \n\t ", "empty"),
    "latin.txt": ("Gr\u00fc\u00dfe".encode("latin-1"), "not UTF-8"),
    "utf16.txt": ("words".encode("utf-16"), "not UTF-8"),
    "large.txt": (b"word " * 100, "too large (more than 400 bytes)"),
    "sheet.pdf": (b"%PDF", "not a text file (.txt, .md)"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_cannot_be_read_is_skipped_with_its_reason(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGEST", 400)
    content, why = SPOILT[name]
    (folder(tmp_path) / "bad" / name).write_bytes(content)
    data = read(tmp_path)
    assert len(data) == 6
    assert skipped(data) == {f"bad/{name}": why}


def test_a_link_that_leads_nowhere_is_not_lost_in_silence(tmp_path: Path) -> None:
    (folder(tmp_path) / "bad" / "gone.txt").symlink_to(tmp_path / "nowhere.txt")
    assert skipped(read(tmp_path)) == {"bad/gone.txt": "cannot be read (No such file or directory)"}


def test_a_folder_takes_no_columns(tmp_path: Path) -> None:
    said = r"^expected a table for --target, --group and --text, got the folder .*\nLeave the"
    with pytest.raises(UserError, match=said):
        read(folder(tmp_path), target="mood")


# Equal texts


def test_copies_share_a_group_and_conflicts_are_named(tmp_path: Path) -> None:
    copy: Row = {**ROWS[0], "id": "copy"}
    data = read(table(tmp_path / "t.csv", [*ROWS[:6], copy]), target="mood")
    group = dict(zip(labels(data), data.groups.tolist(), strict=True))
    assert group["t.csv:7"] == group["t.csv:1"]
    assert len(set(group.values())) == 6
    assert data.warnings == ()
    torn = read(table(tmp_path / "t.csv", [*ROWS[:6], {**copy, "mood": "bad"}]), target="mood")
    assert torn.warnings == ("2 equal examples carry different labels: t.csv:1, t.csv:7",)


def test_what_the_test_part_has_leaves_the_training_part(tmp_path: Path) -> None:
    data = read(table(tmp_path / "t.csv", [*ROWS, {**ROWS[0], "split": "test"}]), target="mood")
    assert skipped(data) == {"t.csv:1": "also in the test part"}
    assert data.warnings == ("1 training examples left out because the test part has them too: t.csv:1",)
    assert "good film, number 0" in texts(data, "test")


def test_a_class_of_one_text_or_of_its_copies_is_left_out(tmp_path: Path) -> None:
    mild = [{**ROWS[0], "review": "so so", "mood": "mild"}] * 2
    data = read(table(tmp_path / "t.csv", [*ROWS[:6], *mild]), target="mood")
    assert data.task.classes == ("bad", "good")
    assert skipped(data) == dict.fromkeys(
        ("t.csv:7", "t.csv:8"), "its class has fewer than two different training examples"
    )
    assert data.warnings == ("classes with fewer than two different training examples left out: mild",)


# Tables


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "jsonl"])
def test_tables(tmp_path: Path, ending: str) -> None:
    data = read(table(tmp_path / f"t.{ending}"), target="mood", group="who")
    assert data.task == Task("mood", "classification", ("bad", "good"))
    assert labels(data)[f"t.{ending}:2"] == "bad"
    assert texts(data, "test") == ["good film, number 6", "bad film, number 7"]
    assert len(set(data.groups.tolist())) == 2  # p0 and p1
    assert read(tmp_path / f"t.{ending}", target="mood", text="id").items[0].content == "r0"


def test_the_column_with_the_most_words_is_read_even_where_rows_lack_it(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", [{**ROWS[0], "review": None}, *ROWS])
    assert texts(read(path, target="mood")) == [row["review"] for row in ROWS]


def test_numbers_can_be_read_as_texts_where_their_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("code,mood\n11,a\n12,a\n21,b\n22,b\n")
    assert texts(read(path, target="mood", text="code")) == ["11", "12", "21", "22"]


def test_rows_without_words_or_without_a_label_are_left_out(tmp_path: Path) -> None:
    odd: list[Row] = [{**ROWS[0], "review": "  "}, {**ROWS[0], "review": "unsaid", "mood": ""}]
    data = read(table(tmp_path / "t.csv", [*ROWS[:6], *odd]), target="mood")
    assert len(data) == 6
    assert skipped(data) == {"t.csv:7": "empty", "t.csv:8": "no label"}


def test_a_label_that_is_not_a_number_is_none(tmp_path: Path) -> None:
    said = {"text": [f"film {at}" for at in range(12)], "label": [1.0, 0.0] * 5 + [float("nan")] * 2}
    pq.write_table(pa.table(said), tmp_path / "t.parquet")
    data = read(tmp_path / "t.parquet", target="label", kind="classification")
    assert data.task.classes == ("0.0", "1.0")
    assert skipped(data) == {"t.parquet:11": "no label", "t.parquet:12": "no label"}


def test_rows_are_counted_whatever_is_left_out_before_them(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "review": ""}, *ROWS[:6]]
    assert list(labels(read(table(tmp_path / "t.csv", rows), target="mood"))) == [f"t.csv:{i}" for i in range(2, 8)]


def test_texts_of_several_lines_may_stand_in_quotes(tmp_path: Path) -> None:
    rows = [{**row, "review": f'{row["review"]}\nsecond line, "quoted"'} for row in ROWS[:6]]
    assert texts(read(table(tmp_path / "t.csv", rows), target="mood"))[0] == (
        'good film, number 0\nsecond line, "quoted"'
    )


def test_texts_of_several_lines_may_stand_in_a_large_table(tmp_path: Path) -> None:
    """pyarrow reads in blocks of a megabyte, and looks for the end of a row in each."""
    rows = [{**ROWS[i % 2], "review": f"number {i}\n{'x y ' * 200}\nend"} for i in range(1500)]
    assert len(read(table(tmp_path / "t.csv", rows), target="mood")) == 1500


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "no target": ({}, "expected --target COLUMN for a table, got none; {} has id, review, mood, who, split\nName the"),
    "target": ({"target": "mod"}, "expected a column of {} for --target, got 'mod'\nDid you mean mood?"),
    "text": ({"target": "mood", "text": "revue"}, "expected a column of {} for --text, got 'revue'\nDid you mean rev"),
    "group": ({"target": "mood", "group": "whom"}, "expected a column of {} for --group, got 'whom'\nDid you mean wh"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_column_that_is_not_there_is_refused_with_what_may_be_meant(case: str, tmp_path: Path) -> None:
    named, says = REFUSED[case]
    path = table(tmp_path / "t.csv")
    with pytest.raises(UserError, match=f"^{re.escape(says.format(path))}"):
        read(path, **named)


def test_a_table_without_texts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,mood\n1,2,x\n3,4,y\n")
    says = f"expected a column of texts in {path}, got none among a, b, mood\nName it with --text COLUMN."
    with pytest.raises(UserError, match=f"^{re.escape(says)}$"):
        read(path, target="mood")


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("review,mood\nschön war es,a\nso so,b\n".encode("latin-1"))
    says = f"expected a table in UTF-8, got other bytes in 'review' of {path}\nSave it as UTF-8."
    with pytest.raises(UserError, match=f"^{re.escape(says)}$"):
        read(path, target="mood")


def test_another_table_is_the_test(tmp_path: Path) -> None:
    mine = [{k: v for k, v in row.items() if k != "split"} for row in ROWS]
    first, second = table(tmp_path / "mine.csv", mine[:6]), table(tmp_path / "theirs.csv", mine[6:])
    data = read(first, target="mood", test=second)
    assert texts(data, "test") == ["good film, number 6", "bad film, number 7"]
    assert len(texts(data, "train")) == 6


# Whose data it is


def pictures(root: Path) -> Path:
    """A folder a class of pictures, and a table of them with words beside each."""
    rows = ["file,about,kind"]
    for i, kind in enumerate(("cat", "dog") * 2):
        path = root / kind / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), i, dtype=np.uint8)).save(path)
        rows.append(f"{kind}/{i}.png,a picture of a {kind},{kind}")
    (root / "t.csv").write_text("\n".join(rows))
    return root


def test_folders_are_told_by_what_most_files_are(tmp_path: Path) -> None:
    shots, words = pictures(tmp_path / "shots"), folder(tmp_path / "words")
    written(shots / "readme.txt")
    for kind in ("cat", "dog"):
        written(shots / kind / "notes.txt")
    (words / "bad" / "scan.png").write_bytes((shots / "cat" / "0.png").read_bytes())
    assert catalog.kind_of(Where(shots)) == "image"
    assert catalog.kind_of(Where(words)) == "text"


def test_a_label_file_beside_every_picture_makes_no_texts(tmp_path: Path) -> None:
    root = pictures(tmp_path)
    (root / "t.csv").unlink()
    for path in list(root.rglob("*.png")):
        written(path.with_suffix(".txt"), "0 0.5 0.5 1 1")
    assert catalog.kind_of(Where(root)) == "image"


def test_what_lies_in_hidden_folders_does_not_count(tmp_path: Path) -> None:
    folder(tmp_path)
    for i in range(300):
        written(tmp_path / ".git" / "objects" / f"{i:x}")
    assert catalog.kind_of(Where(tmp_path)) == "text"


def test_tables_are_told_by_whether_files_or_words_stand_in_them(tmp_path: Path) -> None:
    pictured, spoken = pictures(tmp_path) / "t.csv", table(tmp_path / "words.csv")
    assert catalog.kind_of(Where(pictured, target="kind")) == "image"
    assert catalog.kind_of(Where(spoken, target="mood")) == "text"
    assert catalog.kind_of(Where(pictured, target="kind", text="about")) == "text"
    assert catalog.kind_of(Where(spoken, target="review")) == "table"  # single words are left: categories


@pytest.mark.parametrize("name", ["nowhere", "nowhere.csv", "broken.parquet", "empty", "t.xlsx"])
def test_what_nobody_recognises_is_left_to_the_reader_of_pictures(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    assert catalog.kind_of(Where(tmp_path / name, target="mood")) == "image"


# What is to be predicted


def test_strings_files_and_tables_are_read_in_order(tmp_path: Path) -> None:
    one = written(tmp_path / "one.txt", "from a file")
    rows = table(tmp_path / "t.csv", [{"id": "1", "review": "from a row"}, {"id": "2", "review": "from another"}])
    data = read_inputs(["as it is", one, rows, "t.csv"], TASK)
    assert texts(data) == ["as it is", "from a file", "from a row", "from another", "t.csv"]
    assert [item.name for item in data.items] == ["text 1", str(one), f"{rows}:1", f"{rows}:2", "text 4"]
    assert data.targets.tolist() == [-1] * 5
    assert data.modality is TEXT


def test_equal_texts_have_one_key_wherever_they_stand(tmp_path: Path) -> None:
    rows = table(tmp_path / "t.csv", [{"id": "1", "review": "the same words"}])
    given = ["the same words", written(tmp_path / "one.txt", "the same words"), rows]
    assert len({item.key for item in read_inputs(given, TASK).items}) == 1


def test_an_input_that_cannot_be_read_is_refused_by_its_name(tmp_path: Path) -> None:
    path, gone = tmp_path / "a.pdf", tmp_path / "gone.txt"
    path.write_bytes(b"%PDF")
    for given, came in (
        ("  ", "text 1: empty"),
        (path, f"{path}: not a text file (.txt, .md)"),
        (gone, f"{gone}: cannot be read (No such file or directory)"),
    ):
        says = f"expected a text that can be read, got {came}\nLeave it out, or repair it."
        with pytest.raises(UserError, match=f"^{re.escape(says)}$"):
            read_inputs([given], TASK)
    with pytest.raises(UserError, match=r"^expected at least one text, got none\nGive the texts"):
        read_inputs([], TASK)


def test_an_empty_input_is_called_empty(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", [{"id": "1", "review": "words"}, {"id": "2", "review": ""}])
    for given, name in (("", "text 1"), (path, f"{path}:2")):
        with pytest.raises(UserError, match=rf"got {re.escape(name)}: empty\n"):
            read_inputs([given], TASK)


def test_a_string_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(UserError, match="text 1: "):
        read_inputs(["half of a pair: \ud800"], TASK)


def test_a_long_text_is_shown_up_to_a_word() -> None:
    (short, long) = read_inputs(["a\n  b", "words " * 100], TASK).items
    assert TextReader().shown(short) == "a b"
    shown = TextReader().shown(long)
    assert shown.endswith("words …")
    assert len(shown) <= SHOWN + 2
