"""The outlook: its signs by hand, its probabilities against scikit-learn, and what the stored model must know."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from headstart.core.record import StageScore
from headstart.selection.distance.stage_gap import stage_gaps
from headstart.selection.loo import Floor
from headstart.selection.outlook import SIGNS, SUREST, Signs, chances, outlook, stored

PLAIN = Signs(
    examples=200, scored=200, classes=10, best=0.8, last=0.7, earlier=0.8, random=0.6, control=0.65
)  # fmt: skip


def test_the_signs_are_what_they_say() -> None:
    found = {name: of(PLAIN) for name, of in SIGNS.items()}
    error = ((0.8 * 0.2 + 0.65 * 0.35) / 200) ** 0.5
    expected = [0.15, 0.15 / error, -0.1, 0.1, 0.35, np.log10(20), 1.0]
    np.testing.assert_allclose(list(found.values()), expected)


def test_no_sign_is_infinite_where_everything_is_right() -> None:
    perfect = replace(PLAIN, best=1.0, control=1.0, earlier=None)
    assert all(np.isfinite(of(perfect)) for of in SIGNS.values())
    assert SIGNS["gain in standard errors"](replace(perfect, control=0.0)) == SUREST


def test_chances_are_those_of_a_logistic_regression() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(80, len(SIGNS))) * 3 + 1
    helped = rows[:, 0] + rng.normal(size=80) > 0
    scaler = StandardScaler().fit(rows)
    theirs = LogisticRegression().fit(scaler.transform(rows), helped)
    parts = {"mean": scaler.mean_, "scale": scaler.scale_, "weights": theirs.coef_[0]}
    model = {name: values.tolist() for name, values in parts.items()} | {"bias": float(theirs.intercept_[0])}
    np.testing.assert_allclose(chances(model, rows), theirs.predict_proba(scaler.transform(rows))[:, 1])


def test_a_gain_in_plain_sight_is_foretold_and_a_loss_too() -> None:
    gains, loses = replace(PLAIN, control=0.3, random=0.3), replace(PLAIN, best=0.5, last=0.4, earlier=0.5)
    good, bad = outlook(gains, "image"), outlook(loses, "image")
    assert good is not None
    assert bad is not None
    assert good.helps > 0.9
    assert bad.helps < 0.2
    assert good.settled
    assert bad.settled


def test_a_kind_of_data_without_a_bank_has_no_outlook() -> None:
    assert outlook(PLAIN, "smell") is None


def test_the_stored_model_did_better_than_what_it_replaces() -> None:
    """What `benchmarks/calibrate.py` found on targets that the model had not seen."""
    held = stored()["held out"]["by target"]
    assert held["AUC"][1] > 0.75
    assert held["skill over base rate"][1] > 0
    assert held["skill over labels a class"][1] > 0
    regret = {name: row["mean regret, points"] for name, row in stored()["held out"]["policies"].items()}
    assert regret["outlook above 0.25"] < min(regret["always transfer"], regret["never transfer"])


def test_signs_come_from_the_source_whose_last_stage_is_best() -> None:
    rows = [("a", "x", 0.9), ("a", "y", 0.5), ("b", "x", 0.4), ("b", "y", 0.6)]
    curve = tuple(StageScore(source=s, stage=t, dim=1, accuracy=acc, sure=0.1) for s, t, acc in rows)
    assert {gap.source for gap in stage_gaps(curve, 0.3)} == {"a", "b"}

    class View:
        task = type("Task", (), {"outputs": 3})

        def __len__(self) -> int:
            return 5000

    signs = Signs.of(View(), curve, Floor(raw=0.2, random=0.3, majority=0.35))  # type: ignore[arg-type]
    assert signs == Signs(5000, 1000, 3, best=0.9, last=0.6, earlier=0.4, random=0.3, control=0.35)


@pytest.mark.parametrize("name", SIGNS)
def test_every_sign_is_in_the_stored_model(name: str) -> None:
    assert name in stored()["signs"]
