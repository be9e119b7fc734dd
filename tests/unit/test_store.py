"""The cache: nothing is lost, nothing is half there, several may write, and it does not grow without end."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from headstart.core.errors import UserError
from headstart.data.store import Notes, Store, Table, cache_root, limit_bytes


def rows(*values: float) -> np.ndarray:
    return np.array([[v, -v] for v in values], dtype=np.float32)


def test_rows_come_back_in_the_order_asked_for_across_shards(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.append(["a", "b"], rows(1, 2))
    table.append(["c"], rows(3))
    np.testing.assert_array_equal(table.get(["c", "a", "c", "b"]), rows(3, 1, 3, 2))


def test_missing_are_distinct_and_in_order(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.append(["a"], rows(1))
    assert table.missing(["z", "a", "b", "z"]) == ["z", "b"]


def test_a_table_opened_again_has_the_rows_with_their_type(tmp_path: Path) -> None:
    Table(tmp_path).append(["a"], np.full((1, 2, 2, 3), 7, dtype=np.uint8))
    found = Table(tmp_path).get(["a"])
    assert found.dtype == np.uint8
    assert found.shape == (1, 2, 2, 3)


def test_rows_of_others_are_seen_after_refresh(tmp_path: Path) -> None:
    mine, other = Table(tmp_path), Table(tmp_path)
    other.append(["a"], rows(1))
    assert mine.missing(["a"]) == ["a"]
    mine.refresh()
    assert mine.missing(["a"]) == []


@pytest.mark.parametrize("keys", [["unknown"], []])
def test_rows_that_are_not_there_are_a_key_error(tmp_path: Path, keys: list[str]) -> None:
    table = Table(tmp_path)
    table.append(["a"], rows(1))
    with pytest.raises(KeyError):
        table.get(keys)


def test_a_kill_between_rows_and_index_leaves_no_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("headstart.data.store.pq.write_table", killed)
        with pytest.raises(KeyboardInterrupt):
            Table(tmp_path).append(["a"], rows(1))
    again = Table(tmp_path)
    assert again.missing(["a"]) == ["a"]
    again.append(["a"], rows(2))
    np.testing.assert_array_equal(Table(tmp_path).get(["a"]), rows(2))


@pytest.mark.parametrize("suffix", ["npy", "parquet"])
@pytest.mark.parametrize("damage", ["emptied", "cut", "gone"])
def test_a_damaged_shard_counts_as_missing(tmp_path: Path, suffix: str, damage: str) -> None:
    table = Table(tmp_path)
    table.append(["a"], rows(1))
    table.append(["b"], rows(2))
    hurt = next(file for file in tmp_path.glob(f"*.{suffix}") if file.stem in table_of(tmp_path, "a"))
    whole = hurt.read_bytes()
    hurt.unlink() if damage == "gone" else hurt.write_bytes(b"" if damage == "emptied" else whole[: len(whole) // 2])
    assert Table(tmp_path).missing(["a", "b"]) == ["a"]


def table_of(folder: Path, key: str) -> str:
    """The shard that holds a key."""
    import pyarrow.parquet as pq

    return next(i.stem for i in folder.glob("*.parquet") if key in pq.read_table(i)["key"].to_pylist())


WRITER = """
import sys, numpy as np
from pathlib import Path
from headstart.data.store import Notes, Table
folder, me = Path(sys.argv[1]), sys.argv[2]
for i in range(10):
    Table(folder / "table").append([f"{me}-{i}", "shared"], np.array([[i], [99]], dtype=np.float32))
"""


def test_several_processes_append_to_one_table(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    running = [subprocess.Popen([*command, name]) for name in "xy"]
    assert [process.wait() for process in running] == [0, 0]
    table = Table(tmp_path / "table")
    keys = [f"{name}-{i}" for name in "xy" for i in range(10)]
    np.testing.assert_array_equal(table.get(keys).ravel(), [*range(10), *range(10)])
    assert table.get(["shared"]).item() == 99


def test_notes_of_two_writers_are_both_kept(tmp_path: Path) -> None:
    path = tmp_path / "notes" / "kind.json"
    one, two = Notes(path), Notes(path)
    one.put({"a": "fine"})
    two.put({"b": ["why", "not"]})
    assert Notes(path).get("a") == "fine"
    assert Notes(path).get("b") == ["why", "not"]
    assert Notes(path).get("c") is None


def test_damaged_notes_are_no_notes(tmp_path: Path) -> None:
    path = tmp_path / "kind.json"
    path.write_text("{")
    assert Notes(path).get("a") is None


def test_tables_differ_by_everything_that_determines_them(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folders = {store.table("features", *what).folder for what in (("a", "b"), ("ab",), ("a", "c"), ("a", "b", ""))}
    assert len(folders) == 4
    assert store.table("pixels", "a", "b").folder not in folders


def filled(root: Path, name: str, used: float) -> Path:
    """A table of about 400 kB, last used at that time."""
    table = Store(root).table("features", name)
    table.append(["a"], np.zeros((1, 100_000), dtype=np.float32))
    os.utime(table.folder, (used, used))
    return table.folder


def test_trim_drops_the_least_recently_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, older, new = filled(tmp_path, "old", 2000), filled(tmp_path, "older", 1000), filled(tmp_path, "new", 3000)
    Store(tmp_path).trim()
    assert all(folder.exists() for folder in (old, older, new)), "within the limit nothing is dropped"
    monkeypatch.setenv("HEADSTART_CACHE_GB", "0.0009")
    Store(tmp_path).trim()
    assert [folder.exists() for folder in (older, old, new)] == [False, True, True]


def test_trim_never_drops_what_the_run_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = filled(tmp_path, "mine", 1000), filled(tmp_path, "other", 2000)
    store = Store(tmp_path)
    table = store.table("features", "mine")
    monkeypatch.setenv("HEADSTART_CACHE_GB", "0")
    store.trim()
    assert (mine.exists(), other.exists()) == (True, False)
    assert table.get(["a"]).shape == (1, 100_000)


@pytest.mark.parametrize("stated", ["much", "-1", "nan", "inf", ""])
def test_a_limit_that_is_no_number_is_refused(stated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE_GB", stated)
    with pytest.raises(UserError, match="expected a number of gigabytes in HEADSTART_CACHE_GB"):
        limit_bytes()


def test_default_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADSTART_CACHE_GB", raising=False)
    assert limit_bytes() == 20e9


def test_clear_leaves_what_is_not_the_caches(tmp_path: Path) -> None:
    filled(tmp_path, "a", 1000)
    Store(tmp_path).notes("kind").put({"a": 1})
    mine = tmp_path / "runs" / "mine" / "record.json"
    mine.parent.mkdir(parents=True)
    mine.write_text("{}")
    assert Store(tmp_path).size() > 400_000
    Store(tmp_path).clear()
    assert mine.exists()
    assert Store(tmp_path).size() == 0


def test_the_cache_lies_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "here"))
    assert cache_root() == tmp_path / "here"
    assert Store().root == tmp_path / "here"
    monkeypatch.delenv("HEADSTART_CACHE")
    assert cache_root().name == "headstart"
