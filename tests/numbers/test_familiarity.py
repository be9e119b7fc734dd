"""Nearest neighbours by hand, and the share of alarms that was promised."""

from pathlib import Path

import numpy as np
import pytest

from headstart.core.exhibits import Exhibit
from headstart.evaluation.familiarity import ALARMS, Familiar

CHANCES = np.random.default_rng(0)


def known(features: np.ndarray) -> Familiar:
    names = [f"{at}.png" for at in range(len(features))]
    return Familiar.of(features, names, ["x"] * len(names), [Exhibit(words=name) for name in names])


def test_the_nearest_are_those_of_scikit_learn() -> None:
    from sklearn.neighbors import NearestNeighbors

    features, new = CHANCES.normal(size=(200, 12)), CHANCES.normal(size=(30, 12))
    distances, order = NearestNeighbors(n_neighbors=3, metric="cosine").fit(features).kneighbors(new)
    for (_, near), row, wanted in zip(known(features).near(new), distances, order, strict=True):
        assert [one.name for one in near] == [f"{at}.png" for at in wanted]
        assert [one.similarity for one in near] == pytest.approx(1 - row, abs=5e-4)  # two bytes a feature are kept


def test_alarms_are_as_rare_as_promised_and_strangers_raise_them() -> None:
    """Directions about one axis; strangers point another way, and their length tells nothing."""

    def drawn(n: int, axis: int) -> np.ndarray:
        found = CHANCES.normal(size=(n, 20)) * 0.2
        found[:, axis] += 1
        return found * CHANCES.uniform(0.1, 10, size=(n, 1))

    familiar = known(drawn(1000, 0))
    alike = np.mean([unlike for unlike, _ in familiar.near(drawn(5000, 0))])
    assert 0.2 * ALARMS < alike < 3 * ALARMS
    assert np.mean([unlike for unlike, _ in familiar.near(drawn(500, 1))]) > 0.99


def test_rounding_on_disk_raises_no_alarm(tmp_path: Path) -> None:
    """Rows that repeat, and rows that hardly differ: their neighbours are all equally near."""
    for name, rows in (
        ("repeated", np.repeat(CHANCES.normal(size=(4, 40)), 25, axis=0)),
        ("close", 5 + 0.01 * CHANCES.normal(size=(200, 40))),
    ):
        (tmp_path / name).mkdir()
        known(rows).write(tmp_path / name)
        again = Familiar.read(tmp_path / name)
        assert again is not None
        assert np.mean([unlike for unlike, _ in again.near(rows)]) <= 2 * ALARMS, name


def test_an_example_is_no_neighbour_of_its_own() -> None:
    features = CHANCES.normal(size=(50, 30))
    assert not known(features).near(features)[0][0]
    assert known(features).far < 0.9  # else everybody would be at 1 from himself


def test_it_comes_back_from_its_files_and_damage_is_told(tmp_path: Path) -> None:
    familiar = known(CHANCES.normal(size=(20, 8)))
    familiar.write(tmp_path)
    again = Familiar.read(tmp_path)
    assert again is not None
    assert again.names == familiar.names
    assert again.exhibit("3.png") == Exhibit(words="3.png")
    assert again.exhibit("of another run") is None
    np.testing.assert_allclose(again.units, familiar.units, atol=1e-3)
    facts = tmp_path / "familiar.json"
    facts.write_text(facts.read_text().replace('"0.png",', "", 1))
    with pytest.raises(ValueError, match="other examples"):
        Familiar.read(tmp_path)
    assert Familiar.read(tmp_path / "nowhere") is None


@pytest.mark.parametrize("n", [2, 3, 6])
def test_few_examples_are_enough(n: int) -> None:
    (unlike, near), *_ = known(np.eye(n, 8) + 1).near(np.ones((1, 8)))
    assert not unlike
    assert len(near) == min(n, 3)
