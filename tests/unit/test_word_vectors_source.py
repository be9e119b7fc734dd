"""Word vectors as a source of texts: means of the words that the table has, and what it does not have is nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.core.errors import UserError
from headstart.core.plan import Plan, Rule, Train
from headstart.core.problem import Task
from headstart.data.store import Store
from headstart.data.word_numbers import number
from headstart.features.table import FeatureTable
from headstart.modalities.text.read import read_inputs
from headstart.nets.word_table import rarities
from headstart.sources.access import EVERYTHING
from headstart.sources.card import TextInput
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.testing import check_source, check_strategy
from headstart.training.plan_learner import FittedNet, PlanLearner

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


# Nets on top

TOPS = ("cnn", "gru")
TABLE = "trunk.words.table.weight"


@pytest.mark.parametrize("mark", ["+top:cnn", "+top:gru", "+top:gru+cut:-2", "+top:cnn+fresh:cnn", "+pool:max+top:cnn"])
def test_a_net_on_top_keeps_the_contract(mark: str, table: Path) -> None:
    check_source(load(f"glove:{table}{mark}", EVERYTHING))


@pytest.mark.parametrize("top", TOPS)
@pytest.mark.parametrize(
    "strategy", ["linear", "earlier", "mlp-head", "lp-ft", "partial", "gradual", "finetune", "l2-sp"]
)
def test_strategies_run_with_a_net_on_top(strategy: str, top: str, table: Path) -> None:
    check_strategy(strategy, load(f"glove:{table}+top:{top}", EVERYTHING))


@pytest.mark.parametrize("strategy", ["lp-ft", "partial", "gradual"])
def test_a_stage_with_nothing_to_learn_voids_its_rule(strategy: str, table: Path) -> None:
    check_strategy(strategy, load(f"glove:{table}", EVERYTHING))


@pytest.mark.parametrize("top", TOPS)
def test_the_means_stay_what_they_were(top: str, table: Path) -> None:
    bare, topped = (load(f"glove:{table}{mark}", EVERYTHING) for mark in ("", f"+top:{top}"))
    before, after = (features(one, "the film was it") for one in (bare, topped))
    assert [*before, top] == [*after]
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert topped.card.changes == (f"an untrained {top} on top",)


@pytest.mark.parametrize("top", TOPS)
def test_the_net_on_top_reads_the_table_and_the_order_of_words(top: str, table: Path) -> None:
    found = features(
        load(f"glove:{table}+top:{top}", EVERYTHING), "the film was", "was film the", "zebra", "the film was"
    )
    one, turned, unknown, same = found[top]
    assert np.abs(one - turned).max() > 1e-3
    assert np.abs(one - unknown).max() > 1e-3
    np.testing.assert_array_equal(one, same)


@pytest.mark.parametrize("top", TOPS)
def test_a_longer_neighbour_in_the_batch_changes_nothing(top: str, table: Path) -> None:
    source = load(f"glove:{table}+top:{top}", EVERYTHING)
    alone, beside = features(source, "the film")[top], features(source, "the film", " ".join(WORDS * 3))[top]
    np.testing.assert_allclose(alone[0], beside[0], atol=1e-6)


@pytest.mark.parametrize("top", TOPS)
@pytest.mark.parametrize(("rate", "moves"), [(None, False), (0.1, True)])
def test_rules_freeze_or_tune_the_table(top: str, rate: float | None, moves: bool, table: Path, tmp_path: Path) -> None:
    source = load(f"glove:{table}+top:{top}", EVERYTHING)
    rules = (Rule("stage:mean", rate), Rule("*", 1.0))
    plan = Plan("mine", phases=(Train(rules=rules, epochs=2, lr=1e-2),))
    store = Store(tmp_path)
    texts = [f"{WORDS[i % 4]} {WORDS[4 + i % 5]}" for i in range(24)]
    data = read_inputs(texts, Task("label", "classification", ("a", "b")))
    data = replace(data, targets=np.arange(24) % 2)
    net = PlanLearner("mine", "transfer", plan, {source.name: source}, store).fit(
        data, seed=0, features=FeatureTable({}, store)
    )
    assert isinstance(net, FittedNet)
    before, after = source.net(2).state_dict(), net.net.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert (TABLE in changed) is moves
    assert any(name.startswith("trunk.top.") for name in changed)
    if moves:  # only the vectors of the words that were met, but for the decay of all
        still = (before[TABLE] - after[TABLE]).abs().amax(dim=1)
        met = torch.isin(before["trunk.numbers"], torch.tensor([number(word) for word in WORDS[:9]]))
        assert still[met].min() > 10 * still[~met].max()


def test_the_untrained_twin_knows_the_words_and_not_their_vectors(table: Path) -> None:
    source = load(f"glove:{table}+top:cnn", EVERYTHING)
    twin = features(source.reinitialised(), "the film", "was it")
    assert np.abs(twin["mean"][0] - twin["mean"][1]).max() > 1e-3
    assert np.abs(twin["mean"] - features(source, "the film", "was it")["mean"]).max() > 1e-3
    assert twin["weighted mean"] == pytest.approx(twin["mean"])  # nor how rare they are


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("glove:{}+top:lstm", "expected the name of a net for .top:, got 'lstm'"),
        ("glove:{}+top:cnn+top:gru", "expected a table of word vectors, whole and bare, got glove:"),
        ("glove:{}+cut:mean+top:gru", "expected a table of word vectors, whole and bare, got glove:"),
        ("random:text-cnn+top:gru", "expected a table of word vectors, whole and bare, got random:text-cnn\n"),
    ],
)
def test_what_cannot_have_a_net_on_top(name: str, says: str, table: Path) -> None:
    with pytest.raises(UserError, match=says):
        load(name.format(table), EVERYTHING)
