"""Splits: disjoint, exhaustive, stratified, groups whole."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.split import folds, hold_out


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 120), st.integers(2, 5), st.integers(1, 4), st.integers(0, 99))
def test_groups_never_cross_and_folds_are_even(n: int, classes: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, max(n // size, 5), n)
    targets = rng.integers(0, classes, n)
    targets[:classes] = np.arange(classes)
    found = folds(targets, groups, seed)
    assert set(found) <= set(range(5))
    for group in np.unique(groups):
        assert len(set(found[groups == group])) == 1
    largest = np.unique(groups, return_counts=True)[1].max()
    assert np.bincount(found, minlength=5).max() - np.bincount(found, minlength=5).min() <= 2 * largest + classes


def test_every_class_is_in_every_fold_when_it_can_be() -> None:
    targets = np.repeat([0, 1, 2], [50, 25, 5])
    found = folds(targets, np.arange(80), seed=3)
    for fold in range(5):
        np.testing.assert_array_equal(np.bincount(targets[found == fold], minlength=3), [10, 5, 1])


def test_seeds_give_other_folds_and_the_same_seed_the_same() -> None:
    targets, groups = np.arange(100) % 2, np.arange(100)
    assert (folds(targets, groups, 1) == folds(targets, groups, 1)).all()
    assert (folds(targets, groups, 1) != folds(targets, groups, 2)).any()


def test_hold_out_takes_its_share_of_every_class() -> None:
    targets = np.repeat([0, 1], [300, 100])
    held = hold_out(targets, np.arange(400), 0.25, seed=0)
    np.testing.assert_array_equal(np.bincount(targets[held]), [75, 25])
