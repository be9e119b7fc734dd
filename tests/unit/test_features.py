"""Features: computed once, in one pass, whatever is killed or asked for again."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstart.core.problem import Task
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset, Item
from headstart.data.store import Store
from headstart.features import extract as extraction
from headstart.features import prepared
from headstart.features.allocator import keep_blocks
from headstart.features.backends import Mode
from headstart.features.decode import AHEAD, batches
from headstart.features.extract import Job, extract, table, time_batches
from headstart.features.prepared import Prepared
from headstart.sources.card import ImageInput
from headstart.sources.load import load

SIDE = 8
INPUT = ImageInput(size=SIDE)


@dataclass(frozen=True)
class Numbered:
    """A modality without files: an example is its own number, repeated."""

    name: str = "numbered"
    version: str = "1"
    baseline: None = None

    def prepare(self, item: Item, card_input: ImageInput) -> NDArray[np.uint8]:
        return np.full((card_input.size, card_input.size, 3), int(item.path.name), dtype=np.uint8)

    def size(self, item: Item) -> int:
        return 1

    def augment(self, batch: Tensor, seed: int) -> Tensor:
        return batch


@dataclass(frozen=True)
class Mean:
    """Two stages: the mean of each channel, and its double. Counts its passes; may break after some examples."""

    name: str = "made:mean"
    identity: str = "mean-1"
    input: ImageInput = INPUT
    passes: list[int] = field(default_factory=list)
    breaks_after: int | None = None

    @property
    def widths(self) -> dict[str, int]:
        return {"one": 3, "two": 4}

    def tapper(self) -> Callable[[Tensor], dict[str, Tensor]]:
        def tap(pixels: Tensor) -> dict[str, Tensor]:
            if self.breaks_after is not None and sum(self.passes) >= self.breaks_after:
                raise KeyboardInterrupt
            self.passes.append(len(pixels))
            mean = pixels.float().mean(dim=(1, 2))
            return {"one": mean, "two": torch.hstack([2 * mean, mean[:, :1]])}

        return tap


def numbers(n: int, *, same: int = 0, modality: Numbered | None = None) -> Dataset:
    """n examples; the last `same` of them have the content of the first."""
    at = np.arange(n)
    items = tuple(
        Item(f"{i}.png", Path(str(0 if i >= n - same else i)), f"key-{0 if i >= n - same else i}") for i in at
    )
    return Dataset("made", items, at % 2, at, Task("class", "classification", ("a", "b")), modality or Numbered())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_features_are_the_examples_own_in_the_views_order(store: Store) -> None:
    data = numbers(70)
    table = extract([Mean()], data, store, Silent())
    assert table.stages("made:mean") == ("one", "two")
    view = data.take(np.array([69, 3, 3, 40]))
    one, two = table.of("made:mean", "one", view), table.of("made:mean", "two", view)
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, np.repeat([[69], [3], [3], [40]], 3, axis=1))
    np.testing.assert_array_equal(two[:, 0], [138, 6, 6, 80])
    assert two.shape == (4, 4)


def test_equal_content_is_computed_once(store: Store) -> None:
    source = Mean()
    data = numbers(50, same=10)
    table = extract([source], data, store, Silent())
    assert sum(source.passes) == store.counters["decoded"] == store.counters["features_computed"] == 40
    np.testing.assert_array_equal(table.of("made:mean", "one", data)[-10:], np.zeros((10, 3)))


def test_several_sources_share_one_decode(store: Store) -> None:
    one, other = Mean(), Mean(name="made:other", identity="mean-2")
    table = extract([one, other], numbers(40), store, Silent())
    assert (store.counters["decoded"], store.counters["features_computed"]) == (40, 80)
    np.testing.assert_array_equal(table.of("made:mean", "one", numbers(40)), table.of("made:other", "one", numbers(40)))


def test_two_names_of_one_source_are_computed_once(store: Store) -> None:
    extract([Mean(), Mean(name="made:other")], numbers(40), store, Silent())
    assert store.counters["features_computed"] == 40


def test_a_second_run_decodes_nothing(store: Store) -> None:
    data = numbers(40)
    first = extract([Mean()], data, store, Silent()).of("made:mean", "two", data)
    again, source = Store(store.root), Mean()
    second = extract([source], data, again, Silent()).of("made:mean", "two", data)
    assert (again.counters["decoded"], again.counters["features_computed"], source.passes) == (0, 0, [])
    assert again.counters["features_read"] == 40
    np.testing.assert_array_equal(first, second)


def test_only_what_is_new_is_computed(store: Store) -> None:
    extract([Mean()], numbers(40), store, Silent())
    source = Mean()
    table = extract([source], numbers(45), store, Silent())
    assert sum(source.passes) == 5
    np.testing.assert_array_equal(table.of("made:mean", "one", numbers(45))[:, 0], np.arange(45))


def test_what_a_kill_leaves_is_not_computed_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "SHARD", 64)
    killed = Mean(breaks_after=96)
    with pytest.raises(KeyboardInterrupt):
        extract([killed], numbers(200), store, Silent())
    source = Mean()
    extract([source], numbers(200), store, Silent())
    assert sum(source.passes) == 200 - 64


@pytest.mark.parametrize(
    ("source", "modality"),
    [
        (Mean(identity="mean-2"), Numbered()),
        (Mean(input=ImageInput(size=SIDE, crop=1.0)), Numbered()),
        (Mean(), Numbered(version="2")),
        (Mean(), Numbered(name="other")),
    ],
)
def test_everything_that_determines_features_is_part_of_the_key(store: Store, source: Mean, modality: Numbered) -> None:
    extract([Mean()], numbers(10), store, Silent())
    extract([source], numbers(10, modality=modality), store, Silent())
    assert store.counters["features_computed"] == 20


def test_the_name_is_not_part_of_the_key(store: Store) -> None:
    extract([Mean()], numbers(10), store, Silent())
    extract([Mean(name="made:other")], numbers(10), store, Silent())
    assert store.counters["features_computed"] == 10


class Counted:
    """Notes what is shown."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, float | None]] = []
        self.advanced = 0.0

    @contextmanager
    def step(self, name: str, total: float | None = None) -> Iterator["Counted"]:
        self.steps.append((name, total))
        yield self

    def advance(self, units: float = 1) -> None:
        self.advanced += units

    def note(self, text: str) -> None: ...

    def say(self, text: str) -> None: ...


def test_progress_is_shown_for_what_is_computed_only(store: Store) -> None:
    shown = Counted()
    extract([Mean()], numbers(70), store, shown)
    assert shown.steps == [("features made:mean", 70)]
    assert shown.advanced == 70
    quiet = Counted()
    extract([Mean()], numbers(70), store, quiet)
    assert quiet.steps == []


def test_several_sources_share_a_table_object_and_one_net_is_a_real_one(store: Store) -> None:
    net = load("random:test_resnet@64")
    data = numbers(5)
    found = extract([Mean(), net], data, store, Silent(), {net.name: Mode(disk="float32")})
    wanted = net.tapper()(torch.from_numpy(np.stack([Numbered().prepare(i, net.input) for i in data.items])))
    for stage in net.card.stage_names():
        np.testing.assert_allclose(found.of(net.name, stage, data), wanted[stage].numpy(), atol=1e-5)
    np.testing.assert_array_equal(found.of("made:mean", "one", data)[:, 0], np.arange(5))


def test_float16_on_disk_halves_it_and_loses_no_more_than_its_rounding(store: Store) -> None:
    net, data = load("random:test_resnet@64"), numbers(5)
    whole = extract([net], data, store, Silent(), {net.name: Mode(disk="float32")})
    half = extract([net], data, store, Silent())
    assert {t.get(data.keys).dtype for t in (table(net, Mode(), data, store),)} == {np.dtype(np.float16)}
    for stage in net.widths:
        exact, rounded = whole.of(net.name, stage, data), half.of(net.name, stage, data)
        assert rounded.dtype == np.float32
        np.testing.assert_allclose(rounded, exact, atol=2**-11 * np.abs(exact).max())


@pytest.mark.parametrize("factor", [1e-9, 1e6], ids=["too small", "too large"])
def test_values_that_do_not_fit_float16_stay_as_they_are(store: Store, factor: float) -> None:
    job = Job.of(Mean(), Mode(), numbers(3), store)
    rows = np.float32(factor) * np.arange(21, dtype=np.float32).reshape(3, 7)
    assert job.packed(rows) is rows
    job.kept.append(["key-0"], job.packed(np.ones((1, 7), dtype=np.float32)))
    job.kept.append(["key-1", "key-2"], rows[:2])
    np.testing.assert_array_equal(job.kept.get(["key-1", "key-0"]), np.stack([rows[0], np.ones(7)]))


def test_time_of_a_batch_is_per_example() -> None:
    source = Mean()
    assert 0 < time_batches(source, torch.zeros(4, SIDE, SIDE, 3, dtype=torch.uint8), count=3) < 1
    assert source.passes == [4] * 4, "one to warm up, three timed"


# Decoding


def test_batches_come_in_order_and_only_a_few_ahead(store: Store) -> None:
    items = numbers(100).items
    found = batches(items, 4, Numbered(), [ImageInput(size=SIDE)], store)
    part, (pixels,) = next(found)
    assert [item.key for item in part] == [f"key-{i}" for i in range(4)]
    assert store.counters["decoded"] <= 4 * (AHEAD + 1)
    rest: Sequence[int] = [int(rows[0, 0, 0, 0]) for _, (rows,) in found]
    assert list(rest) == list(range(4, 100, 4))
    assert pixels.shape == (4, SIDE, SIDE, 3)
    assert store.counters["decoded"] == 100


# Pixels


def test_pixels_are_decoded_once_for_all_who_train(store: Store) -> None:
    data = numbers(20)
    first = Prepared(data, ImageInput(size=SIDE), store)
    batch = first.batch(["key-7", "key-2", "key-7"])
    assert batch.dtype == torch.uint8
    assert batch.shape == (3, SIDE, SIDE, 3)
    assert batch[:, 0, 0, 0].tolist() == [7, 2, 7]
    again = Store(store.root)
    other_mean = ImageInput(size=SIDE, mean=(0.5, 0.5, 0.5), colour="BGR")  # applied in the net: same pixels
    assert Prepared(data, other_mean, again).batch(["key-3"])[0, 0, 0, 0] == 3
    assert (store.counters["decoded"], again.counters["decoded"]) == (20, 0)


def test_another_geometry_is_other_pixels(store: Store) -> None:
    Prepared(numbers(5), ImageInput(size=SIDE), store)
    Prepared(numbers(5), ImageInput(size=SIDE, crop=1.0), store)
    assert store.counters["decoded"] == 10


def test_a_batch_may_be_changed_in_place(store: Store) -> None:
    pixels = Prepared(numbers(5), ImageInput(size=SIDE), store)
    pixels.batch(["key-4"]).zero_()
    assert pixels.batch(["key-4"]).max() == 4


def test_too_much_for_the_cache_is_decoded_each_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "LIMIT", 10)
    pixels = Prepared(numbers(20), ImageInput(size=SIDE), store)
    assert store.counters["decoded"] == 0
    assert pixels.batch(["key-7", "key-2"])[:, 0, 0, 0].tolist() == [7, 2]
    pixels.batch(["key-7"])
    assert store.counters["decoded"] == 3
    assert not list(store.root.rglob("*.npy"))


# Memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_freed_blocks_are_kept() -> None:
    """In a process of its own: after freeing 64 MB the process still has it, so that no page is faulted in again."""
    code = """
import ctypes, sys
from pathlib import Path
from headstart.features.allocator import keep_blocks
if sys.argv[1] == "keep":
    assert keep_blocks()
libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
block = libc.malloc(1 << 26)
ctypes.memset(block, 1, 1 << 26)
libc.free(block)
print(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
"""
    run = [sys.executable, "-c", code]
    kept, given = (int(subprocess.run([*run, a], capture_output=True, check=True).stdout) for a in ("keep", "give"))
    assert kept > given + (1 << 25)


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_blocks.__wrapped__() is False
