"""Answers as files: every row in order, what could not be read with its reason, nothing half done under the name."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from headstart.answers import ROWS, check, columns, write
from headstart.core.errors import UserError
from headstart.core.problem import Task
from headstart.core.record import SkippedFile
from headstart.saved import Answer, Prediction

TASK = Task("kind", "classification", ("cat", "file"))
NUMBER = Task("size", "regression", ())
SAID = [
    Prediction("a, b.png", "cat", 0.75, {"cat": 0.75, "file": 0.25}, unlike=False),
    SkippedFile(name="cut.png", why="damaged (truncated)"),
    Prediction("ü.png", "file", 0.5, {"cat": 0.5, "file": 0.5}, unlike=True),
]
ROW = {"file": "ü.png", "label": "file", "probability": 0.5, "p_cat": 0.5, "p_file": 0.5, "unlike": True, "error": None}


def rows(path: Path) -> list[dict[str, object]]:
    if path.suffix == ".csv":
        return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return pq.read_table(path).to_pylist()


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_every_answer_has_its_row(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"said{ending}"
    assert list(write(path, SAID, TASK)) == SAID
    found = rows(path)
    assert [one["file"] for one in found] == ["a, b.png", "cut.png", "ü.png"]
    assert list(found[0]) == list(columns(TASK))
    assert found[2] == ({k: "" if v is None else str(v) for k, v in ROW.items()} if ending == ".csv" else ROW)
    assert found[1]["error"] == "damaged (truncated)"
    assert found[1]["label"] in ("", None)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_numbers_have_columns_of_their_own(tmp_path: Path) -> None:
    said = [Prediction("a", "12.5", None, {}, value=12.5, off=2.0)]
    list(write(tmp_path / "said.parquet", said, NUMBER))
    assert rows(tmp_path / "said.parquet") == [
        {"file": "a", "value": 12.5, "off": 2.0, "unlike": None, "error": None},
    ]


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_an_interruption_leaves_what_was_written_beside_the_name(tmp_path: Path, ending: str) -> None:
    def interrupted() -> Iterator[Answer]:
        for _ in range(ROWS):
            yield from SAID
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(write(tmp_path / f"said{ending}", interrupted(), TASK))
    (part,) = tmp_path.iterdir()
    assert part.name.startswith(f"said{ending}.")
    assert part.suffix == ".part"
    kept = part.rename(tmp_path / f"kept{ending}")
    assert len(rows(kept)) == 3 * ROWS


def test_the_first_of_two_has_the_name(tmp_path: Path) -> None:
    path = tmp_path / "said.csv"
    slow = write(path, SAID * ROWS, TASK)
    next(slow)
    list(write(path, SAID, TASK))
    with pytest.raises(UserError, match="expected a new file"):
        list(slow)
    assert len(rows(path)) == len(SAID)


def test_a_file_without_an_answer_is_not_kept(tmp_path: Path) -> None:
    list(write(tmp_path / "said.csv", [SAID[1]], TASK))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_name_that_is_no_text_has_its_row(tmp_path: Path, ending: str) -> None:
    said = [Prediction("caf\udce9.png", "cat", 1.0, {"cat": 1.0, "file": 0.0}), SkippedFile(name="\udce9", why="no")]
    list(write(tmp_path / f"said{ending}", said, TASK))
    assert [one["file"] for one in rows(tmp_path / f"said{ending}")] == ["caf\\udce9.png", "\\udce9"]


def test_where_nothing_can_be_written_a_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "there.csv").touch()
    for name, says in (
        ("said.cvs", r"expected a file that ends in \.csv, \.jsonl, \.parquet, got .*said\.cvs\nDid you mean \.csv\?"),
        ("no/said.csv", "expected a folder that is there"),
        ("there.csv", "expected a new file, got .*which is there"),
    ):
        with pytest.raises(UserError, match=says):
            check(tmp_path / name)
    with pytest.raises(UserError, match="expected a file that can be written"):
        list(write(Path("/proc/said.csv"), SAID, TASK))
