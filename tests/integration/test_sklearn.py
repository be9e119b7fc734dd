"""Estimators for scikit-learn: searches and pipelines on made pictures, texts, series and rows."""

import importlib
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from headstart.core.errors import UserError
from headstart.linear.ridge import standardise
from headstart.modalities.table.prepare import cells
from headstart.sklearn import SourceFeatures, TransferClassifier, TransferRegressor, cache
from headstart.sources.card import TableInput
from headstart.sources.load import load

PICTURES, OTHERS = "random:test_resnet@32", "random:test_resnet@32#1"
TEXTS, SERIES, ROWS = "random:text-cnn", "random:series-cnn", "random:table-net"


@pytest.fixture
def _fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def woven(photos: Path) -> tuple[list[str], list[str]]:
    """20 pictures and their classes."""
    paths = [path for folder in sorted(photos.iterdir()) for path in sorted(folder.iterdir())[:10]]
    return [str(path) for path in paths], [path.parent.name for path in paths]


@pytest.fixture
def rows() -> tuple[NDArray[Any], NDArray[Any]]:
    """80 rows of four numbers, and a number that the first two tell."""
    numbers = np.random.default_rng(0).normal(size=(80, 4))
    return numbers, 3 * numbers[:, 0] - numbers[:, 1] + 5


# --- searches and pipelines


@pytest.mark.usefixtures("_fresh_cache")
def test_a_search_computes_each_picture_once_for_each_source(woven: tuple[list[str], list[str]]) -> None:
    grid = {"source": [PICTURES, OTHERS], "stage": ["layer1", "layer2", "last"]}
    search = GridSearchCV(TransferClassifier(), grid, cv=4, error_score="raise").fit(*woven)
    counted = cache().counters
    assert len(search.cv_results_["params"]) == 6
    assert counted["features_computed"] == 2 * 20
    assert counted["decoded"] == 3 * 20  # once to see that it can be read, once for each source
    search.predict_proba(woven[0])
    assert counted["features_computed"] == 2 * 20


def test_a_pipeline_learns_from_pictures(woven: tuple[list[str], list[str]]) -> None:
    paths, classes = woven
    model = make_pipeline(SourceFeatures(PICTURES, "layer1"), StandardScaler(), LogisticRegression())
    assert model.fit(paths, classes).score(paths, classes) >= 0.9


@pytest.mark.parametrize("column", ["path", ["path"]])
def test_a_column_of_paths_beside_numbers(woven: tuple[list[str], list[str]], column: str | list[str]) -> None:
    frame = pd.DataFrame({"path": woven[0], "width": np.arange(20.0)})
    both = ColumnTransformer([("picture", SourceFeatures(PICTURES), column), ("rest", "passthrough", ["width"])])
    found, alone = both.fit_transform(frame), SourceFeatures(PICTURES).fit_transform(woven[0])
    np.testing.assert_array_equal(found[:, :-1], alone)
    values = frame.to_numpy()  # objects of two types
    np.testing.assert_array_equal(SourceFeatures(PICTURES).fit_transform(values[:, :1]), alone)


def test_features_are_those_of_the_source(woven: tuple[list[str], list[str]]) -> None:
    whole = SourceFeatures(PICTURES, "*").fit(woven[0])
    widths = load(PICTURES).widths
    assert whole.stages_ == tuple(widths)
    assert whole.get_feature_names_out()[0] == "sourcefeatures0"
    found = whole.transform(woven[0])
    assert found.shape == (20, sum(widths.values()))
    last = SourceFeatures(PICTURES).fit_transform(woven[0])
    np.testing.assert_array_equal(found[:, -widths["layer4"] :], last)
    assert not np.allclose(last, SourceFeatures(OTHERS).fit_transform(woven[0]))


# --- heads


def test_the_regressor_is_ridge_on_standardised_features(rows: tuple[NDArray[Any], NDArray[Any]]) -> None:
    numbers, wanted = rows
    model = TransferRegressor(ROWS, penalty=0.01).fit(numbers, wanted)
    features = SourceFeatures(ROWS)
    scaled = FunctionTransformer(standardise(features.fit_transform(numbers)))
    reference = make_pipeline(features, scaled, Ridge(alpha=model.head_.penalty)).fit(numbers, wanted)
    others = -numbers[:20]
    np.testing.assert_allclose(model.predict(others), reference.predict(others), atol=1e-9)


def test_leave_one_out_chooses_the_penalty(rows: tuple[NDArray[Any], NDArray[Any]]) -> None:
    chosen = TransferRegressor(ROWS).fit(*rows)
    assert chosen.score(*rows) > 0.9
    assert chosen.head_.error <= min(TransferRegressor(ROWS, penalty=one).fit(*rows).head_.error for one in (0.01, 10))


def test_a_stated_penalty_is_taken(rows: tuple[NDArray[Any], NDArray[Any]]) -> None:
    strong = TransferRegressor(ROWS, penalty=1e6).fit(*rows)
    np.testing.assert_allclose(strong.predict(rows[0]), rows[1].mean(), atol=0.01)


def test_probabilities_are_calibrated_by_leave_one_out(rows: tuple[NDArray[Any], NDArray[Any]]) -> None:
    numbers, _ = rows
    chance = np.random.default_rng(1).choice(["no", "yes"], 80, p=[0.7, 0.3])
    model = TransferClassifier(ROWS).fit(numbers, chance)
    stated = model.predict_proba(numbers)
    assert model.classes_.tolist() == ["no", "yes"]
    np.testing.assert_allclose(stated.sum(axis=1), 1.0)
    assert stated.max() < 0.9  # nothing is to be learned: nothing is sure
    assert abs(stated[:, 1].mean() - (chance == "yes").mean()) < 0.1


# --- what sources take


def test_texts() -> None:
    said = ["good food, good wine", "never again", "good people", "never came back"] * 5
    liked = [1, 0, 1, 0] * 5
    model = TransferClassifier(TEXTS).fit(said, liked)
    assert model.predict(np.array([["good food"], ["never again"]], dtype=object)).tolist() == [1, 0]


def test_series_of_several_channels_and_with_gaps() -> None:
    at, rng = np.linspace(0, 6, 60), np.random.default_rng(0)
    speed = np.repeat([1, 4], 15)
    flat = np.sin(speed[:, None] * at + rng.uniform(0, 6, (30, 1)))
    flat[0, 7] = np.nan
    model = TransferClassifier(SERIES).fit(flat, speed)
    assert model.score(flat, speed) >= 0.9
    both = TransferClassifier(SERIES).fit(np.stack([flat, flat[::-1]], axis=1), speed)
    assert both.source_ == f"{SERIES}+channels:2"
    assert both.score(np.stack([flat, flat[::-1]], axis=1), speed) >= 0.9


def test_rows_of_a_data_frame_are_known_by_their_names() -> None:
    frame = pd.DataFrame({"size": [1.0, 2.0, np.nan], "colour": pd.Categorical(["red", None, "blue"])})
    frame["rooms"], frame["lift"] = pd.array([2, 3, None], dtype="Int64"), [True, False, True]
    model = SourceFeatures(ROWS).fit(frame)
    assert model.feature_names_in_.tolist() == ["size", "colour", "rooms", "lift"]
    plain = [{"size": 1.0, "colour": "red", "rooms": 2, "lift": "True"}, {"size": 2.0, "rooms": 3, "lift": "False"}]
    plain.append({"colour": "blue", "lift": "True"})
    written = [json.dumps({name: row.get(name) for name in sorted(frame.columns)}) for row in plain]
    taken = torch.from_numpy(np.stack([cells(row, TableInput()) for row in written]))
    np.testing.assert_allclose(model.transform(frame), load(ROWS).tapper()(taken)["upper"], atol=1e-3)
    turned = SourceFeatures(ROWS).fit_transform(frame[frame.columns[::-1]])
    np.testing.assert_array_equal(model.transform(frame), turned)
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(frame.rename(columns={"size": "area"}))


# --- at rest


def test_a_pickle_holds_no_net(rows: tuple[NDArray[Any], NDArray[Any]]) -> None:
    model = TransferRegressor(ROWS).fit(*rows)
    kept = pickle.dumps(model)
    assert len(kept) < 100_000 < 4 * load(ROWS).card.parameters
    np.testing.assert_array_equal(pickle.loads(kept).predict(rows[0]), model.predict(rows[0]))
    assert vars(clone(model)) == vars(TransferRegressor(ROWS))


def test_another_source_of_that_name_is_refused(rows: tuple[NDArray[Any], NDArray[Any]]) -> None:
    model = SourceFeatures(ROWS).fit(rows[0])
    model.identity_ = "what it was"
    with pytest.raises(UserError, match="random:table-net as it was fitted with, got other weights"):
        model.transform(rows[0])


# --- errors


@pytest.mark.parametrize(
    ("source", "stage", "given", "said"),
    [
        (PICTURES, "layer9", ["a.png"], r"the name of a stage, got 'layer9'\nDid you mean layer"),
        ("random:table-nte#", "last", [[1.0]], "random:ARCH"),
        (PICTURES, "last", ["gone.png"], r"paths of pictures, got 'gone.png', where no file is\nCheck the path"),
        (PICTURES, "last", ["The food was good. " * 200], "got 'The food was good. .* …, where no file is"),
        (PICTURES, "last", np.zeros((3, 2)), r"one column of paths of pictures, got an array of shape \(3, 2\)"),
        (PICTURES, "last", [1.0, 2.0], r"paths of pictures, got 1.0\nGive strings, or choose another source"),
        (PICTURES, "last", "one.png", "one column of paths of pictures, got 'one.png'\nGive a list"),
        (PICTURES, "last", [], "at least one picture, got none"),
        (TEXTS, "last", [Path("a.txt")], r"texts, got .*a\.txt"),
        (TEXTS, "last", [], "at least one text, got none"),
        (TEXTS, "last", ["a", " "], "text 2: empty"),
        (SERIES, "last", np.zeros((3, 1, 1, 20)), r"or \(n, channels, steps\) numbers, got an array of shape"),
        (SERIES, "last", [[1.0], [2.0]], r"1 feature\(s\) .* while a minimum of 2 is required"),
        (SERIES, "last", np.zeros((2, 1, 1)), "series 1: fewer than two steps"),
        (SERIES, "last", [["a", "b"]], "could not convert string to float"),
        (ROWS, "last", np.array([[{}, 1.0]], dtype=object), "numbers and categories, got {}"),
    ],
)
def test_what_a_source_does_not_take(source: str, stage: str, given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SourceFeatures(source, stage).fit(given)


def test_a_file_that_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(UserError, match=r"a picture that can be read, got .*a\.png: not a picture"):
        SourceFeatures(PICTURES).fit([tmp_path / "a.png"])


@pytest.mark.parametrize("penalty", [0, -1.0, float("inf"), float("nan")])
def test_a_penalty_is_positive(penalty: float, rows: tuple[NDArray[Any], NDArray[Any]]) -> None:
    with pytest.raises(UserError, match="a positive penalty, got"):
        TransferRegressor(ROWS, penalty=penalty).fit(*rows)


def test_one_class_and_one_example_teach_nothing(rows: tuple[NDArray[Any], NDArray[Any]]) -> None:
    with pytest.raises(UserError, match="at least two classes, got 1 class"):
        TransferClassifier(ROWS).fit(rows[0], np.zeros(80))
    with pytest.raises(UserError, match="at least two examples, got 1 sample"):
        TransferRegressor(ROWS).fit(rows[0][:1], rows[1][:1])


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "headstart.sklearn")
    with pytest.raises(UserError, match=r"pip install 'headstart\[sklearn\]'"):
        importlib.import_module("headstart.sklearn")
