"""MiniRocket and dynamic time warping beside plain loops, beside aeon where it is there, and at rest."""

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart.core.problem import Kind
from headstart.linear import minirocket
from headstart.linear.dtw import Dtw, distances
from headstart.linear.minirocket import KERNELS, Convolutions, MiniRocket, fitted, spread
from headstart.linear.series_blocks import matrices, resampled

Rows = NDArray[np.float32]


def some(count: int, channels: int, steps: int, seed: int = 0) -> Rows:
    return np.random.default_rng(seed).normal(size=(count, channels, steps)).cumsum(axis=2).astype(np.float32)


def blocks(series: list[Rows]) -> list[Rows]:
    """As features hold them."""
    width = max(one.size for one in series) + 3
    width += -width % len(series[0])
    shapes = np.array([one.shape for one in series], dtype=np.float32)
    values = np.zeros((len(series), width), dtype=np.float32)
    for row, one in zip(values, series, strict=True):
        row.reshape(len(one), -1)[:, : one.shape[1]] = one
    return [shapes, values]


def plain_share(series: Rows, kernel: int, dilation: int, border: int, bias: float) -> float:
    """How often one kernel exceeds a bias, tap by tap."""
    steps = series.shape[1]
    weights = [2.0 if tap in KERNELS[kernel] else -1.0 for tap in range(9)]
    above = []
    for at in range(border, steps - border):
        total = 0.0
        for channel in series:
            for tap, weight in enumerate(weights):
                place = at + (tap - 4) * dilation
                total += weight * float(channel[place]) if 0 <= place < steps else 0.0
        above.append(total > bias)
    return float(np.mean(above))


@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_those_of_plain_loops(channels: int) -> None:
    series = some(6, channels, 40)
    found = fitted(series, features=84 * 6)
    shares = found(series[:2])
    assert shares.shape == (2, 84 * 6)
    assert set(found.dilations.tolist()) == {1, 2, 3, 4}
    for one in list(found.kernels())[::29]:
        column = one.columns.start
        seen = series[1][one.channels]
        wanted = plain_share(seen, one.kernel, one.dilation, one.border, float(found.biases[column]))
        assert shares[1, column] == pytest.approx(wanted, abs=1.5 / 40)


def test_biases_are_spread_over_what_a_kernel_gives() -> None:
    shares = fitted(some(20, 1, 60))(some(20, 1, 60))
    assert 0.45 < shares.mean() < 0.55
    assert shares.std() > 0.2


def test_dilations_are_those_of_the_paper() -> None:
    dilations, counts = spread(150, 119)
    assert counts.sum() == 119
    assert dilations[0] == 1
    assert dilations[-1] == 18  # (150 - 1) / 8
    assert counts[0] == counts.max(), "the shortest has most biases"


def test_the_transform_is_aeons() -> None:
    aeon = pytest.importorskip("aeon.transformations.collection.convolution_based")
    for channels in (1, 4):
        train, test = some(12, channels, 80), some(5, channels, 80, seed=1)
        theirs = aeon.MiniRocket(random_state=0).fit(train)
        seen, which, dilations, counts, biases = theirs.parameters
        own = Convolutions(80, dilations, counts, seen, which, biases)
        assert np.abs(own(test) - np.asarray(theirs.transform(test))).max() < 2 / 80
        assert np.array_equal(spread(80, 119)[0], dilations)


def plain_warping(one: Rows, other: Rows, window: int) -> float:
    steps = one.shape[1]
    cost = np.full((steps + 1, steps + 1), np.inf)
    cost[0, 0] = 0
    for i in range(steps):
        for j in range(max(0, i - window), min(steps, i + window + 1)):
            here = float(((one[:, i] - other[:, j]) ** 2).sum())
            cost[i + 1, j + 1] = here + min(cost[i, j], cost[i, j + 1], cost[i + 1, j])
    return float(cost[steps, steps])


@pytest.mark.parametrize("window", [0, 1, 3, 12])
@pytest.mark.parametrize("channels", [1, 2])
def test_distances_are_those_of_the_plain_table(window: int, channels: int) -> None:
    one, other = some(3, channels, 12), some(4, channels, 12, seed=1)
    found = distances(one, other, window)
    wanted = [[plain_warping(a, b, window) for b in other] for a in one]
    assert np.allclose(found, wanted, rtol=1e-5)


def bumps(count: int, seed: int) -> tuple[list[Rows], NDArray[np.int64]]:
    """One bump or two, anywhere, of unequal length: what warping tells and a straight comparison does not."""
    draw = np.random.default_rng(seed)
    found: list[Rows] = []
    for at in range(count):
        steps = np.arange(int(draw.integers(50, 80)))
        begin = draw.uniform(8, 20)
        one = np.exp(-0.5 * ((steps - begin) / 2) ** 2)
        two = np.exp(-0.5 * ((steps - begin - draw.uniform(10, 20)) / 2) ** 2)
        found.append((one + (at % 2) * two)[None].astype(np.float32))
    return found, np.arange(count) % 2


def test_warping_tells_what_is_moved() -> None:
    (train, codes), (test, truth) = bumps(30, 0), bumps(30, 1)
    warped = Dtw.fit(blocks(train), codes, 2, None)
    assert warped.window > 0, "leave-one-out wants to warp"
    assert (warped.predict(blocks(test)).argmax(axis=1) == truth).mean() > 0.9
    assert warped.loo.shape == (30, 2)
    assert np.allclose(warped.loo.sum(axis=1), 1)


def test_leave_one_out_leaves_the_series_out() -> None:
    series = [one[0] for one in some(12, 1, 20)[:, None]]
    codes = np.arange(12) % 2  # nothing to learn
    assert (Dtw.fit(blocks(series), codes, 2, None).loo.argmax(axis=1) == codes).mean() < 0.9


@pytest.mark.parametrize("estimator", [MiniRocket, Dtw])
@pytest.mark.parametrize(("kind", "outputs"), [("classification", 2), ("regression", 1)])
def test_at_rest_it_predicts_the_same(estimator: type[MiniRocket] | type[Dtw], kind: Kind, outputs: int) -> None:
    (train, codes), (test, truth) = bumps(30, 0), bumps(20, 1)
    targets = codes if kind == "classification" else codes * 2.5 + 1
    head = estimator.fit(blocks(train), targets, outputs, None, kind=kind)
    found = head.predict(blocks(test))
    again = estimator.restore(head.state())
    assert np.allclose(again.predict(blocks(test)), found, atol=1e-5)
    assert all(array.dtype != object for array in head.state().arrays.values())
    right = found.argmax(axis=1) == truth if kind == "classification" else np.abs(found[:, 0] - truth * 2.5 - 1) < 1.25
    assert right.mean() > 0.8


def test_blocks_hold_series_of_unequal_length() -> None:
    series = [some(1, 2, steps)[0] for steps in (5, 9, 7)]
    for one, found in zip(series, matrices(blocks(series)), strict=True):
        assert np.array_equal(one, found)
    assert np.array_equal(resampled(series, 9)[1], series[1])
    assert np.allclose(resampled(series, 9)[0, :, ::2], series[0])


def test_kernels_are_the_84_of_the_paper() -> None:
    assert len(KERNELS) == 84
    weights = np.full((84, 9), -1.0)
    np.put_along_axis(weights, KERNELS, 2.0, axis=1)
    assert (weights.sum(axis=1) == 0).all()
    assert minirocket.FEATURES == 84 * 119
