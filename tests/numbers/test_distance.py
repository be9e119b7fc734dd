"""Distances between data sets: against loops, refits and a linear program, and against chance in simulation."""

import sys

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.optimize import linprog

from headstart.core.errors import UserError
from headstart.core.record import StageScore
from headstart.linear.ridge import solve_features, standardise
from headstart.selection.distance import DISTANCES, c2st, gaussians, mmd, otdd
from headstart.selection.distance.axes import principal_axes
from headstart.selection.distance.null import calibrate
from headstart.selection.distance.permutation import p_value, relabelled
from headstart.selection.distance.sample import ENOUGH, Sample
from headstart.selection.distance.stage_gap import stage_gaps

LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9])


def noise(n: int, dim: int, seed: int, shift: float = 0.0, classes: int = 3) -> Sample:
    rng = np.random.default_rng(seed)
    return Sample(rng.normal(size=(n, dim)) + shift, np.arange(n) % classes)


def clusters(n: int, seed: int, classes: int = 3, dim: int = 5) -> Sample:
    """Labels that say where the examples are."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, n)
    return Sample(rng.normal(size=(n, dim)) + 4.0 * np.eye(dim)[targets], targets)


def shuffled(sample: Sample, seed: int = 0) -> Sample:
    return sample.take(np.random.default_rng(seed).permutation(len(sample)))


def assert_uniform(p_values: list[float]) -> None:
    """Shares below every level within 3.5 deviations of what they should be."""
    below = (np.array(p_values)[:, None] <= LEVELS + 1e-9).mean(axis=0)
    assert (np.abs(below - LEVELS) <= 3.5 * np.sqrt(LEVELS * (1 - LEVELS) / len(p_values))).all(), below


# --- permutations and principal axes


def test_p_value_counts_the_observed_one_and_ties() -> None:
    assert p_value(3.0, np.array([1.0, 2.0, 4.0])) == 2 / 4
    assert p_value(3.0, np.array([3.0 - 1e-12, 3.0, 1.0])) == 3 / 4
    assert p_value(5.0, np.array([1.0, 2.0, 3.0])) == 1 / 4


def test_labels_are_dealt_anew_without_losing_one() -> None:
    labels = relabelled(3, 5, 200, seed=0)
    assert labels[:, 0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert (labels.sum(axis=0) == 3).all()
    np.testing.assert_allclose(labels[:, 1:].mean(axis=1), 3 / 8, atol=0.12)
    np.testing.assert_array_equal(labels, relabelled(3, 5, 200, seed=0))


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (6, 6)])
def test_principal_axes_are_the_thin_singular_value_decomposition(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(0).normal(size=shape)
    rows -= rows.mean(axis=0)
    values, left = principal_axes(rows)
    expected = np.linalg.svd(rows, compute_uv=False)
    np.testing.assert_allclose(values, expected[: len(values)] ** 2)
    np.testing.assert_allclose(left.T @ left, np.eye(len(values)), atol=1e-10)
    np.testing.assert_allclose(left @ (left.T @ rows), rows, atol=1e-10)


# --- classifier two-sample test


def refitted_accuracy(rows: np.ndarray, labels: np.ndarray, penalty: float) -> float:
    """One refit for every example left out; the middle between sets of one size is known, not learned."""
    scaled = standardise(rows)(rows)
    absolute = penalty * np.trace(scaled @ scaled.T) / len(rows)
    right = 0
    for i in range(len(rows)):
        rest = np.arange(len(rows)) != i
        mean = scaled[rest].mean(axis=0)
        centred = scaled[rest] - mean
        wanted = labels[rest] - labels[rest].mean()
        weight = np.linalg.solve(centred.T @ centred + absolute * np.eye(rows.shape[1]), centred.T @ wanted)
        right += (scaled[i] - mean) @ weight * labels[i] > 0
    return right / len(rows)


@pytest.mark.parametrize("dim", [4, 40])
def test_c2st_equals_refits_for_every_penalty_and_every_permutation(dim: int) -> None:
    first, second = noise(11, dim, 0), noise(11, dim, 1, shift=0.4)
    found = c2st.c2st(first, second, repeats=4, seed=7)
    rows = np.vstack([first.features, second.features])
    labels = 2 * relabelled(11, 11, 4, seed=7) - 1
    best = [max(refitted_accuracy(rows, column, p) for p in c2st.PENALTIES) for column in labels.T]
    assert found.accuracy == best[0]
    assert found.chance == pytest.approx(np.mean(best[1:]))
    assert found.excess == pytest.approx(best[0] - np.mean(best[1:]))
    assert found.a_distance == pytest.approx(2 * (1 - 2 * (1 - best[0])))


@pytest.mark.parametrize("dim", [4, 40])
def test_c2st_is_the_leave_one_out_of_the_ridge_that_heads_use(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = noise(30, dim, 0), noise(30, dim, 1, shift=0.3)
    labels = np.repeat([1.0, -1.0], 30)
    for penalty in c2st.PENALTIES:
        monkeypatch.setattr(c2st, "PENALTIES", np.array([penalty]))
        loo = solve_features([np.vstack([first.features, second.features])], labels[:, None], np.array([penalty])).loo
        assert c2st.accuracy(first, second) == (labels * loo[:, 0] > -1 / 59).mean()


def test_chance_is_a_little_over_one_half_however_few_examples_there_are() -> None:
    for n in (4, 10, 40):  # an intercept that leans against the example left out would say 0 in place of one half
        assert 0.5 < c2st.c2st(noise(n, 3, 0), noise(n, 3, 1)).chance < 0.72


def test_p_values_of_the_classifier_are_uniform_where_there_is_no_difference() -> None:
    assert_uniform([c2st.c2st(noise(15, 6, 2 * i), noise(20, 6, 2 * i + 1), repeats=59, seed=i).p for i in range(400)])


def test_classifier_finds_a_shift_and_says_how_well() -> None:
    small = c2st.c2st(noise(100, 8, 0), noise(100, 8, 1, shift=0.4))
    large = c2st.c2st(noise(100, 8, 0), noise(100, 8, 1, shift=3.0))
    assert small.p == large.p == 1 / 500
    assert 0.1 < small.excess < 0.35 < large.excess <= 0.5
    assert large.accuracy == 1.0
    assert large.a_distance == 2.0


def test_choosing_the_penalty_finds_shifts_along_main_and_along_minor_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    deviations, turn = np.linspace(1, 0.03, 64), np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))[0]

    def found(axis: int, size: float) -> int:
        """Of 60 pairs of sets with a shift of so many deviations along one axis."""
        shift = size * deviations * (np.arange(64) == axis)
        hits = 0
        for i in range(60):
            rng = np.random.default_rng(i)
            first, second = rng.normal(size=(2, 150, 64)) * deviations
            p = c2st.c2st(Sample(first @ turn), Sample((second + shift) @ turn), repeats=59, seed=i).p
            hits += p <= 0.05
        return hits

    minor, main = found(axis=63, size=1.0), found(axis=0, size=0.6)
    assert minor >= 48
    monkeypatch.setattr(c2st, "PENALTIES", np.array([100.0]))
    assert found(axis=63, size=1.0) <= 12
    monkeypatch.setattr(c2st, "PENALTIES", np.array([1e-3]))
    assert found(axis=0, size=0.6) <= main - 8


# --- maximum mean discrepancy


def looped_mmd(x: np.ndarray, y: np.ndarray) -> float:
    both = np.vstack([x, y])
    pairs = [((both[i] - both[j]) ** 2).sum() for i in range(len(both)) for j in range(i)]
    median = np.median(pairs)

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.mean([np.exp(-((a - b) ** 2).sum() / (w * median)) for w in (0.25, 0.5, 1, 2, 4)]))

    n, m = len(x), len(y)
    xx = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    xy = sum(kernel(a, b) for a in x for b in y) / (n * m)
    return xx + yy - 2 * xy


def test_mmd_equals_a_double_loop_and_its_p_value_loops_over_permutations() -> None:
    first, second = noise(7, 3, 0), noise(10, 3, 1, shift=0.5)
    found = mmd.mmd(first, second, repeats=12, seed=3)
    rows = np.vstack([first.features, second.features])
    values = [looped_mmd(rows[c == 1], rows[c == 0]) for c in relabelled(7, 10, 12, seed=3).T]
    assert found.squared == pytest.approx(values[0], abs=1e-12)
    assert found.p == (1 + sum(v >= values[0] for v in values[1:])) / 13


def test_mmd_is_unbiased_and_its_p_values_are_uniform_where_there_is_no_difference() -> None:
    found = [mmd.mmd(noise(15, 6, 2 * i), noise(20, 6, 2 * i + 1), repeats=59, seed=i) for i in range(400)]
    assert_uniform([f.p for f in found])
    squared = np.array([f.squared for f in found])
    assert abs(squared.mean()) < 3 * squared.std() / 20


def test_mmd_finds_a_shift_and_a_spread_which_no_linear_classifier_can() -> None:
    same, shifted = noise(80, 5, 0), noise(80, 5, 1, shift=0.5)
    wide = Sample(noise(80, 5, 1).features * 1.8)
    assert mmd.mmd(same, shifted).p == 1 / 500
    assert mmd.mmd(same, wide).p == 1 / 500
    assert c2st.c2st(same, wide).p > 0.05


def test_mmd_does_not_change_with_the_unit_of_the_features() -> None:
    first, second = noise(20, 4, 0), noise(20, 4, 1, shift=0.5)
    scaled = mmd.squared(Sample(1000 * first.features), Sample(1000 * second.features))
    assert scaled == pytest.approx(mmd.squared(first, second))


# --- optimal transport


def bures(m: np.ndarray, s: np.ndarray, other_m: np.ndarray, other_s: np.ndarray) -> float:
    root = np.real(sqrtm(s))
    cross = np.real(sqrtm(root @ other_s @ root))
    return float(((m - other_m) ** 2).sum() + np.trace(s + other_s - 2 * cross))


def label_gaussian(rows: np.ndarray, targets: np.ndarray, label: int, common: np.ndarray) -> tuple:
    own, dim = rows[targets == label], rows.shape[1]
    products = sum((np.outer(r, r) for r in own - own.mean(axis=0)), start=np.zeros((dim, dim)))
    return own.mean(axis=0), (products + dim * common) / (len(own) - 1 + dim)


def common_covariance(sets: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    deviations = [
        row - rows[targets == label].mean(axis=0)
        for rows, targets in sets
        for row, label in zip(rows, targets, strict=True)
    ]
    freedom = sum(len(targets) - len(set(targets.tolist())) for _, targets in sets)
    return np.array(deviations).T @ np.array(deviations) / freedom


def programmed_otdd(first: Sample, second: Sample) -> float:
    """Every cost by itself, then the transport problem as a linear program."""
    (x, a), (y, b) = (first.features, first.targets), (second.features, second.targets)
    common = common_covariance([(x, a), (y, b)])
    apart = {
        (mine, theirs): bures(*label_gaussian(x, a, mine, common), *label_gaussian(y, b, theirs, common))
        for mine in set(a.tolist())
        for theirs in set(b.tolist())
    }
    cost = np.zeros((len(x), len(y)))
    for i in range(len(x)):
        for j in range(len(y)):
            cost[i, j] = ((x[i] - y[j]) ** 2).sum() + apart[int(a[i]), int(b[j])]
    rows = np.kron(np.eye(len(x)), np.ones(len(y)))
    columns = np.kron(np.ones(len(x)), np.eye(len(y)))
    masses = np.concatenate([np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))])
    return float(linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=masses).fun)


@pytest.mark.parametrize(("n", "m"), [(12, 12), (9, 14)])
def test_otdd_equals_a_linear_program_over_costs_by_matrix_roots(n: int, m: int) -> None:
    first, second = clusters(n, 0, dim=3), clusters(m, 1, classes=2, dim=3)
    second = Sample(second.features + 0.7, second.targets + 40)  # no label in common
    assert otdd.cost(first, second) == pytest.approx(programmed_otdd(first, second), rel=1e-9)


def test_bures_distance_of_equal_gaussians_is_zero_even_where_they_are_flat() -> None:
    flat = np.zeros((6, 4))
    flat[:, 0] = [0, 1, 2, 3, 5, 9]
    labels = gaussians.scatters(flat, np.zeros(6, dtype=int))
    assert gaussians.wasserstein(labels, labels)[0, 0] == pytest.approx(0.0, abs=1e-12)


def test_otdd_moves_every_label_by_the_shift() -> None:
    first = clusters(60, 0)
    second = Sample(first.features + np.array([2.0, 0, 0, 0, 0]), first.targets)
    found = otdd.otdd(first, second)
    assert found.features == pytest.approx(4.0)
    assert found.labels == pytest.approx(4.0)
    assert found.distance == pytest.approx(np.sqrt(8.0))
    assert 0 < found.relative < 1


def test_otdd_sees_labels_that_mean_something_else_where_the_features_are_alike() -> None:
    first, second = clusters(150, 0), clusters(75, 1)
    renamed = Sample(second.features, (second.targets + 1) % 3)
    muddled = Sample(second.features, shuffled(second).targets)
    alike, other = (calibrate(DISTANCES["otdd"], first, s, repeats=39) for s in (renamed, muddled))
    assert alike.indistinguishable
    assert other.p == 1 / 40
    assert other.z > 3
    assert calibrate(DISTANCES["mmd"], first, muddled, repeats=39).indistinguishable


def test_otdd_reduces_features_to_the_main_axes_of_both_sets() -> None:
    first, second = clusters(40, 0, dim=20), clusters(30, 1, dim=20)
    flat, other = (Sample(np.pad(s.features, ((0, 0), (0, 30))), s.targets) for s in (first, second))
    assert otdd.otdd(flat, other).dims == 20
    assert otdd.cost(flat, other) == pytest.approx(otdd.cost(first, second))
    few = otdd.otdd(first, second, dims=3)
    assert few.dims == 3
    assert few.features < otdd.otdd(first, second).features
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 20)))[0]
    turned = otdd.otdd(
        Sample(first.features @ turn, first.targets), Sample(second.features @ turn, second.targets), dims=3
    )
    assert turned.cost == pytest.approx(few.cost)


def test_main_axes_are_those_of_both_sets_counting_alike_whatever_their_sizes() -> None:
    rng = np.random.default_rng(0)
    first = Sample(rng.normal(size=(50, 6)) * [3, 1, 1, 1, 1, 1], np.arange(50) % 2)
    second = Sample(rng.normal(size=(10, 6)) * [1, 1, 1, 1, 2, 5] + 2.0, np.arange(10) % 2)
    middle = (first.features.mean(axis=0) + second.features.mean(axis=0)) / 2
    moments = [(s.features - middle).T @ (s.features - middle) / len(s) for s in (first, second)]
    axes = np.linalg.eigh(moments[0] + moments[1])[1][:, -2:]
    expected = otdd.otdd(*(Sample((s.features - middle) @ axes, s.targets) for s in (first, second)))
    found = otdd.otdd(first, second, dims=2)
    assert (found.features, found.labels) == pytest.approx((expected.features, expected.labels))


def test_otdd_with_one_label_a_set_adds_the_distance_of_two_gaussians() -> None:
    first, second = noise(20, 3, 0, classes=1), noise(15, 3, 1, shift=1.0, classes=1)
    common = common_covariance([(s.features, s.targets) for s in (first, second)])
    pair = [label_gaussian(s.features, s.targets, 0, common) for s in (first, second)]
    found = otdd.otdd(first, second)
    assert found.labels == pytest.approx(bures(*pair[0], *pair[1]))
    assert found.features >= ((first.features.mean(axis=0) - second.features.mean(axis=0)) ** 2).sum()


def test_otdd_with_one_example_a_label_compares_the_examples_twice() -> None:
    first, second = noise(8, 3, 0, classes=8), noise(8, 3, 1, classes=8)
    found = otdd.otdd(first, second)
    assert found.labels == pytest.approx(found.features)


def test_otdd_without_pot_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(UserError, match=r"pip install 'headstart\[adapt\]'"):
        otdd.cost(clusters(10, 0), clusters(10, 1))


def test_otdd_needs_labels() -> None:
    with pytest.raises(UserError, match="labels for both sets"):
        otdd.cost(clusters(10, 0), Sample(clusters(10, 1).features))


# --- what holds for all


@pytest.mark.parametrize("name", DISTANCES)
def test_distance_is_symmetric_and_ignores_the_order_of_rows(name: str) -> None:
    first, second = clusters(30, 0), clusters(30, 1)
    value = DISTANCES[name](first, second, 0)
    assert DISTANCES[name](second, first, 0) == pytest.approx(value)
    assert DISTANCES[name](shuffled(first, 1), shuffled(second, 2), 0) == pytest.approx(value)


@pytest.mark.parametrize("name", DISTANCES)
def test_distance_of_sets_of_different_size_grows_with_a_shift(name: str) -> None:
    first, second = clusters(60, 0), clusters(25, 1)
    values = [DISTANCES[name](first, Sample(second.features + s, second.targets), 0) for s in (0.0, 1.0, 3.0)]
    assert values[0] < values[1] < values[2]


def test_equal_sets_are_no_distance_apart() -> None:
    same = clusters(30, 0)
    assert c2st.c2st(same, same).p > 0.9
    assert c2st.c2st(same, same).excess < 0
    assert mmd.mmd(same, same).p > 0.9
    assert mmd.squared(same, same) < 0
    assert otdd.otdd(same, same).relative == pytest.approx(0.0, abs=1e-9)


def test_features_that_say_nothing_give_no_evidence() -> None:
    flat = Sample(np.full((10, 3), 7.0), np.arange(10) % 2)
    assert c2st.c2st(flat, flat, repeats=19).p == 1.0
    assert c2st.accuracy(flat, flat) == 0.5
    assert mmd.mmd(flat, flat, repeats=19).p == 1.0
    assert otdd.otdd(flat, flat).relative == 0.0
    found = calibrate(DISTANCES["mmd"], flat, flat, repeats=9)
    assert (found.z, found.p) == (0.0, 1.0)


def test_no_more_rows_are_looked_at_than_stated() -> None:
    many, few = noise(ENOUGH + 50, 2, 0), noise(40, 2, 1)
    assert (mmd.mmd(many, few, repeats=1).n, mmd.mmd(many, few, repeats=1).m) == (ENOUGH, 40)
    assert (otdd.otdd(many, few).n, otdd.otdd(many, few).m) == (ENOUGH, 40)
    assert c2st.c2st(many, few, repeats=1).n == 40
    kept = many.at_most(10, seed=1)
    np.testing.assert_array_equal(kept.features, many.at_most(10, seed=1).features)
    assert not np.array_equal(kept.features, many.at_most(10, seed=2).features)
    assert many.at_most(ENOUGH + 50, seed=1) is many


@pytest.mark.parametrize("name", DISTANCES)
def test_what_does_not_compare_is_refused(name: str) -> None:
    good = clusters(10, 0)
    with pytest.raises(UserError, match="the same width, got 5 and 3"):
        DISTANCES[name](good, clusters(10, 0, dim=3), 0)
    with pytest.raises(UserError, match="at least 2 examples of each set, got 10 and 1"):
        DISTANCES[name](good, good.take(np.array([0])), 0)
    holes = good.features.copy()
    holes[3, 1] = np.nan
    with pytest.raises(UserError, match="1 examples with infinite or missing"):
        DISTANCES[name](good, Sample(holes, good.targets), 0)


def test_features_and_targets_fit_each_other() -> None:
    with pytest.raises(ValueError, match=r"got \(4, 2\) and \(3,\)"):
        Sample(np.zeros((4, 2)), np.zeros(3, dtype=int))


# --- the null


def means_apart(first: Sample, second: Sample, seed: int) -> float:
    return float(((first.features.mean(axis=0) - second.features.mean(axis=0)) ** 2).sum())


def test_halves_of_one_set_are_disjoint_and_of_one_size() -> None:
    seen = []

    def note(first: Sample, second: Sample, seed: int) -> float:
        seen.append((first.features[:, 0].tolist(), second.features[:, 0].tolist()))
        return float(len(seen))

    found = calibrate(note, Sample(np.arange(20.0)[:, None]), Sample(np.full((7, 1), -1.0)), repeats=5)
    assert found.n == 7
    assert (set(seen[0][1]), found.observed) == ({-1.0}, 1.0)
    for left, right in seen[1:]:
        assert len(set(left)) == len(set(right)) == 7
        assert not set(left) & set(right)
        assert min(left + right) >= 0
    assert len({tuple(left) for left, _ in seen[1:]}) == 5
    assert found.mean == 4.0
    assert found.deviation == pytest.approx(np.std([2, 3, 4, 5, 6], ddof=1))
    assert found.z == pytest.approx(-3.0 / found.deviation)
    assert found.p == 1.0


@pytest.mark.parametrize(("reference", "other", "most", "n"), [(20, 30, 1000, 10), (20, 6, 1000, 6), (90, 90, 8, 8)])
def test_as_many_rows_as_half_the_reference_and_the_other_set_have(
    reference: int, other: int, most: int, n: int
) -> None:
    assert calibrate(means_apart, noise(reference, 2, 0), noise(other, 2, 1), most=most, repeats=2).n == n


def test_p_values_against_halves_are_uniform_where_there_is_no_difference() -> None:
    found = [calibrate(means_apart, noise(100, 4, 2 * i), noise(50, 4, 2 * i + 1), repeats=39) for i in range(400)]
    assert_uniform([f.p for f in found])
    assert np.mean([f.z for f in found]) == pytest.approx(0.0, abs=0.2)
    assert np.mean([f.indistinguishable for f in found]) == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize("name", DISTANCES)
def test_a_shift_is_told_from_halves_of_one_set(name: str) -> None:
    reference, other = clusters(120, 0), clusters(60, 1)
    moved = Sample(other.features + 1.5, other.targets)
    found = calibrate(DISTANCES[name], reference, moved, repeats=19)
    assert found.p == 1 / 20
    assert found.z > 4
    assert not found.indistinguishable
    assert calibrate(DISTANCES[name], reference, other, repeats=19).indistinguishable


def test_a_null_that_does_not_vary_makes_any_other_value_infinitely_far() -> None:
    values = iter([2.0, 1.0, 1.0, 1.0])
    assert calibrate(lambda *_: next(values), noise(9, 1, 0), noise(9, 1, 1), repeats=3).z == np.inf


def test_too_few_examples_for_halves_are_refused() -> None:
    with pytest.raises(UserError, match="4 examples of the reference"):
        calibrate(means_apart, noise(3, 1, 0), noise(9, 1, 1))


# --- the proxy


def test_stage_gap_is_over_the_best_earlier_stage_and_over_random_features() -> None:
    rows = [
        ("a", "s1", 0.6),
        ("a", "s2", 0.8),
        ("a", "s3", 0.75),
        ("b", "s1", 0.5),
        ("b", "s2", 0.9),
        ("c", "only", 0.7),
    ]
    curve = [StageScore(source=source, stage=stage, dim=4, accuracy=value) for source, stage, value in rows]
    late, early, single = stage_gaps(curve, random_floor=0.65)
    assert (late.source, early.source, single.source) == ("a", "b", "c")
    assert late.over_earlier == pytest.approx(-0.05)
    assert late.over_random == pytest.approx(0.1)
    assert late.gap == pytest.approx(-0.05)
    assert (early.earlier, early.gap) == (0.5, pytest.approx(0.25))
    assert (single.earlier, single.over_earlier, single.gap) == (None, 0.0, pytest.approx(0.05))
