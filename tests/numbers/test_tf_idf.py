"""TF-IDF against scikit-learn's, its ridge against dense algebra and refits one by one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from headstart.data.dataset import Item
from headstart.data.word_numbers import WORD, number
from headstart.linear import tf_idf
from headstart.linear.path import one_hot
from headstart.linear.tf_idf import MOST, TfIdf
from headstart.metrics.calibration import softmax
from headstart.modalities.text.baselines import CONTROLS
from headstart.modalities.text.modality import TEXT

Array = NDArray[np.float64]
CLASSES = 3
PENALTY = 0.1


def made(n: int, seed: int = 0, vocabulary: int = 60) -> list[str]:
    """Texts whose words lean towards their class; of all lengths, with signs and capitals."""
    rng, found = np.random.default_rng(seed), []
    for i in range(n):
        count = int(rng.integers(1, 40))
        drawn = (rng.exponential(8, count).astype(int) + 20 * (i % CLASSES) * (rng.random(count) < 0.6)) % vocabulary
        found.append(" ".join(f"W{d}" if d % 7 else f"w{d}!" for d in drawn))
    return found


def block(texts: list[str]) -> Array:
    """(n, t) word numbers as they come out of the feature store."""
    reads = CONTROLS["tf-idf"]
    prepared = np.stack([TEXT.prepare(Item(t, Path(), t, t), reads.input) for t in texts])
    return reads.tapper()(torch.from_numpy(prepared))["words"].numpy()


def vectorizer() -> TfidfVectorizer:
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD.pattern)


def term(name: str) -> int:
    """The number of a word or of two that follow each other."""
    first, *second = (1 + number(word) % (MOST - 1) for word in name.split())
    return first * MOST + second[0] if second else first


def rows_of(fitted: TfIdf, texts: list[str]) -> Array:
    row, terms = tf_idf._occurrences([block(texts)])
    return tf_idf._weighted(row, terms, len(texts), fitted.terms, fitted.rarity).toarray()


def reference(texts: list[str], new: list[str]) -> tuple[NDArray[np.int64], Array, Array]:
    """Sorted terms, and scikit-learn's rows of the texts and of new ones over them."""
    made = vectorizer().fit(texts)
    terms = np.array([term(name) for name in made.get_feature_names_out()])
    order = np.argsort(terms)
    return terms[order], made.transform(texts).toarray()[:, order], made.transform(new).toarray()[:, order]


def solved(rows: Array, targets: Array, absolute: float) -> tuple[Array, Array]:
    """Weight and bias of ridge, densely."""
    mean, offset = rows.mean(axis=0), targets.mean(axis=0)
    centred = rows - mean
    weight = np.linalg.solve(centred.T @ centred + absolute * np.eye(rows.shape[1]), centred.T @ (targets - offset))
    return weight, offset - mean @ weight


def strength(rows: Array) -> float:
    """The penalty in absolute terms: its share of the mean eigenvalue of the centred Gram matrix."""
    return PENALTY * float(((rows - rows.mean(axis=0)) ** 2).sum()) / len(rows)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return made(45)


@pytest.fixture(scope="module")
def codes() -> NDArray[np.int64]:
    return np.arange(45) % CLASSES


@pytest.fixture(scope="module")
def fitted(texts: list[str], codes: NDArray[np.int64]) -> TfIdf:
    return TfIdf.fit([block(texts)], codes, CLASSES, PENALTY)


def test_rows_are_those_of_scikit_learn(texts: list[str], fitted: TfIdf) -> None:
    new = [*made(20, seed=1, vocabulary=90), "never seen before", ""]
    terms, rows, others = reference(texts, new)
    assert np.array_equal(fitted.terms, terms)
    np.testing.assert_allclose(rows_of(fitted, texts), rows, atol=1e-12)
    np.testing.assert_allclose(rows_of(fitted, new), others, atol=1e-12)
    assert not others[-2:].any()


def test_weights_are_those_of_a_dense_ridge(texts: list[str], codes: NDArray[np.int64], fitted: TfIdf) -> None:
    _, rows, _ = reference(texts, [""])
    weight, bias = solved(rows, one_hot(codes, CLASSES), strength(rows))
    np.testing.assert_allclose(fitted.weight, weight, atol=1e-9)
    np.testing.assert_allclose(fitted.bias, bias, atol=1e-9)


def test_leave_one_out_equals_refitting_with_the_same_rarities(
    texts: list[str], codes: NDArray[np.int64], fitted: TfIdf
) -> None:
    rows, wanted = rows_of(fitted, texts), one_hot(codes, CLASSES)
    absolute, left = strength(rows), np.zeros((len(texts), CLASSES))
    for i in range(len(texts)):
        rest = np.arange(len(texts)) != i
        weight, bias = solved(rows[rest], wanted[rest], absolute)
        left[i] = rows[i] @ weight + bias
    np.testing.assert_allclose(fitted.loo, softmax(left * fitted.sharpness), atol=1e-9)
    assert fitted.error == pytest.approx(((left - wanted) ** 2).mean(), abs=1e-9)


def test_the_penalty_with_the_least_error_is_chosen(texts: list[str], codes: NDArray[np.int64]) -> None:
    words = block(texts)
    free = TfIdf.fit([words], codes, CLASSES, None)
    forced = [TfIdf.fit([words], codes, CLASSES, penalty).error for penalty in (1e-3, 1e-1, 1.0, 1e2)]
    assert free.error <= min(forced) + 1e-12
    assert max(forced) > free.error + 1e-3


def test_predictions_are_probabilities_of_the_scores(texts: list[str], fitted: TfIdf) -> None:
    new = made(60, seed=2)
    scores = reference(texts, new)[2] @ fitted.weight + fitted.bias
    found = fitted.predict([block(new)])
    np.testing.assert_allclose(found, softmax(scores * fitted.sharpness), atol=1e-12)
    assert (found.argmax(axis=1) == np.arange(60) % CLASSES).mean() > 0.5


def test_words_that_were_never_seen_and_no_words_at_all_say_nothing(fitted: TfIdf) -> None:
    found = fitted.predict([block(["altogether new", "", "w1 w1"])])
    np.testing.assert_allclose(found[0], found[1])
    np.testing.assert_allclose(found[0], softmax(fitted.bias[None] * fitted.sharpness)[0])
    assert np.abs(found[2] - found[0]).max() > 1e-3


def test_texts_without_words_can_be_learned_from() -> None:
    texts, codes = ["good film", "", "good", "bad film", "", "bad"], np.array([0, 0, 0, 1, 1, 1])
    found = TfIdf.fit([block(texts)], codes, 2, None)
    assert found.predict([block(["good", "bad"])]).argmax(axis=1).tolist() == [0, 1]
    empty = TfIdf.fit([block([""] * 4)], np.array([0, 0, 0, 1]), 2, None)
    found = empty.predict([block(["good", ""])])
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], found[1])


def test_pairs_are_kept_apart_up_to_the_largest_numbers() -> None:
    """Two words of 24 bits each: a pair is a number of 48."""
    top = MOST - 1
    words = np.array([[top, top, 0], [top, top - 1, 0], [top - 1, top, 0]], dtype=np.float32)
    found = TfIdf.fit([words], np.array([0, 1, 1]), 2, PENALTY)
    pairs = [top * MOST + top, top * MOST + top - 1, (top - 1) * MOST + top]
    assert found.terms.tolist() == sorted([top - 1, top, *pairs])


def test_what_was_put_to_rest_predicts_the_same(texts: list[str], fitted: TfIdf) -> None:
    state = fitted.state()
    assert all(isinstance(array, np.ndarray) for array in state.arrays.values())
    again = TfIdf.restore(state)
    new = block(made(10, seed=3))
    np.testing.assert_array_equal(again.predict([new]), fitted.predict([new]))


def test_it_is_honest_where_nothing_can_be_learned() -> None:
    rng = np.random.default_rng(0)
    texts, codes = [" ".join(f"w{d}" for d in rng.integers(0, 300, 12)) for _ in range(80)], np.arange(80) % 2
    found = TfIdf.fit([block(texts)], codes, 2, None)
    assert (found.predict([block(texts)]).argmax(axis=1) == codes).mean() > 0.9  # it can memorise
    assert (found.loo.argmax(axis=1) == codes).mean() < 0.6  # and leave-one-out does not believe it
