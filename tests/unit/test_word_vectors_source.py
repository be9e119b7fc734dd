"""Word vectors as a source of texts: means of the words that the table has, and what it does not have is nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.core.errors import UserError
from headstart.data.word_numbers import number
from headstart.nets.word_table import rarities
from headstart.sources.access import EVERYTHING
from headstart.sources.card import TextInput
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.testing import check_source

WORDS = tuple("the of and to in that for it was with on as he at by from film".split())  # noqa: SIM905
VECTORS = np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype(np.float32)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.txt"
    rows = [f"{word} {' '.join(map(str, row.tolist()))}" for word, row in zip(WORDS, VECTORS, strict=True)]
    path.write_text("\n".join(rows) + "\n")
    return path


def features(source: Source, *texts: str) -> dict[str, np.ndarray]:
    taken = source.input
    assert isinstance(taken, TextInput)
    rows = torch.zeros(len(texts), taken.window * taken.windows, dtype=torch.int64)
    for at, text in enumerate(texts):
        numbers = [number(word) for word in text.split()]
        rows[at, : len(numbers)] = torch.tensor(numbers)
    return {name: values.numpy() for name, values in source.tapper()(rows).items()}


def test_it_keeps_the_contract(table: Path) -> None:
    check_source(load(f"glove:{table}", EVERYTHING))


def test_a_text_is_the_mean_of_its_words(table: Path) -> None:
    source = load(f"glove:{table}", EVERYTHING)
    found = features(source, "the film", "film")
    np.testing.assert_allclose(found["mean"], [VECTORS[[0, 16]].mean(axis=0), VECTORS[16]], rtol=1e-5)


def test_rare_words_weigh_more(table: Path) -> None:
    source = load(f"glove:{table}", EVERYTHING)
    weights = rarities(torch.arange(len(WORDS), dtype=torch.float32)).numpy()
    assert (np.diff(weights) > 0).all()
    found = features(source, "the film")["weighted mean"][0]
    np.testing.assert_allclose(found, (weights[0] * VECTORS[0] + weights[16] * VECTORS[16]) / 2, rtol=1e-4)


def test_words_that_it_does_not_have_are_nothing(table: Path) -> None:
    found = features(load(f"glove:{table}", EVERYTHING), "zebra", "film zebra")["mean"]
    np.testing.assert_array_equal(found[0], 0)
    np.testing.assert_allclose(found[1], VECTORS[16] / 2, rtol=1e-5)


def test_words_that_differ_in_capitals_are_one_and_the_frequent_one_stays(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("Film 1 2\nfilm 3 4\nthe 5 6\n")
    source = load(f"glove:{tmp_path / 'v.txt'}", EVERYTHING)
    np.testing.assert_array_equal(features(source, "film")["mean"], [[1, 2]])


def test_without_a_stated_licence_it_must_be_opted_in_to(table: Path) -> None:
    with pytest.raises(UserError, match="a source whose licence permits commercial use"):
        load(f"glove:{table}")
