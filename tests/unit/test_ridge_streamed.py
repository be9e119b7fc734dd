"""Ridge from row blocks and from kernels, against scikit-learn and against each other."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifierCV, RidgeCV

from headstart.data.store import Store
from headstart.linear.heads import Ridge
from headstart.linear.path import PENALTIES, Solution, balanced, one_hot
from headstart.linear.ridge import solve_features, solve_gram, standardise
from headstart.linear.streamed import Rows, side_by_side, solve_rows

CLASSES = 4
SIZES = [(90, 20), (31, 30), (30, 30), (20, 50)]


def problem(n: int, dim: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unequal classes in no order; the second feature is constant, the third far from zero."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(CLASSES, n, p=(0.5, 0.25, 0.15, 0.1))
    codes[:CLASSES] = np.arange(CLASSES)
    features = rng.normal(size=(n, dim)) * rng.uniform(0.1, 10, dim) + 0.8 * rng.normal(size=(CLASSES, dim))[codes]
    features[:, 1] = 3.3
    features[:, 2] += 1e3
    return features, codes


def same(one: Solution, other: Solution, tolerance: float = 1e-8) -> None:
    for name in ("weight", "bias", "loo", "penalties", "errors"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=tolerance, atol=tolerance)


# --- against scikit-learn's own efficient leave-one-out


@pytest.mark.parametrize(("n", "dim"), SIZES)
@pytest.mark.parametrize("weighted", [False, True])
def test_classifier_is_that_of_scikit_learn(n: int, dim: int, weighted: bool) -> None:
    features, codes = problem(n, dim)
    weights = balanced(codes, CLASSES) if weighted else None
    ours = solve_features([features], one_hot(codes, CLASSES), PENALTIES, weights)
    scaler = standardise(features, weights=weights)
    theirs = RidgeClassifierCV(ours.penalties, class_weight="balanced" if weighted else None)
    theirs.fit(scaler(features), codes)
    assert theirs.alpha_ == ours.penalties[ours.best]
    np.testing.assert_allclose(theirs.best_score_, -4 * ours.error, rtol=1e-8)  # they learn -1 and 1
    np.testing.assert_allclose(
        theirs.coef_.T, 2 * ours.weight * np.where(np.isinf(scaler.scale), 0, scaler.scale)[:, None], atol=1e-8
    )
    decision = 2 * (features @ ours.weight + ours.bias) - 1
    np.testing.assert_allclose(theirs.decision_function(scaler(features)), decision, atol=1e-8)


@pytest.mark.parametrize(("n", "dim"), SIZES)
@pytest.mark.parametrize("mode", ["svd", "eigen"])
def test_leave_one_out_of_every_penalty_is_that_of_scikit_learn(n: int, dim: int, mode: str) -> None:
    features, codes = problem(n, dim)
    wanted = one_hot(codes, CLASSES)
    ours = solve_features([features], wanted)
    theirs = RidgeCV(ours.penalties, gcv_mode=mode, store_cv_results=True)
    theirs.fit(standardise(features)(features), wanted)
    np.testing.assert_allclose(ours.errors, theirs.cv_results_.mean(axis=(0, 1)), rtol=1e-7)
    for at in range(0, len(PENALTIES), 6):
        one = solve_features([features], wanted, PENALTIES[[at]])
        np.testing.assert_allclose((wanted - one.loo) ** 2, theirs.cv_results_[:, :, at], rtol=1e-6, atol=1e-10)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_sample_weight

    codes = np.array([0, 0, 0, 2, 2, 3])
    np.testing.assert_allclose(balanced(codes, 5), compute_sample_weight("balanced", codes))


def test_whole_weights_are_repeated_examples() -> None:
    features, codes = problem(60, 12)
    times = np.random.default_rng(1).integers(1, 4, 60)
    wanted = one_hot(codes, CLASSES)
    weighted = solve_features([features], wanted, PENALTIES[[9]], times)
    repeated = solve_features([np.repeat(features, times, axis=0)], np.repeat(wanted, times, axis=0), PENALTIES[[9]])
    scale = times.sum() / 60  # weights have mean 1, and the penalty is relative to the number of examples
    adjusted = solve_features([features], wanted, PENALTIES[[9]] / scale, times)
    np.testing.assert_allclose(adjusted.weight, repeated.weight, atol=1e-10)
    assert not np.allclose(weighted.weight, repeated.weight, atol=1e-10)


def test_weighted_leave_one_out_equals_refitting_without_the_example() -> None:
    features, codes = problem(40, 8)
    wanted, weights = one_hot(codes, CLASSES), np.random.default_rng(2).uniform(0.2, 3, 40)
    ours = solve_features([features], wanted, PENALTIES[[12]], weights)
    scaled, mass = standardise(features, weights=weights)(features), weights / weights.mean()
    for i in range(40):
        rest = np.arange(40) != i
        mean, offset = (np.average(a[rest], axis=0, weights=mass[rest]) for a in (scaled, wanted))
        centred = scaled[rest] - mean
        gram = (centred.T * mass[rest]) @ centred + ours.penalties[0] * np.eye(8)
        weight = np.linalg.solve(gram, (centred.T * mass[rest]) @ (wanted[rest] - offset))
        np.testing.assert_allclose(ours.loo[i], (scaled[i] - mean) @ weight + offset, atol=1e-9)


# --- streamed equals in memory


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_give_what_the_whole_kernel_gives(block: int, weighted: bool) -> None:
    features, codes = problem(200, 30)
    order = np.argsort(codes)  # most blocks lack a class
    features, codes = features[order], codes[order]
    stages, wanted = [features[:, :10], features[:, 10:]], one_hot(codes, CLASSES)
    weights = balanced(codes, CLASSES) if weighted else None
    streamed = solve_rows(side_by_side(stages, block), wanted, PENALTIES, weights, [10, 20])
    scaled = np.hstack([standardise(stage, 0.5, weights)(stage) for stage in stages])
    dual = solve_gram(scaled @ scaled.T, wanted, PENALTIES, weights)
    for name in ("loo", "penalties", "errors"):
        np.testing.assert_allclose(getattr(streamed, name), getattr(dual, name), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(
        features @ streamed.weight + streamed.bias, scaled @ (scaled.T @ dual.weight) + dual.bias, atol=1e-8
    )


def test_many_classes_are_swept_in_parts() -> None:
    features, _ = problem(300, 10)
    wanted = np.random.default_rng(0).normal(size=(300, 300))
    streamed, dual = solve_rows(side_by_side([features]), wanted), standardise(features)(features)
    np.testing.assert_allclose(streamed.errors, solve_gram(dual @ dual.T, wanted).errors, rtol=1e-8)


def test_means_that_dwarf_the_deviations_lose_nothing() -> None:
    features, codes = problem(300, 10)
    wanted = one_hot(codes, CLASSES)
    near = solve_rows(side_by_side([features[:, 3:]], 32), wanted)
    far = solve_rows(side_by_side([features[:, 3:] + 1e5], 32), wanted)
    np.testing.assert_allclose(near.errors, far.errors, rtol=1e-8)
    np.testing.assert_allclose(near.loo, far.loo, atol=1e-8)


def test_rows_of_the_cache_in_several_shards(tmp_path: Path) -> None:
    features, codes = problem(120, 16)
    narrow, keys = features.astype(np.float32), [str(i) for i in range(120)]
    table = Store(tmp_path).table("features", "test")
    for at in range(0, 120, 50):
        table.append(keys[at : at + 50], narrow[at : at + 50])

    def rows() -> Iterator[np.ndarray]:
        return (table.get(keys[at : at + 32]) for at in range(0, 120, 32))

    same(solve_rows(rows, one_hot(codes, CLASSES)), solve_features([narrow], one_hot(codes, CLASSES)), 1e-10)


def test_mapped_features_are_never_copied_whole(tmp_path: Path) -> None:
    n, dim = 40_000, 128
    stage = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float16, (n, dim))
    stage[:] = np.random.default_rng(0).normal(size=(n, dim))
    codes = np.arange(n) % 2
    tracemalloc.start()
    fitted = Ridge.fit([stage], codes, 2, None)
    fitted.predict([stage])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.75 * n * dim * 8


# --- what cannot be


@pytest.mark.parametrize("rows", [(), (10,), (20, 20)])
def test_blocks_must_be_as_many_rows_as_targets(rows: tuple[int, ...]) -> None:
    blocks: Rows = lambda: (np.zeros((n, 3)) for n in rows)  # noqa: E731
    with pytest.raises(ValueError, match=f"blocks of 30 rows in all.*{sum(rows)}"):
        solve_rows(blocks, np.zeros((30, 2)))


@pytest.mark.parametrize("weights", [np.ones(7), np.zeros(8), -np.ones(8), np.full(8, np.nan)])
def test_weights_must_be_positive_and_one_an_example(weights: np.ndarray) -> None:
    with pytest.raises(ValueError, match="8 positive, finite weights"):
        Ridge.fit([np.random.default_rng(0).normal(size=(8, 3))], np.arange(8) % 2, 2, None, weights)


def test_class_weights_help_the_rare_class() -> None:
    rng = np.random.default_rng(0)
    codes = (np.arange(2000) % 20 == 0).astype(int)
    features = rng.normal(size=(2000, 5)) + codes[:, None]
    plain = Ridge.fit([features], codes, 2, None)
    fair = Ridge.fit([features], codes, 2, None, balanced(codes, 2))

    def found(head: Ridge) -> float:
        return float((head.loo.argmax(axis=1)[codes == 1] == 1).mean())

    assert found(fair) > 0.8 > 0.5 > found(plain)
