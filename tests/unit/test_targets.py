"""What a target column is taken for, and what becomes of cells that say nothing."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.core.errors import UserError
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.labelled import Where
from headstart.data.tables import MANY, SEVERAL, kind_of
from headstart.modalities.text.read import read_at


def texts(path: Path, targets: list[object], **asked: object) -> Dataset:
    rows = [{"text": f"words of number {i}", "y": y} for i, y in enumerate(targets)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return read_at(Where(path, "y", **asked), Silent())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (["a", "b"] * 300, "classification"),
        ([str(i) for i in range(300)], "classification"),
        ([True, False], "classification"),
        (list(range(MANY)) * 2, "classification"),
        (list(range(MANY + 1)), "regression"),
        ([i / 2 for i in range(SEVERAL)], "classification"),
        ([i / 2 for i in range(SEVERAL + 1)], "regression"),
        ([float(i) for i in range(MANY)] * 2, "classification"),
        ([float(i) for i in range(MANY)], "regression"),
        (list(range(SEVERAL)), "classification"),
        ([["a"], []], "multi-label"),
    ],
)
def test_a_column_is_taken_for_what_it_looks_like(column: list[object], kind: str) -> None:
    assert kind_of(pa.chunked_array([pa.array(column)])) == kind


def test_numbers_without_a_number_are_skipped_and_what_was_assumed_is_said(tmp_path: Path) -> None:
    found = texts(tmp_path / "t.jsonl", [*(i + 0.5 for i in range(30)), None])
    assert found.task.kind == "regression"
    assert (len(found), found.task.classes, found.counts()) == (30, (), {})
    assert [one.why for one in found.skipped] == ["no label"]
    assert found.warnings == ("y is read for regression, by what stands in it; --kind classification reads classes",)


def test_cells_of_labels_are_split_and_an_empty_one_has_none(tmp_path: Path) -> None:
    cells = ["red; blue", "red", "", "blue|red", "green", "blue"]
    found = texts(tmp_path / "t.jsonl", list(cells), kind="multi-label")
    assert found.task.classes == ("blue", "red")
    assert found.targets.tolist() == [[1, 1], [0, 1], [0, 0], [1, 1], [0, 0], [1, 0]]
    assert found.counts() == {"blue": 3, "red": 3}
    assert found.warnings == ("labels that fewer than two different training examples have, or lack, left out: green",)


def test_lists_are_labels(tmp_path: Path) -> None:
    lists = [["a", "b"], ["a"], [], ["b"], None]
    table = pa.table({"text": [f"words of {i}" for i in range(5)], "y": lists})
    pq.write_table(table, tmp_path / "t.parquet")
    found = read_at(Where(tmp_path / "t.parquet", "y"), Silent())
    assert (found.task.kind, found.task.classes, len(found)) == ("multi-label", ("a", "b"), 4)
    assert [one.why for one in found.skipped] == ["no label"]


@pytest.mark.parametrize(
    ("targets", "kind", "says"),
    [
        (["a", "b", "a", "b"], "regression", "a target of numbers, got 'y' without any"),
        ([1, 1, 1, 1, 1, 1], "regression", "at least 2 different numbers to learn from, got 1"),
        (["a", "a", "a"], "multi-label", "a label that some examples have and some have not"),
        ([["a"], ["b"]], "classification", "a target for classification, got 'y' of type list"),
    ],
)
def test_a_target_of_another_kind_is_one_clear_error(
    targets: list[object], kind: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=says):
        texts(tmp_path / "t.jsonl", targets, kind=kind)
