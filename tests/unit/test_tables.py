"""Tables as data: which columns count, what a row becomes, and what is said where two tables do not agree."""

import csv
import datetime
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from headstart.core.errors import UserError
from headstart.core.problem import Task
from headstart.core.progress import Silent
from headstart.core.record import SkippedFile
from headstart.data.dataset import Dataset, Item
from headstart.data.labelled import Where
from headstart.data.word_numbers import category
from headstart.linear.cells import NOTHING, NUMBER
from headstart.modalities import catalog
from headstart.modalities.catalog import kind_of, reader
from headstart.modalities.table.alike import caveats, unit_change
from headstart.modalities.table.columns import read as read_column
from headstart.modalities.table.modality import TableModality
from headstart.modalities.table.prepare import cells
from headstart.modalities.table.read import known, read_at
from headstart.modalities.table.reader import TableReader
from headstart.nets.table_net import TableNet
from headstart.sources.access import EVERYTHING
from headstart.sources.card import Column, TableInput
from headstart.sources.load import again, load
from headstart.testing import check_modality, check_source, check_strategy

COLOURS = ("red", "green", "blue")
Rows = dict[str, list[Any]]


def made(n: int, seed: int = 0) -> Rows:
    """Height and colour tell the class together; width has gaps and tells nothing."""
    rng = np.random.default_rng(seed)
    height, colour = rng.normal(10, 2, n), rng.integers(0, 3, n)
    width = [f"{one:.3f}" if rng.random() > 0.1 else "" for one in rng.normal(size=n)]
    kind = np.where((height > 10) ^ (colour == 1), "big", "small")
    return {"height": [f"{h:.4f}" for h in height], "colour": [COLOURS[c] for c in colour], "width": width,
            "kind": kind.tolist()}  # fmt: skip


def saved(path: Path, rows: Rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(rows)
        writer.writerows(zip(*rows.values(), strict=True))
    return path


def opened(path: Path, target: str = "kind", **more: Any) -> Dataset:
    return read_at(Where(path, target=target, **more), Silent())


def columns(data: Dataset) -> dict[str, str]:
    assert isinstance(data.modality, TableModality)
    return {one.name: one.kind for one in data.modality.columns}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tables") / "source.csv", made(400, 7))


# reading


def test_a_row_is_an_example_and_equal_rows_are_one(tmp_path: Path) -> None:
    rows = made(40)
    for name in rows:
        rows[name][1] = rows[name][0]
    data = opened(saved(tmp_path / "t.csv", rows))
    assert columns(data) == {"colour": "category", "height": "number", "width": "number"}
    assert (len(data), data.task.classes) == (40, ("big", "small"))
    assert data.items[0].key == data.items[1].key
    assert data.groups[0] == data.groups[1]
    assert len(set(data.groups)) == 39
    assert json.loads(data.items[0].content)["height"] == float(rows["height"][0])
    assert json.loads(data.column or "") == columns(data)


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        (pa.array([1, 2, None]), "number", [1.0, 2.0, None]),
        (pa.array([1.5, float("nan"), float("inf")]), "number", [1.5, None, None]),
        (pa.array([True, False, None]), "category", ["True", "False", None]),
        (pa.array(["a ", "?", ""]), "category", ["a", None, None]),
        (pa.array(["1", "?", "2.5"]), "number", [1.0, None, 2.5]),
        (pa.array(["?", "", None]), "category", [None, None, None]),
        (pa.array(["x", "y", "x"]).dictionary_encode(), "category", ["x", "y", "x"]),
        (pa.array([datetime.date(1970, 1, 3), None, datetime.date(1969, 12, 31)]), "number", [2.0, None, -1.0]),
        (pa.array([None, None, None]), "category", [None, None, None]),
        (pa.array([[1], [2], [3]]), None, []),
        (pa.array([b"a", b"b", b"c"]), None, []),
    ],
)
def test_kinds_of_columns(values: pa.Array, kind: str | None, found: list[Any]) -> None:
    assert read_column(pa.chunked_array([values])) == (kind, found)


def test_an_id_is_left_out_and_one_that_tells_the_target_says_so(tmp_path: Path) -> None:
    rows = made(60)
    order = np.argsort(rows["kind"], kind="stable")
    rows = {name: [values[i] for i in order] for name, values in rows.items()}
    rows = {"row": list(range(1, 61)), "code": [f"X{at * 37 % 61}" for at in range(60)], **rows}
    data = opened(saved(tmp_path / "t.csv", rows))
    assert list(columns(data)) == ["colour", "height", "width"]
    sorted_, code = (one for one in data.warnings if "left out" in one)
    assert sorted_.startswith("column 'row' left out: every row has another value, as an id has, though it alone tells")
    assert code == "column 'code' left out: every row has another value, as an id has"


def test_a_column_that_alone_tells_the_target_is_named_and_kept(tmp_path: Path) -> None:
    rows = made(60)
    rows["outcome"] = [{"big": "b", "small": "s"}[one] for one in rows["kind"]]
    data = opened(saved(tmp_path / "t.csv", rows))
    assert "outcome" in columns(data)
    assert "column 'outcome' alone tells 100% of the targets: is it known when you want to predict?" in data.warnings
    assert not [one for one in data.warnings if "height" in one or "colour" in one]


def test_numbers_that_all_differ_are_no_id(tmp_path: Path) -> None:
    rows = made(60)
    rows["income"] = [1000 + 613 * at for at in np.random.default_rng(0).permutation(60).tolist()]
    assert "income" in columns(opened(saved(tmp_path / "t.csv", rows)))


def test_the_group_and_the_part_are_no_inputs(tmp_path: Path) -> None:
    rows = made(60)
    rows |= {"site": [f"s{at % 6}" for at in range(60)], "split": ["test" if at > 40 else "train" for at in range(60)]}
    data = opened(saved(tmp_path / "t.csv", rows), group="site")
    assert list(columns(data)) == ["colour", "height", "width"]
    assert data.parts is not None
    assert data.parts.count("test") == 19


def test_the_test_table_is_read_by_the_columns_of_the_other(tmp_path: Path) -> None:
    one = saved(tmp_path / "a.csv", made(40))
    rows = made(20, 1)
    other = saved(tmp_path / "b.csv", {"kind": rows["kind"], "colour": rows["colour"], "new": rows["colour"],
                                       "width": [""] * 20, "height": rows["height"]})  # fmt: skip
    data = opened(one, test=other)
    assert list(json.loads(data.items[-1].content)) == ["colour", "height", "width"]
    del rows["height"]
    with pytest.raises(UserError, match=r"^expected a column 'height' in .*c.csv, got none"):
        opened(one, test=saved(tmp_path / "c.csv", rows))


def test_a_table_without_inputs_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "t.csv", {"id": list(range(20)), "kind": ["a", "b"] * 10})
    with pytest.raises(UserError, match=r"expected a column of numbers or categories in .*, got none among id, kind"):
        opened(path)


# recognition


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        (made(40), "table"),
        ({"text": [f"a film of {i} words that I liked" for i in range(40)], "kind": ["a", "b"] * 20}, "text"),
        ({"likes": list(range(0, 400, 10)), "said": [f"so {i} it was said by them" for i in range(40)],
          "kind": ["a", "b"] * 20}, "text"),
        ({"sector": ["Private sector", "Local gov"] * 20, "age": [20 + i % 9 for i in range(40)],
          "kind": ["a", "b"] * 20}, "table"),
        ({"id": list(range(40)), "said": [f"good {i}" for i in range(40)], "kind": ["a", "b"] * 20}, "text"),
    ],
)  # fmt: skip
def test_what_is_a_table(rows: Rows, kind: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "t.csv", rows)
    assert kind_of(Where(path, target="kind")) == kind
    assert kind_of(Where(path, target="kind", text="said")) == "text"


def test_names_of_files_are_pictures(tmp_path: Path) -> None:
    rows = made(40)
    (tmp_path / "p.png").touch()
    assert kind_of(Where(saved(tmp_path / "t.csv", {**rows, "file": ["p.png"] * 40}), target="kind")) == "image"


# preparing

TAKEN = TableInput(columns=(Column(name="height", kind="number"), Column(name="colour", kind="category")))


def test_a_row_becomes_two_numbers_a_cell() -> None:
    found = cells('{"colour": "red", "height": 2.5, "other": null}', TAKEN)
    np.testing.assert_array_equal(found, np.array([[2.5, np.nan], [NUMBER, category("red")]], dtype=np.float32))
    np.testing.assert_array_equal(cells('{"colour": null, "height": null}', TAKEN)[1], [NOTHING, NOTHING])
    assert found[1, 1] == category("red"), "float32 must keep a category"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            '{"a": 1, "b": 2}',
            "expected rows with the columns of the source table, got 0 of height, colour, where",
        ),
        ('{"colour": 3.0, "height": 1}', "expected a category in column 'colour', as in the source table, got 3.0"),
        (
            '{"colour": "x", "height": "tall"}',
            "expected a number in column 'height', as in the source table, got",
        ),
    ],
)
def test_other_columns_are_refused(row: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        cells(row, TAKEN)


def test_it_keeps_the_contract(source: Path) -> None:
    data = opened(source)
    check_modality(data.modality, data.items[3], [TAKEN, TableInput(), TableInput(columns=data.modality.columns)])  # type: ignore[attr-defined]


def test_marks_tell_equal_rows_from_others(source: Path) -> None:
    data = opened(source)
    baseline = data.modality.baseline
    rows = torch.from_numpy(np.stack([data.modality.prepare(item, baseline.input) for item in data.items]))
    marks = baseline.tapper()(torch.cat([rows, rows[:1]]))["mark"].numpy()
    unit = marks / np.linalg.norm(marks, axis=1, keepdims=True)
    alike = unit @ unit.T - np.eye(len(unit))
    assert alike[0, -1] == pytest.approx(1)
    alike[0, -1] = alike[-1, 0] = 0
    assert np.abs(alike).max() < 0.7


# predicting


def test_rows_to_predict(tmp_path: Path) -> None:
    data = opened(saved(tmp_path / "t.csv", made(40)))
    new = saved(tmp_path / "new.csv", {name: values[:3] for name, values in made(40).items() if name != "kind"})
    given = catalog.opened(reader("table"), [new, '{"height": 3, "colour": null}'], data.column)
    found = [one for one in given if isinstance(one, Item)]
    assert [item.key for item in found[:3]] == [item.key for item in data.items[:3]]
    assert [item.name for item in found] == [f"{new}:1", f"{new}:2", f"{new}:3", "row 2"]
    assert json.loads(found[3].content) == {"colour": None, "height": 3.0, "width": None}
    asked = reader("table").asked(found, Task("kind", "classification", ("a", "b")), data.column)
    assert asked.modality == TableModality(tuple(known(data.column)))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("no json", r"expected a row in JSON"),
        ('{"heigth": 1}', r"expected a column that the run has read, got 'heigth'. Did you mean height\?"),
        ('{"height": "tall"}', r"expected a number in column 'height', got 'tall'"),
        (Path("photo.jpg"), r"expected a table, got photo.jpg"),
    ],
)
def test_what_cannot_be_predicted(given: str | Path, says: str) -> None:
    column = json.dumps({"height": "number", "colour": "category"})
    (found,) = catalog.opened(reader("table"), [given], column)
    assert isinstance(found, SkippedFile)
    assert found.name == ("example 1" if isinstance(given, str) else "photo.jpg")
    assert re.match(says, found.why)


def test_shown_as_words(tmp_path: Path) -> None:
    data = opened(saved(tmp_path / "t.csv", made(40)))
    assert next(iter(reader("table").shown(data.items[0]))) == "colour"
    with pytest.raises(UserError, match=r"^expected a source table, got none\nName .* --from SOURCE.csv"):
        TableReader().sources  # noqa: B018 - it is a property


# two tables


@pytest.mark.parametrize(
    ("change", "times"),
    [
        (lambda x: 2.54 * x, 2.54),
        (lambda x: x / 1000, 0.001),
        (lambda x: 1.8 * x + 32, 1.8),
        (lambda x: x, None),
        (lambda x: x + 1, None),  # older people are no other unit
        (lambda x: 1.2 * x, None),
        (lambda x: np.sin(x) * 4, None),
    ],
    ids=["inches", "thousands", "Fahrenheit", "none", "older", "wider", "bent"],
)
@pytest.mark.parametrize("shape", ["normal", "gamma"])
def test_a_unit_change_is_a_line_between_quantiles(change: Any, times: float | None, shape: str) -> None:
    rng = np.random.default_rng(0)
    draw = {"normal": lambda n: rng.normal(10, 3, n), "gamma": lambda n: rng.gamma(2, 3, n)}[shape]
    found = unit_change(np.quantile(draw(2000), np.linspace(0, 1, 21)), change(draw(200)))
    assert (found is not None) is (times is not None)
    if found is not None and times is not None:
        assert found[0] == pytest.approx(times, rel=0.15)


def said(source: Path, rows: Rows, path: Path) -> Sequence[str]:
    data = opened(saved(path, rows))
    taken = load(f"table:{source}@kind").input
    assert isinstance(taken, TableInput)
    return caveats(data.items, taken)


def test_what_is_said_of_two_tables(source: Path, tmp_path: Path) -> None:
    rows = made(100)
    assert said(source, rows, tmp_path / "same.csv") == ()
    other = {**rows, "height": [f"{2.54 * float(one):.4f}" for one in rows["height"]],
             "colour": ["pink" if at % 4 == 0 else one for at, one in enumerate(rows["colour"])],
             "age": [at % 13 for at in range(100)]}  # fmt: skip
    del other["width"]
    missing, unread, pink, unit = said(source, other, tmp_path / "other.csv")
    assert missing == "columns that only the source table has, read as missing: width"
    assert unread == "columns that the source table has not, which transfer does not read: age"
    assert pink == "categories of 'colour' that the source has not seen, in 25% of the rows: pink"
    assert unit.startswith("column 'height' looks like the source's in another unit: about 2.")


# the source


def test_a_source_table_keeps_the_contract(source: Path) -> None:
    found = load(f"table:{source}@kind")
    check_source(found)
    check_source(found.reinitialised())
    check_source(found.cut_at("hidden"))
    assert found.card.head_classes == ("big", "small")
    assert found.card.stage_names() == ("row", "linear", "trees", "columns", "hidden", "upper")


def test_it_is_learned_once(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = load(f"table:{source}@kind")
    monkeypatch.setattr("headstart.modalities.table.source.learned", None)
    two = load(f"table:{source}@kind")
    assert one.identity == two.identity
    assert again(one.card).identity == one.identity


def test_another_table_is_another_source(source: Path, tmp_path: Path) -> None:
    path = saved(tmp_path / "source.csv", made(60, 3))
    card = load(f"table:{path}@kind").card
    saved(path, made(60, 4))
    with pytest.raises(UserError, match="The source has changed; fit again"):
        again(card)


def test_its_models_have_learned_the_table(source: Path, tmp_path: Path) -> None:
    found = load(f"table:{source}@kind")
    data = opened(saved(tmp_path / "new.csv", made(300, 1)))
    rows = torch.from_numpy(np.stack([data.modality.prepare(item, found.input) for item in data.items]))
    stages = found.tapper()(rows)
    own = found.own_head()
    assert own is not None
    said = {"trees": stages["trees"].numpy(), "net": stages["upper"].numpy() @ own[0].T + own[1]}
    right = {name: float((scores.argmax(axis=1) == data.targets).mean()) for name, scores in said.items()}
    assert min(right.values()) > 0.9
    blind = found.reinitialised().tapper()(rows)
    assert not blind["trees"].any()
    assert not blind["linear"].any()


def test_the_row_is_scaled_by_the_source_and_gaps_are_its_mean(source: Path) -> None:
    found = load(f"table:{source}@kind")
    assert isinstance(found.model, TableNet)
    data = opened(source)
    rows = torch.from_numpy(np.stack([data.modality.prepare(item, found.input) for item in data.items]))
    row = found.tapper()(rows)["row"].numpy()
    names = [one.name for one in found.input.columns]  # type: ignore[union-attr]
    height, width = (names.index(name) for name in ("height", "width"))
    np.testing.assert_allclose([row[:, height].mean(), row[:, height].std()], [0, 1], atol=1e-4)
    gap = torch.isnan(rows[:, 0, width]).numpy()
    assert gap.any()
    np.testing.assert_array_equal(row[gap, width], 0)
    assert set(np.unique(row[:, 3:])) == {0.0, 1.0}
    np.testing.assert_array_equal(row[:, 3:].sum(axis=1), 1)


@pytest.mark.parametrize(
    "strategy", ["shrunk", "pooled", "linear", "all-stages", "lp-ft", "finetune", "partial", "gradual"]
)
def test_strategies_run_on_it(strategy: str, source: Path) -> None:
    check_strategy(strategy, load("random:table-net"))


@pytest.mark.parametrize("name", ["table:x.csv", "table:@kind", "table:x.csv@"])
def test_a_source_table_needs_its_target(name: str) -> None:
    with pytest.raises(UserError, match=r"expected table:PATH@COLUMN, got "):
        load(name, EVERYTHING)
