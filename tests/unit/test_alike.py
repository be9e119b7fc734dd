"""Batches of like sizes hold every example once, and change nothing where all sizes are equal."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.core.predictions import Ints
from headstart.core.problem import Task
from headstart.data.dataset import Dataset, Item
from headstart.modalities.text.modality import TEXT
from headstart.training.alike import TOGETHER, alike, sizes


def chances() -> np.random.Generator:
    return np.random.default_rng(0)


def drawn(n: int) -> tuple[Ints, Ints]:
    """An order, and sizes."""
    rng = np.random.default_rng(n)
    return rng.permutation(n), rng.integers(1, 1000, n)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(n=st.integers(2, 300), share=st.floats(0.01, 1.0), most=st.integers(1, 50))
def test_every_example_comes_once_in_batches_that_differ_by_one_at_most(n: int, share: float, most: int) -> None:
    order, steps = np.random.default_rng(n).permutation(n), max(1, int(n * share))
    found = alike(order, np.random.default_rng(1).integers(0, most, n), steps, chances())
    assert len(found) == steps
    assert sorted(np.concatenate(found).tolist()) == list(range(n))
    counts = [len(batch) for batch in found]
    assert max(counts) - min(counts) <= 1


def test_equal_sizes_leave_the_order_as_it_is() -> None:
    order, _ = drawn(100)
    found = alike(order, np.full(100, 7), 9, chances())
    assert np.array_equal(np.concatenate(found), order)
    assert [batch.tolist() for batch in found] == [part.tolist() for part in np.array_split(order, 9)]


def test_equal_sizes_leave_chance_alone() -> None:
    used = chances()
    alike(drawn(100)[0], np.ones(100, dtype=int), 9, used)
    assert used.integers(2**60) == chances().integers(2**60)


def test_part_of_the_examples_can_be_ordered() -> None:
    some = np.array([40, 3, 77, 12, 5])
    found = alike(some, drawn(100)[1], 2, chances())
    assert sorted(np.concatenate(found).tolist()) == sorted(some.tolist())


def ranges(found: Sequence[Ints], size: Ints) -> list[tuple[int, int]]:
    return sorted((int(size[batch].min()), int(size[batch].max())) for batch in found)


def test_examples_of_like_size_go_together() -> None:
    order, size = drawn(10 * TOGETHER)
    found = ranges(alike(order, size, TOGETHER, chances()), size)
    assert all(before[1] <= after[0] for before, after in pairwise(found))


def test_only_neighbours_in_the_random_order_are_sorted() -> None:
    order, size = drawn(10 * 2 * TOGETHER)
    found = alike(order, size, 2 * TOGETHER, chances())
    first = np.concatenate(found[:TOGETHER])
    assert set(first.tolist()) == set(order[: 10 * TOGETHER].tolist())


def test_an_epoch_does_not_go_from_short_to_long_and_repeats_itself() -> None:
    order, size = drawn(10 * TOGETHER)
    found = alike(order, size, TOGETHER, chances())
    longest = [int(size[batch].max()) for batch in found]
    assert longest != sorted(longest)
    again = alike(order, size, TOGETHER, chances())
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))


@pytest.mark.parametrize("count", [1, 4])
def test_the_size_of_a_text_is_how_long_it_is(count: int) -> None:
    items = tuple(Item(str(i), Path(), str(i), "x" * i) for i in range(1, count + 1))
    every = np.arange(count)
    view = Dataset("", items, every, every, Task("c", "classification", ("a", "b")), TEXT)
    assert sizes(view).tolist() == list(range(1, count + 1))
