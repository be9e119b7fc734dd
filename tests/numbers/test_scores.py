"""H-score and nearest neighbours against slow references, and what every transferability score must do."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from headstart.linear.heads import Ridge
from headstart.selection import knn
from headstart.selection.hscore import h_score, ledoit_wolf
from headstart.selection.knn import knn_accuracy
from headstart.selection.scores import SCORES

SHAPES = [(60, 8), (30, 30), (25, 90)]


def problem(n: int, dim: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features that tell something of four classes of different sizes; 1 is not among them."""
    rng = np.random.default_rng(seed)
    codes = rng.choice([0, 2, 3, 4], n, p=[0.4, 0.3, 0.2, 0.1])
    return np.maximum(rng.normal(size=(n, dim)) + rng.normal(size=(5, dim))[codes], 0), codes


# --- H-score


@pytest.mark.parametrize(("n", "dim"), SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_h_score_is_the_trace(n: int, dim: int, seed: int) -> None:
    features, codes = problem(n, dim, seed)
    centred = features - features.mean(axis=0)
    fitted = LedoitWolf(assume_centered=True).fit(centred)
    means = np.stack([centred[codes == code].mean(axis=0) for code in codes])
    between = (1 - fitted.shrinkage_) * means.T @ means / n
    assert h_score(features, codes, 5) == pytest.approx(np.trace(np.linalg.solve(fitted.covariance_, between)))


@pytest.mark.parametrize(("n", "dim"), [*SHAPES, (12, 1), (2, 5), (200, 3)])
@pytest.mark.parametrize("decay", [0.5, 0.0])  # without any, all the way to the identity
def test_shrinkage_is_that_of_scikit_learn(n: int, dim: int, decay: float) -> None:
    centred = np.random.default_rng(0).normal(size=(n, dim)) * np.arange(1, dim + 1) ** -decay
    centred -= centred.mean(axis=0)
    variances = np.linalg.eigvalsh(centred.T @ centred / n)
    expected = LedoitWolf(assume_centered=True).fit(centred).shrinkage_
    assert ledoit_wolf(variances, (centred**2).sum(axis=1), dim) == pytest.approx(expected, abs=1e-9)


def test_h_score_does_not_see_scale_shift_or_rotation() -> None:
    features, codes = problem(40, 20)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(20, 20)))
    assert h_score(30 * features @ turn + 5, codes, 5) == pytest.approx(h_score(features, codes, 5))


def test_h_score_is_less_than_the_number_of_classes() -> None:
    codes = np.arange(400) % 4
    features = np.eye(4)[codes] + 1e-3 * np.random.default_rng(0).normal(size=(400, 4))
    assert 2.9 < h_score(features, codes, 4) < 3


# --- nearest neighbours


def slow_knn(features: np.ndarray, codes: np.ndarray, k: int) -> float:
    right = 0
    lengths = np.maximum(np.linalg.norm(features, axis=1), 1e-300)  # nothing but zeros is at right angles to all
    for i, row in enumerate(features):
        others = [j for j in range(len(features)) if j != i]
        cosine = {j: row @ features[j] / lengths[i] / lengths[j] for j in others}
        near = [int(codes[j]) for j in sorted(others, key=lambda j: (-round(cosine[j], 12), j))[:k]]
        most = max(near.count(code) for code in near)
        right += next(code for code in near if near.count(code) == most) == codes[i]  # tied: whose nearest is nearer
    return right / len(features)


@pytest.mark.parametrize(("n", "dim"), SHAPES)
@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_nearest_neighbours_one_by_one(n: int, dim: int, k: int) -> None:
    for seed in range(3):
        features, codes = problem(n, dim, seed)
        assert knn_accuracy(features, codes, 5, k) == pytest.approx(slow_knn(features, codes, k))


def test_an_example_is_not_its_own_neighbour() -> None:
    rng = np.random.default_rng(0)
    features, codes = rng.normal(size=(300, 50)), np.arange(300) % 2
    assert 0.35 < knn_accuracy(features, codes, 2) < 0.65


def test_length_does_not_matter_and_direction_does() -> None:
    angle = np.repeat([0.2, 1.2], 10) + 0.01 * np.arange(20)
    length = np.random.default_rng(0).uniform(0.1, 10, 20)[:, None]
    features = length * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert knn_accuracy(features, np.repeat([0, 1], 10), 2, 3) == 1.0


@pytest.mark.parametrize("at_once", [1, 100, 1000, 10_000])
@pytest.mark.parametrize("k", [1, 3])
def test_blocks_change_nothing_even_among_ties(monkeypatch: pytest.MonkeyPatch, at_once: int, k: int) -> None:
    features, codes = problem(90, 37)
    lengths = np.random.default_rng(1).uniform(0.1, 10, size=(200, 1))  # equal directions, but for rounding
    twice = np.vstack([features, features, features[:20]]) * lengths
    labels = np.concatenate([codes, codes[::-1], codes[:20]])
    expected = slow_knn(twice, labels, k)
    monkeypatch.setattr(knn, "AT_ONCE", at_once)
    assert knn_accuracy(twice, labels, 5, k) == pytest.approx(expected)


def test_of_equally_near_examples_the_first_counts() -> None:
    features = np.ones((5, 3))
    assert knn_accuracy(features, np.array([1, 0, 1, 1, 0]), 2) == pytest.approx(2 / 5)  # the second's is the first
    assert knn_accuracy(np.zeros((5, 3)), np.array([1, 0, 1, 1, 0]), 2) == pytest.approx(2 / 5)


@pytest.mark.parametrize("k", [0, 4])
def test_too_many_or_no_neighbours_are_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 3 neighbours of 4 examples, got {k}"):
        knn_accuracy(np.eye(4), np.arange(4) % 2, 2, k)


# --- all of them


def test_the_table_is_whole() -> None:
    assert list(SCORES) == ["ridge-loo", "knn-loo", "logme", "h-score"]
    for name, score in SCORES.items():
        assert score.name == name
        assert score.cost.startswith("O(")
        assert score.paper
        assert score.doc.endswith(".")


def test_ridge_is_the_accuracy_that_the_head_says_of_itself() -> None:
    features, codes = problem(60, 8)
    loo = Ridge.fit([features], codes, 5, None).loo
    assert SCORES["ridge-loo"].of(features, codes, 5) == (loo.argmax(axis=1) == codes).mean()


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("dim", [10, 200])
def test_what_says_more_scores_more(name: str, dim: int) -> None:
    rng = np.random.default_rng(0)
    codes = np.arange(90) % 3
    noise, centres = rng.normal(size=(90, dim)), rng.normal(size=(3, dim))
    scores = [SCORES[name].of(noise + strength * centres[codes], codes, 3) for strength in (0.0, 0.15, 3.0)]
    assert scores[0] < scores[1] < scores[2]


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize(("n", "dim"), [*SHAPES, (3, 2), (2, 7)])
@pytest.mark.parametrize("kind", ["zeros", "constant", "dead columns", "rank one", "float32", "one class", "read-only"])
def test_degenerate_features_have_a_finite_score(name: str, kind: str, n: int, dim: int) -> None:
    features, codes = problem(n, dim)
    codes[0] = 4  # a class that often has one example
    if kind in ("zeros", "constant"):
        features = np.full((n, dim), 0.1 * (kind == "constant"))
    if kind == "dead columns":
        features[:, ::2] = 0.1
    if kind == "rank one":
        features = np.outer(np.arange(n), np.ones(dim))
    if kind == "float32":
        features = features.astype(np.float32)
    if kind == "one class":
        codes = np.full(n, 2)
    features.flags.writeable = False
    before = features.copy()
    score = SCORES[name].of(features, codes, 5)
    assert type(score) is float
    assert np.isfinite(score)
    assert (features == before).all()


@pytest.mark.parametrize("kind", [0.0, 0.1, 1e6])
@pytest.mark.parametrize(("n", "dim"), SHAPES)
def test_constant_features_have_no_h_score(kind: float, n: int, dim: int) -> None:
    assert h_score(np.full((n, dim), kind), np.arange(n) % 2, 2) == 0.0


@pytest.mark.parametrize("name", ["knn-loo", "logme", "h-score"])
def test_features_that_are_not_finite_are_refused(name: str) -> None:
    features, codes = problem(20, 5)
    features[3, 2] = np.inf
    with pytest.raises(ValueError, match="finite features"):
        SCORES[name].of(features, codes, 5)
