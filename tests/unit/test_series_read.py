"""Series are read from every form that they come in; what is missing is filled and said, what is wrong has a line."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.core.errors import UserError
from headstart.core.problem import Task
from headstart.core.progress import Silent
from headstart.core.record import SkippedFile
from headstart.data.dataset import Dataset, Item
from headstart.data.labelled import Where
from headstart.data.store import Store
from headstart.modalities.catalog import kind_of, reader
from headstart.modalities.series.read import opened, unlabelled_below
from headstart.modalities.series.reader import SeriesReader
from headstart.modalities.series.values import unpacked

HEAD = "@problemName made\n@timeStamps false\n@univariate false\n@classLabel true up down\n@data\n"
TASK = Task("target", "classification", ("down", "up"))


def read(path: Path, **asked: str) -> Dataset:
    where = Where(path, **asked)  # type: ignore[arg-type]
    assert kind_of(where) == "series"
    return SeriesReader().read(where, Store(), Silent())


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def values(data: Dataset) -> list[list[list[float]]]:
    return [unpacked(item.content).tolist() for item in data.items]


def labels(data: Dataset) -> list[str]:
    return [data.task.classes[code] for code in data.targets]


def ts(path: Path, *lines: str, head: str = HEAD) -> Path:
    return written(path, head + "\n".join(lines) + "\n")


FOUR = ("1,2,3:4,5,6:up", "2,3,4,5:1,1,2,1:up", "3,2,1:0,0,1:down", "5,2,1:0,1,1:down")


def test_ts_has_channels_of_unequal_length(tmp_path: Path) -> None:
    data = read(ts(tmp_path / "a.ts", "# a remark", *FOUR))
    assert values(data)[:2] == [[[1, 2, 3], [4, 5, 6]], [[2, 3, 4, 5], [1, 1, 2, 1]]]
    assert labels(data) == ["up", "up", "down", "down"]
    assert data.modality.fitting(("wheel:x",)) == ("wheel:x+channels:2",)
    assert data.items[0].name == "a.ts:7"
    assert data.warnings == ()


def test_missing_values_are_filled_and_counted(tmp_path: Path) -> None:
    data = read(ts(tmp_path / "a.ts", "1,?,3,NaN,?,6:up", "?,2,3,4:up", "1,1,2,?:down", "1,2,1,2:down"))
    assert values(data)[0] == [[1, 2, 3, 4, 5, 6]]
    assert values(data)[1:3] == [[[2, 2, 3, 4]], [[1, 1, 2]]]
    assert data.warnings == ("4 missing values in 2 series lie on the line between their neighbours",)


def test_ts_with_times_and_with_numbers_as_targets(tmp_path: Path) -> None:
    lines = [f"(2020-01-01 00:00:0{i},{i}),(2020-01-01 00:01:00,{i + 1}):{i / 4}" for i in range(6)]
    data = read(ts(tmp_path / "a.ts", *lines, head="@timeStamps true\n@targetLabel true\n@data\n"))
    assert data.task.kind == "regression"
    assert values(data)[3] == [[3, 4]]
    assert data.targets.tolist() == [0, 0.25, 0.5, 0.75, 1, 1.25]


@pytest.mark.parametrize(("ending", "between"), [("tsv", "\t"), ("txt", "  "), ("csv", ",")])
def test_plain_tables_have_the_class_first_and_nan_behind_short_series(
    ending: str, between: str, tmp_path: Path
) -> None:
    rows = [[1.0, *range(9)], [1, *range(1, 10)], [2, *range(7), "NaN", "NaN"], [2, *range(2, 11)]]
    text = "".join(between.join(map(str, row)) + "\n" for row in rows)
    data = read(written(tmp_path / f"a.{ending}", text))
    assert labels(data) == ["1", "1", "2", "2"]
    assert [len(one[0]) for one in values(data)] == [9, 9, 7, 9]


def test_a_folder_with_train_and_test(tmp_path: Path) -> None:
    folder = tmp_path / "Made"
    folder.mkdir()
    ts(folder / "Made_TRAIN.ts", *FOUR)
    ts(folder / "Made_TEST.ts", "1,2,9:4,5,7:up", "9,1,1:1,2,2:down")
    ts(folder / "Other_TRAIN.ts", *FOUR)
    data = read(folder)
    assert data.parts == ("train",) * 4 + ("test",) * 2
    assert len(unlabelled_below(folder)) == 4, "a test part is not learned from"
    ts(folder / "Other_TEST.ts", *FOUR)
    assert len(read(folder)) == 6, "the pair that is called like the folder"
    with pytest.raises(UserError, match=r"expected one X_TRAIN and X_TEST in a folder, got Made, Other in "):
        read(folder.rename(tmp_path / "both"))


def test_wide_tables_have_numbered_columns(tmp_path: Path) -> None:
    head = "who,kind," + ",".join(f"t{at}" for at in range(1, 10))
    rows = [f"p{i},{'ab'[i % 2]}," + ",".join(str(i * at) for at in range(9)) for i in range(1, 7)]
    data = read(written(tmp_path / "a.csv", "\n".join([head, *rows])), target="kind", group="who")
    assert values(data)[1] == [[0, 2, 4, 6, 8, 10, 12, 14, 16]]
    assert data.task.name == "kind"
    gap = head.replace("t5", "x")
    assert kind_of(Where(written(tmp_path / "b.csv", "\n".join([gap, *rows])), target="kind")) != "series"


def test_long_tables_have_a_row_a_reading(tmp_path: Path) -> None:
    lines = ["series,time,x,y,kind"]
    for number in (3, 1, 2, 4):
        lines += [f"s{number},{at},{number * at},{at},{'ab'[number % 2]}" for at in (2, 1, 3)]
    data = read(written(tmp_path / "a.csv", "\n".join(lines)), target="kind")
    assert values(data)[0] == [[3, 6, 9], [1, 2, 3]]
    assert labels(data) == ["b", "b", "a", "a"]
    assert len(list(opened(tmp_path / "a.csv", None))) == 4


def test_arrays_and_lists(tmp_path: Path) -> None:
    series = np.arange(48, dtype=float).reshape(4, 2, 6)
    series[1, :, 4:] = np.nan
    np.savez(tmp_path / "a.npz", X=series, y=np.array(["u", "u", "v", "v"]))
    data = read(tmp_path / "a.npz")
    assert labels(data) == ["u", "u", "v", "v"]
    assert np.array_equal(values(data)[1], series[1, :, :4])
    columns = {
        "x": [one[0].tolist() for one in series[[0, 2]]] * 2,
        "y": [one[1].tolist() for one in series[[0, 2]]] * 2,
    }
    table = pa.table({**columns, "kind": ["a", "a", "b", "b"]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert values(read(tmp_path / "a.parquet", target="kind"))[0] == series[0].tolist()


def test_what_cannot_be_used_is_left_out_by_name(tmp_path: Path) -> None:
    data = read(ts(tmp_path / "a.ts", *FOUR, "?,?:1,2:up", "1:2:up", "1,2:inf,1:down", ""))
    assert [(one.name, one.why) for one in data.skipped] == [
        ("a.ts:10", "a channel without any value"),
        ("a.ts:11", "fewer than two steps"),
        ("a.ts:12", "a value that is infinite"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.ts", "1,2:up", "expected a .ts file with a line @data, got "),
        ("a.ts", HEAD + "1,2:1:up", "expected channels of one length, got 2, 1 in line 6 of "),
        ("a.ts", HEAD + "1,x:1,2:up", "expected numbers, got could not convert string to float: 'x' in line 6 of "),
        ("a.ts", HEAD + "1,2:1,2:up\n1,2:up", "expected series of 2 channels, as before, got 1 in a.ts:7"),
        ("a.npz", "no archive", "expected an .npz file of plain arrays, got "),
        ("a.csv", "series,time,kind\n1,1,a", "expected a column of numbers beside series and time, got none in "),
    ],
)
def test_errors_say_what_came(name: str, content: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        SeriesReader().read(Where(written(tmp_path / name, content), target=None), Store(), Silent())
    assert str(error.value).startswith(said)
    assert len(str(error.value).splitlines()) == 2


def test_arrays_of_other_names_and_shapes(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, Z=np.zeros(3))
    with pytest.raises(UserError, match=r"expected numbers X \(n, steps\) or \(n, channels, steps\), got none in "):
        read(path)
    np.savez(path, X=np.zeros((3, 4)), y=np.zeros(2))
    with pytest.raises(UserError, match=r"expected classes y of the 3 series X, got \(2,\) in "):
        read(path)
    np.savez(path, X=np.array([{}], dtype=object))
    with pytest.raises(UserError, match=r"expected an .npz file of plain arrays, got "):
        read(path)


def test_flags_are_for_tables(tmp_path: Path) -> None:
    path = ts(tmp_path / "a.ts", *FOUR)
    with pytest.raises(UserError, match=r"expected a table for --target, --group and --text, got .*which has no col"):
        read(path, target="kind")


def test_inputs_are_read_without_labels(tmp_path: Path) -> None:
    items = list(opened(ts(tmp_path / "a.ts", *FOUR), None))
    data = reader("series").asked([one for one in items if isinstance(one, Item)], TASK, '{"channels": 2}')
    assert len(data) == 4
    assert set(data.targets.tolist()) == {-1}
    assert data.modality.fitting(["wheel:fracast-0"]) == ("wheel:fracast-0+channels:2",)
    for given, said in (
        (tmp_path / "no.ts", "expected a file of series, got "),
        (written(tmp_path / "a.doc", "x"), "expected a file of series, got "),
        (written(tmp_path / "b.csv", "a,b\n1,2"), "expected a table of series, got "),
    ):
        with pytest.raises(UserError) as error:
            list(opened(given, None))
        assert str(error.value).startswith(said)


def test_a_series_that_cannot_be_used_does_not_spoil_the_others(tmp_path: Path) -> None:
    good, bad = list(opened(ts(tmp_path / "b.ts", FOUR[0], "?,?:1,2:up"), None))
    assert isinstance(good, Item)
    assert isinstance(bad, SkippedFile)
    assert bad == SkippedFile(name="b.ts:7", why="a channel without any value")


def test_one_of_other_channels_or_of_none_is_named_and_the_others_answered(tmp_path: Path) -> None:
    found = list(opened(ts(tmp_path / "b.ts", "1,2:up", FOUR[0], "3,4:up"), '{"channels": 1}'))
    assert [isinstance(one, Item) for one in found] == [True, False, True]
    pq.write_table(pa.table({"steps": [[1.0, 2.0], None, [3.0, 4.0]]}), tmp_path / "a.parquet")
    found = list(opened(tmp_path / "a.parquet", None))
    assert [isinstance(one, Item) for one in found] == [True, False, True]
    assert found[1] == SkippedFile(name="a.parquet:2", why="fewer than two steps")


def test_a_series_is_shown_by_its_beginning(tmp_path: Path) -> None:
    data = read(ts(tmp_path / "a.ts", *(one.replace("1,2,3:4,5,6", "1,2,3,4,5,6,7:1,1,1,1,1,1,1") for one in FOUR)))
    assert SeriesReader().shown(data.items[0])[0].tolist() == [1, 2, 3, 4, 5, 6, 7]
