"""Trees as arrays say what LightGBM says; shrunk coefficients against the normal equations; misleading rows fade."""

from typing import Any

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from headstart.core.problem import Kind
from headstart.core.protocols import State
from headstart.data.word_numbers import category
from headstart.linear.boosting import Beside, Boosting, Indicators, summed
from headstart.linear.cells import NOTHING, NUMBER
from headstart.linear.forest import Forest
from headstart.linear.pooled import Pooled
from headstart.linear.ridge import solve_features, standardise
from headstart.linear.shrunk import ShrunkRidge

Floats = NDArray[np.float64]


def noise(n: int, d: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32).astype(np.float64)


def gaps(rows: Floats, share: float = 0.2) -> Floats:
    return np.where(np.random.default_rng(9).random(rows.shape) < share, np.nan, rows)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(("objective", "outputs"), [("regression", 1), ("binary", 1), ("multiclass", 3)])
def test_a_forest_says_what_lightgbm_says(missing: bool, objective: str, outputs: int) -> None:
    rows = gaps(noise(300, 5)) if missing else noise(300, 5)
    filled = np.nan_to_num(rows)
    wanted = filled[:, 0] * filled[:, 1] + filled[:, 2]
    targets = wanted if objective == "regression" else np.digitize(wanted, [-0.5, 0.5]) % max(outputs, 2)
    settings: dict[str, Any] = {"objective": objective, "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5}
    grown = lightgbm.train(settings | ({"num_class": 3} if outputs > 1 else {}), lightgbm.Dataset(rows, targets), 20)
    found = summed(Forest.of(grown.dump_model()["tree_info"])(gaps(noise(5000, 5, 1))), outputs)
    told = grown.predict(gaps(noise(5000, 5, 1)), raw_score=True).reshape(len(found), -1)
    np.testing.assert_allclose(found, told, rtol=1e-9, atol=1e-9)


def cells(n: int, seed: int) -> tuple[list[Floats], NDArray[np.int64]]:
    """A number and a category that matter together, a number with gaps that does not."""
    rng = np.random.default_rng(seed)
    kind, x = rng.integers(0, 3, n), rng.normal(size=n)
    numbers = np.stack([x, np.full(n, np.nan), gaps(rng.normal(size=(n, 1)))[:, 0]], axis=1)
    codes = np.array([category(name) for name in ("red", "green", "blue")], dtype=float)
    what = np.where(np.isnan(numbers), NOTHING, NUMBER).astype(float)
    what[:, 1] = codes[kind]
    return [numbers, what], ((x > 0) ^ (kind == 1)).astype(np.int64)


def test_boosting_finds_what_only_number_and_category_together_tell() -> None:
    (blocks, targets), (new, truth) = cells(400, 0), cells(400, 1)
    found = Boosting.fit(blocks, targets, 2, None)
    assert (found.predict(new).argmax(axis=1) == truth).mean() > 0.95
    assert (found.loo.argmax(axis=1) == targets).mean() > 0.9


@pytest.mark.parametrize("kind", ["classification", "multi-label", "regression"])
def test_boosting_of_every_kind_survives_rest(kind: Kind) -> None:
    blocks, targets = cells(200, 0)
    wanted: Any = {
        "classification": targets,
        "multi-label": np.stack([targets, 1 - targets, targets], axis=1),
        "regression": targets + 0.1 * blocks[0][:, 0],
    }[kind]
    outputs = {"classification": 2, "multi-label": 3, "regression": 1}[kind]
    found = Boosting.fit(blocks, wanted, outputs, None, kind=kind)
    state = found.state()
    again = Boosting.restore(State({k: np.array(v) for k, v in state.arrays.items()}, dict(state.meta)))
    said = found.predict(blocks)
    assert said.shape == (200, outputs)
    np.testing.assert_array_equal(again.predict(blocks), said)
    near = (said - (np.eye(2)[wanted] if kind == "classification" else wanted.reshape(200, -1))) ** 2
    assert near.mean() < 0.05


def test_rounds_stop_where_there_is_nothing_to_learn() -> None:
    blocks, targets = cells(300, 0)
    found = Boosting.fit(blocks, np.random.default_rng(3).permutation(targets), 2, None)
    assert found.forest.feature.shape[0] <= 2 * 12
    assert 0.2 < found.error < 0.3  # half wrong, and it says so


def test_categories_that_stand_once_get_no_feature_and_missing_ones_neither() -> None:
    found = Indicators.of(np.array([[5.0, NUMBER], [5.0, NOTHING], [6.0, NOTHING], [7.0, NUMBER]]))
    np.testing.assert_array_equal(found.column, [0])
    np.testing.assert_array_equal(found.category, [5])


def test_weights_count_rows() -> None:
    rows = np.repeat([[0.0], [1.0]], 60, axis=0)
    targets = np.tile([0, 1, 1], 40)  # two thirds of either are 1
    weights = np.where(targets == 0, 8.0, 1.0)
    plain, weighted = (Boosting.fit([rows], targets, 2, None, one).predict([rows])[0, 0] for one in (None, weights))
    assert plain < 0.45 < 0.7 < weighted


@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
def test_the_penalty_is_on_the_distance_to_the_old_coefficients(penalty: float) -> None:
    n, d = 60, 4
    features, old = noise(n, d), noise(d, 2, 5)
    targets = (features @ old).argmax(axis=1)
    found = ShrunkRidge.fit([features, features @ old], targets, 2, penalty)
    share = found.weight[d, 0]
    assert share in (0.0, 0.5, 1.0)
    scaler = standardise(features)
    scaled, residual = scaler(features), np.eye(2)[targets] - features @ (share * old)
    gram = scaled.T @ scaled + found.penalty * np.eye(d)
    step = np.linalg.solve(gram, scaled.T @ (residual - residual.mean(axis=0))) / scaler.scale[:, None]
    np.testing.assert_allclose(found.weight[:d], step, rtol=1e-6, atol=1e-9)


def test_few_rows_stay_near_what_is_known_and_a_contrary_source_is_left() -> None:
    d = 20
    truth, new = noise(d, 2, 1), noise(2000, d, 2)
    features = noise(25, d, 3)
    targets = (features @ truth).argmax(axis=1)

    def right(old: Floats) -> float:
        found = ShrunkRidge.fit([features, features @ old], targets, 2, None)
        return float((found.predict([new, new @ old]).argmax(axis=1) == (new @ truth).argmax(axis=1)).mean())

    plain = right(np.zeros((d, 3)))  # of three classes: counts for nothing
    old = solve_features([new], np.eye(2)[(new @ truth).argmax(axis=1)]).weight
    assert right(old) > plain + 0.1
    assert right(-old) >= plain - 0.02


def test_rows_of_the_source_help_and_those_that_mislead_do_not_count() -> None:
    rng = np.random.default_rng(0)

    def drawn(n: int) -> tuple[Floats, NDArray[np.int64]]:
        rows = rng.normal(size=(n, 6))
        return rows, (rows[:, 0] + rows[:, 1] * rows[:, 2] > 0).astype(np.int64)

    (own, targets), (source, codes), (new, truth) = drawn(40), drawn(1000), drawn(2000)

    def right(beside: Beside | None) -> float:
        found = Pooled.fit([own], targets, 2, None, beside)
        return float((found.predict([new]).argmax(axis=1) == truth).mean())

    alone, helped, misled = right(None), right(Beside(source, codes)), right(Beside(source, 1 - codes))
    blind = Boosting.fit([own], targets, 2, None, beside=Beside(source, 1 - codes)).predict([new])
    assert helped > alone + 0.1
    assert misled == alone
    assert float((blind.argmax(axis=1) == truth).mean()) < 0.3  # what counting them would do
