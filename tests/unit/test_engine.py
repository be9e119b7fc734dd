"""The engine: what is quicker and agrees is taken, everything else is refused with a reason."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.core.problem import Task
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset, Item
from headstart.data.store import Store
from headstart.features import backends, engine
from headstart.features import probe as probing
from headstart.features.backends import BACKENDS, FLOAT32, Mode, Tap, at_once, tap
from headstart.features.engine import Missing, Way, choose, modes, quickest, recall, tried
from headstart.features.extract import extract, frugal, table
from headstart.features.probe import Cost, Probe, Trial, cosines
from headstart.sources.load import load
from headstart.sources.source import Source

COUNT = 100
ALL = Missing(COUNT, {})


class Drawn:
    """A modality whose examples are noise with a class in it."""

    name, version, changes = "drawn", "1", "all"

    def size(self, item: Item) -> int:
        return 1

    def prepare(self, item: Item, taken: object) -> np.ndarray:
        del taken
        number = int(item.path.name)
        rng = np.random.default_rng(number)
        return rng.integers(0, 128 + 100 * (number % 2), (32, 32, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def source() -> Source:
    return load("random:test_resnet@32")


@pytest.fixture
def data() -> Dataset:
    at = np.arange(COUNT)
    items = tuple(Item(f"{i}.png", Path(str(i)), f"key-{i}") for i in at)
    return Dataset("made", items, at % 2, at, Task("class", "classification", ("a", "b")), Drawn())  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def pixels(count: int = 5) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3)).astype(np.uint8))


# backends


def test_eager_float32_is_the_sources_own_tapper(source: Source, tmp_path: Path) -> None:
    wanted, found = source.tapper()(pixels()), tap(source, FLOAT32, tmp_path)(pixels())
    assert list(found) == list(source.card.stage_names())
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name])


@pytest.mark.parametrize("backend", ["eager", "openvino"])
def test_the_first_stages_are_exact_and_the_others_are_not(
    backend: backends.Backend, source: Source, tmp_path: Path
) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino")
    wanted = tap(source, FLOAT32, tmp_path)(pixels())
    found = tap(source, Mode(backend=backend, exact=2), tmp_path)(pixels())
    names = source.card.stage_names()
    for name in names[:2]:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-4, atol=1e-5)
    for name in names:
        assert found[name].dtype == torch.float32
        assert cosines(wanted[name].numpy(), found[name].numpy()).min() > 0.99
    if backend == "eager":  # a processor without bfloat16 may run OpenVINO's in float32
        assert not torch.equal(found[names[-1]], wanted[names[-1]])
    assert not torch.is_autocast_enabled("cpu"), "what was switched on is off again"


def test_openvino_takes_any_number_of_examples_and_keeps_what_it_converted(source: Source, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    mode = Mode(backend="openvino")
    whole = tap(source, mode, tmp_path)(pixels(32))
    part = tap(source, mode, tmp_path)(pixels(32)[:3])
    more = tap(source, mode, tmp_path)(pixels(35))
    made = sorted((tmp_path / "converted").glob("*/0.xml"))
    assert len(made) == 1
    for name in whole:
        torch.testing.assert_close(part[name], whole[name][:3])
        torch.testing.assert_close(more[name][:32], tap(source, mode, tmp_path)(pixels(35)[:32])[name])
        torch.testing.assert_close(more[name], source.tapper()(pixels(35))[name], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(whole[name], source.tapper()(pixels(32))[name], rtol=1e-3, atol=1e-4)


def test_a_backend_is_used_later_only_where_it_starts_at_once(source: Source, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    mode = Mode(backend="openvino")
    assert at_once(source, mode, tmp_path) == FLOAT32  # on another machine, which has built nothing
    tap(source, mode, tmp_path)
    assert at_once(source, mode, tmp_path) == mode
    assert at_once(source, Mode(backend="openvino", exact=1), tmp_path) == FLOAT32
    assert at_once(source, Mode(backend="compile"), tmp_path) == FLOAT32
    assert at_once(source, Mode(exact=0), tmp_path) == Mode(exact=0)


# trying


def off(by: float) -> Callable[[Source, int | None, Path], Tap]:
    """A backend whose features are that wrong."""

    def build(source: Source, _exact: int | None, _cache: Path) -> Tap:
        run = source.tapper()

        def wrong(given: Tensor) -> dict[str, Tensor]:
            found = run(given)
            return {name: rows + by * torch.arange(rows.shape[1]) * rows.abs().max() for name, rows in found.items()}

        return wrong

    return build


@pytest.fixture
def eager_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WAYS", (Way("eager", low=True, start=0.0, share=0.5),))


def test_little_work_is_done_in_float32_without_trying(source: Source, data: Dataset, store: Store) -> None:
    assert choose(source, data, store, Silent()) == FLOAT32
    assert list(recall(source, store)) == [FLOAT32], "only float32 was timed"


def test_as_many_first_stages_stay_exact_as_it_takes(
    source: Source, data: Dataset, store: Store, eager_only: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake(of: Source, exact: int | None, cache: Path) -> Tap:
        return off(0.0 if exact in (None, 2) else 0.5)(of, exact, cache)

    def unhurried(run: Tap, given: Tensor) -> tuple[dict[str, np.ndarray], float]:
        return {name: rows.numpy() for name, rows in run(given).items()}, 1.0

    monkeypatch.setitem(BACKENDS, "eager", fake)  # type: ignore[arg-type]
    monkeypatch.setattr(probing, "timed", unhurried)
    found = list(tried(source, data, Missing(10**6, {}), store, every=True))
    assert [t.mode.exact for t in found] == [None, 0, 1, 2]
    assert [bool(t.refused) for t in found] == [False, True, True, False]
    assert "cosine" in found[1].refused


def test_arithmetic_that_the_processor_lacks_is_given_up_at_a_glance_and_remembered(
    source: Source, data: Dataset, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, int]] = []

    def fake(of: Source, exact: int | None, cache: Path) -> Tap:
        run = off(0.0)(of, exact, cache)

        def slow(given: Tensor) -> dict[str, Tensor]:
            seen.append((exact is not None, len(given)))
            time.sleep(0.02 * len(given) * (1 if exact is None else 5))
            return run(given)

        return slow

    monkeypatch.setitem(BACKENDS, "eager", fake)  # type: ignore[arg-type]
    monkeypatch.setattr(engine, "WAYS", [way for way in engine.WAYS if way.low])
    float32, low = tried(source, data, Missing(10**6, {}), store)
    assert not float32.refused
    assert re.fullmatch(r"\d+ times as slow as float32", low.refused)
    assert max(count for is_low, count in seen if is_low) == probing.GLANCE
    assert len(list(tried(source, data, Missing(10**6, {}), store))) == 1, "it is known now, also of other backends"


def test_a_way_that_fails_is_refused(
    source: Source, data: Dataset, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(of: Source, exact: int | None, cache: Path) -> Tap:
        if exact is None:
            return off(0.0)(of, exact, cache)
        raise ValueError("no such kernel\nmore")

    monkeypatch.setitem(BACKENDS, "eager", broken)  # type: ignore[arg-type]
    trial = Probe.of(source, data, store).attempt(source, Mode(exact=0), store)
    assert trial.refused == "failed: no such kernel"


def test_another_score_is_refused_even_if_it_is_better(source: Source, data: Dataset, store: Store) -> None:
    """Features that point the same way to within the limit, but give the class away."""
    probe = Probe.of(source, data, store)
    last = list(probe.features)[-1]
    blind = np.ones((len(probe.targets), 50), np.float32)
    telling = blind.copy()
    telling[:, 0] += 0.01 * probe.targets
    trial = replace(probe, features={last: blind}).compared(Trial(Mode(exact=0), Cost(0, 1)), {last: telling})
    assert trial.cosine > 0.999
    assert trial.moved > 0.3
    assert "of 96 examples beside float32" in trial.refused


def test_the_quickest_that_agrees_is_taken_if_it_is_clearly_quicker() -> None:
    base = Trial(FLOAT32, Cost(0, 1.0))
    close, good = Trial(Mode(exact=0), Cost(0, 0.95)), Trial(Mode(exact=1), Cost(0, 0.5))
    wrong = Trial(Mode(backend="openvino", exact=0), Cost(0, 0.1), refused="a cosine")
    assert quickest([base], ALL) == base
    assert quickest([base, close], ALL) == base
    assert quickest([base, close, good, wrong], ALL) == good


def test_what_the_cache_has_is_not_computed_in_another_way(source: Source, data: Dataset, store: Store) -> None:
    mode = Mode(exact=1)
    engine.remember(source, store, {FLOAT32: Cost(0, 100.0), mode: Cost(0, 1.0)})
    extract([source], data, store, Silent(), {source.name: mode})
    assert choose(source, data, Store(store.root), Silent()) == mode
    assert not table(source, mode, data, store).missing(data.keys)
    assert table(source, FLOAT32, data, store).missing(data.keys), "another table"


def test_a_few_more_examples_are_computed_as_the_others_were(source: Source, data: Dataset, store: Store) -> None:
    mode = Mode(exact=1)
    engine.remember(source, store, {FLOAT32: Cost(0, 100.0), mode: Cost(30.0, 1.0)})
    extract([source], data.take(np.arange(COUNT - 5)), store, Silent(), {source.name: mode})
    again = Store(store.root)
    assert choose(source, data, again, Silent()) == mode, "5 s, and 2 to start, beside 10,000 s"
    extract([source], data, again, Silent(), {source.name: mode})
    assert again.counters["decoded"] == 5


def test_what_is_there_counts_for_a_way() -> None:
    there, fresh = Trial(Mode(exact=0), Cost(0, 0.9)), Trial(Mode(exact=1), Cost(0, 0.5))
    base = Trial(FLOAT32, Cost(0, 1.0))
    assert quickest([base, there, fresh], ALL) == fresh
    assert quickest([base, there, fresh], Missing(COUNT, {there.mode: COUNT // 2})) == there
    assert quickest([base, there, fresh], Missing(COUNT, {FLOAT32: COUNT // 3})) == base


def test_a_test_example_is_never_probed(source: Source, data: Dataset, store: Store) -> None:
    parts = tuple("test" if i % 2 else "train" for i in range(COUNT))
    probe = Probe.of(source, replace(data, parts=parts), store)
    assert set(probe.targets.tolist()) == {0}


def test_the_compiler_of_torch_stands_in_for_openvino(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "installed", lambda _: False)
    assert modes(Way("openvino", low=True, start=0, share=1), 0, source.card) == ()
    assert modes(Way("compile", low=True, start=0, share=1), 0, source.card) == (Mode(backend="compile", exact=0),)
    assert modes(Way("compile", low=True, start=0, share=1), 2, source.card) == (), (
        "its precision is one for all stages"
    )
    monkeypatch.setattr(engine, "installed", lambda _: True)
    assert [m.exact for m in modes(Way("openvino", low=True, start=0, share=1), 2, source.card)] == [2, 3]


# memory


def test_too_little_memory_halves_the_batch_for_good() -> None:
    asked: list[int] = []

    def narrow(given: Tensor) -> dict[str, Tensor]:
        asked.append(len(given))
        if len(given) > 8:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return {"one": given.float()}

    run = frugal(narrow)
    torch.testing.assert_close(run(torch.arange(20).view(20, 1))["one"][:, 0], torch.arange(20).float())
    assert asked == [20, 10, 5, 5, 5, 5]
    run(torch.arange(20).view(20, 1))
    assert max(asked[6:]) == 5


def test_another_mistake_is_not_taken_for_a_lack_of_memory() -> None:
    def wrong(given: Tensor) -> dict[str, Tensor]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        frugal(wrong)(torch.zeros(4, 1))


def test_rows_of_zeros_agree_only_with_themselves() -> None:
    zero, one = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    assert [float(cosines(a, b)[0]) for a, b in ((zero, zero), (zero, one), (one, one))] == pytest.approx([1, 0, 1])
