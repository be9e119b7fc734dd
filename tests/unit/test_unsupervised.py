"""Whitening, maps, clusters and outliers, against closed forms, slow references and data of known structure."""

import numpy as np
import pytest

from headstart.core import extras
from headstart.core.errors import UserError
from headstart.strategies.unsupervised import clustering, neighbours, reduction
from headstart.strategies.unsupervised.clustering import cluster, typical
from headstart.strategies.unsupervised.reduction import flat, whitened


def blobs(seed: int, groups: int, each: int = 40, width: int = 6, noise: float = 0.15) -> tuple[np.ndarray, np.ndarray]:
    """Groups around corners of a simplex, at most one a dimension, and who is of which."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(groups), each)
    rows = np.eye(width)[truth] + rng.normal(0, noise, (len(truth), width))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), truth


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to seven clusters, from one start: quick."""
    monkeypatch.setattr(clustering, "MOST", 7)
    monkeypatch.setattr(clustering, "DRAWS", 2)


def test_whitened_components_have_the_angles_of_mahalanobis() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(500, 5)) * [10, 5, 3, 2, 2] @ rng.normal(size=(5, 5)) + 3
    centred = features - features.mean(axis=0)
    inner = centred @ np.linalg.inv(np.cov(centred.T)) @ centred.T
    length = np.sqrt(np.diag(inner))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduction, "KEPT", 1.0)
        found = whitened(features, 5)
    np.testing.assert_allclose(found @ found.T, inner / np.outer(length, length), atol=1e-6)


def test_both_ways_to_the_components_agree() -> None:
    """With fewer examples than features the other Gram matrix is taken: the same directions, up to signs."""
    features = np.random.default_rng(0).normal(size=(60, 40))
    wide = np.hstack([features, np.zeros((60, 40))])
    one, other = whitened(features, 4), whitened(wide, 4)
    np.testing.assert_allclose(one @ one.T, other @ other.T, atol=1e-8)


def test_whitening_brings_out_what_varies_little() -> None:
    """Two classes that differ along a faint direction are found only when it counts as much as the loud one."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 100)
    features = np.column_stack([rng.uniform(-1, 1, 200) * 10, (2 * truth - 1) * 1.5 + rng.normal(0, 0.1, 200)])
    after = cluster(whitened(features), "2", 0).codes
    before = cluster(features, "2", 0).codes
    assert max((after == truth).mean(), (after != truth).mean()) > 0.95
    assert max((before == truth).mean(), (before != truth).mean()) < 0.7


def test_features_that_do_not_vary_are_no_trouble() -> None:
    assert np.isfinite(whitened(np.ones((5, 3)))).all()
    assert np.isfinite(flat(whitened(np.ones((5, 3))), "pca", 0)).all()


def test_a_flat_map_keeps_a_plane() -> None:
    """Points of a plane in ten dimensions come out as they are, up to turning, mirroring and one scale."""
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(50, 2)) * [3, 1]
    axes, _ = np.linalg.qr(rng.normal(size=(10, 2)))
    found = flat(plane @ axes.T, "pca", 0)
    assert np.abs(found).max() == pytest.approx(1)
    apart = [np.linalg.norm(rows[:, None] - rows[None], axis=2) for rows in (plane, found)]
    np.testing.assert_allclose(apart[1] / apart[1].max(), apart[0] / apart[0].max(), atol=1e-9)


@pytest.mark.slow
def test_umap_keeps_groups_apart_and_repeats_itself() -> None:
    rows, truth = blobs(0, 4)
    found = flat(rows, "umap", 0)
    np.testing.assert_array_equal(found, flat(rows, "umap", 0))
    near = np.linalg.norm(found[:, None] - found[None], axis=2) + 9 * np.eye(len(found))
    assert (truth[near.argmin(axis=1)] == truth).mean() > 0.98


@pytest.mark.parametrize("groups", [3, 5])
def test_as_many_clusters_as_there_are(groups: int, few: None) -> None:
    rows, truth = blobs(1, groups)
    found = cluster(rows, "auto", 0)
    assert found.clear
    assert len(found.centres) == groups
    assert clustering.agreement(truth, found.codes) == (1.0, 1.0)


@pytest.mark.parametrize("seed", range(3))
def test_no_clusters_in_a_cloud(seed: int, few: None) -> None:
    found = cluster(whitened(np.random.default_rng(seed).normal(size=(200, 8)) * np.arange(1, 9)), "auto", 0)
    assert not found.clear
    assert (found.codes == -1).all()
    assert found.tried


def test_a_number_that_is_asked_for_is_taken_and_judged() -> None:
    found = cluster(whitened(np.random.default_rng(0).normal(size=(120, 6))), "4", 0)
    assert len(found.centres) == 4
    assert not found.clear
    assert np.bincount(found.codes).tolist() == sorted(np.bincount(found.codes), reverse=True)


def test_dense_regions_and_what_is_in_none() -> None:
    rows, truth = blobs(0, 3, noise=0.05)
    found = cluster(np.vstack([rows, -np.eye(6)]), "hdbscan", 0)
    assert len(found.centres) == 3
    assert not found.clear  # nobody has asked whether they repeat themselves
    assert clustering.agreement(truth, found.codes[: len(truth)])[0] == 1.0
    assert (found.codes[len(truth) :] == -1).all()


def test_the_typical_are_nearest_to_the_centre() -> None:
    rows = np.array([[0.0, 1.0], [0.1, 1.0], [-0.4, 1.0], [5.0, 0.0]])
    found = clustering.Clustering(np.array([0, 0, 0, 1]), np.array([[-0.1, 1.0], [5.0, 0.0]]), (), True)
    assert typical(rows, found, 2) == ((0, 1), (3,))


@pytest.mark.parametrize("wanted", ["1", "many", "-3", "0", "2.5"])
def test_wishes_for_clusters_that_are_refused(wanted: str) -> None:
    with pytest.raises(UserError, match="--clusters auto, hdbscan, none or a number from 2"):
        clustering.check(wanted)


def test_more_clusters_than_examples() -> None:
    with pytest.raises(UserError, match="got 9 of 5 examples"):
        cluster(np.eye(5), "9", 0)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(extras.importlib, "import_module", missing)
    with pytest.raises(UserError, match=r"pip install 'headstart\[explore\]'"):
        clustering.check("auto")
    clustering.check("none")


def test_distances_are_those_of_the_slow_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "AT_ONCE", 100)  # several blocks
    rows, _ = blobs(0, 3, each=10)
    found = neighbours.distances(rows, 4)
    slow = [np.sort([1 - a @ b for j, b in enumerate(rows) if j != i])[:4].mean() for i, a in enumerate(rows)]
    np.testing.assert_allclose(found, slow, atol=1e-12)
    assert neighbours.distances(rows[:1]).tolist() == [0.0]


def test_what_stands_apart_is_found_and_nothing_else() -> None:
    rows, _ = blobs(0, 3, width=8)
    odd = np.vstack([rows, np.eye(8)[[6, 7]]])
    apart = neighbours.distances(odd)
    assert sorted(neighbours.outliers(apart).tolist()) == [120, 121]
    assert len(neighbours.outliers(neighbours.distances(rows))) <= 2
    assert len(neighbours.outliers(np.zeros(0))) == 0
