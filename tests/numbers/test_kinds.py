"""Targets of three kinds through the closed forms and one training, against refits, scikit-learn and each other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as Reference
from sklearn.metrics import r2_score

from headstart.core.plan import Plan, Rule, Solve, Train
from headstart.core.problem import Kind, Task
from headstart.core.progress import Silent
from headstart.core.protocols import State
from headstart.data.dataset import Dataset
from headstart.data.split import folds
from headstart.data.store import Store
from headstart.data.targets import decode, encode
from headstart.features.extract import extract
from headstart.linear.heads import KernelRidge, Majority, Ridge
from headstart.linear.ridge import standardise
from headstart.metrics.kinds import KINDS
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.testing.strategies import made
from headstart.training.losses import LOSSES
from headstart.training.plan_learner import PlanLearner

N, D, LABELS = 60, 5, 4


def example(kind: Kind) -> tuple[np.ndarray, np.ndarray, int]:
    """(n, D) features, targets that depend on them, and how many outputs there are."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(N, D))
    scores = features @ rng.normal(size=(D, LABELS)) + rng.normal(size=(N, LABELS))
    if kind == "classification":
        return features, scores.argmax(axis=1), LABELS
    if kind == "multi-label":
        return features, (scores > 0.8).astype(np.int64), LABELS
    return features, 1000.0 + 40.0 * scores[:, 0], 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimator", [Ridge, KernelRidge, Majority])
def test_a_head_at_rest_says_the_same(kind: Kind, estimator: type[Ridge]) -> None:
    features, targets, outputs = example(kind)
    head = estimator.fit([features], targets, outputs, None, kind=kind)
    assert head.loo.shape == (N, outputs)
    state = head.state()
    again = estimator.restore(State({k: np.array(v) for k, v in state.arrays.items()}, dict(state.meta)))
    assert np.allclose(head.predict([features]), again.predict([features]), atol=1e-4)


def test_numbers_are_predicted_in_their_own_units_as_ridge_regression_does() -> None:
    features, targets, _ = example("regression")
    head = Ridge.fit([features], targets, 1, 0.1, kind="regression")
    scaled = standardise(features)(features)
    reference = Reference(alpha=head.penalty).fit(scaled, targets)
    assert np.allclose(head.predict([features])[:, 0], reference.predict(scaled), rtol=1e-9)
    for left in (0, 17):
        rest = np.arange(N) != left
        without = Reference(alpha=head.penalty).fit(scaled[rest], targets[rest])
        assert head.loo[left, 0] == pytest.approx(without.predict(scaled[[left]])[0], rel=1e-9)


def test_each_label_is_a_ridge_of_its_own() -> None:
    features, targets, outputs = example("multi-label")
    together = Ridge.fit([features], targets, outputs, 0.1, kind="multi-label")
    for label in range(outputs):
        alone = Ridge.fit([features], targets[:, [label]], 1, 0.1, kind="multi-label")
        assert np.allclose(together.weight[:, [label]], alone.weight)
    stated = together.predict([features])
    assert not np.allclose(stated.sum(axis=1), 1.0)
    assert KINDS["multi-label"].right(stated, targets).mean() > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_is_the_best_that_knows_no_input(kind: Kind) -> None:
    features, targets, outputs = example(kind)
    head = Majority.fit([features], targets, outputs, None, kind=kind)
    rest = Majority.fit([features[1:]], targets[1:], outputs, None, kind=kind)
    assert np.allclose(head.loo[0], rest.predict([features[:1]])[0])
    assert len(np.unique(head.predict([features]), axis=0)) == 1


def test_right_is_accuracy_jaccard_and_r2() -> None:
    said = np.array([[0.9, 0.6, 0.1], [0.2, 0.1, 0.3], [0.1, 0.8, 0.7]])
    truth = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 1]])
    assert KINDS["multi-label"].right(said, truth).tolist() == [0.5, 1.0, pytest.approx(2 / 3)]
    targets = np.array([1.0, 2.0, 4.0])
    assert KINDS["regression"].right(said[:, :1], targets).mean() == pytest.approx(r2_score(targets, said[:, 0]))


@pytest.mark.parametrize("kind", KINDS)
def test_what_training_calls_right_is_what_everybody_does(kind: Kind) -> None:
    _, targets, outputs = example(kind)
    targets = (targets - targets.mean()) / targets.std() if kind == "regression" else targets
    logits = np.random.default_rng(1).normal(size=(N, outputs))
    loss = LOSSES[kind]
    right = loss.right(torch.from_numpy(logits), loss.tensor(targets)).item()
    assert right == pytest.approx(KINDS[kind].right(KINDS[kind].stated(logits), targets).sum(), rel=1e-5)
    assert loss.blank(3, outputs).shape == loss.tensor(targets[:3]).shape


def test_folds_share_out_rare_labels_and_large_numbers() -> None:
    rare = np.zeros((50, 2), dtype=np.int64)
    rare[:25, 0] = rare[:5, 1] = 1
    of = folds(KINDS["multi-label"].strata(rare), np.arange(50), 0)
    assert sorted(of[:5].tolist()) == [0, 1, 2, 3, 4]
    numbers = np.concatenate([np.zeros(40), 1e6 + np.arange(10.0)])
    of = folds(KINDS["regression"].strata(numbers), np.arange(50), 0)
    assert np.bincount(of[40:]).tolist() == [2, 2, 2, 2, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_targets_come_back_from_text(kind: Kind) -> None:
    _, targets, outputs = example(kind)
    names = () if kind == "regression" else tuple(f"{i}, |;{i}" for i in range(outputs))
    task = Task("t", kind, names)
    assert task.outputs == outputs
    assert np.array_equal(encode(decode(targets, task), task), targets)


# --- a net


@pytest.fixture
def source() -> Source:
    return load("random:test_resnet@32")


def data(kind: Kind) -> Dataset:
    """Noise on three levels: what the level is, can be told."""
    view = made(("a", "b", "c"))
    levels = view.targets
    if kind == "multi-label":
        targets = np.stack([levels > 0, levels == 1], axis=1).astype(np.int64)
        return replace(view, targets=targets, task=Task("t", kind, ("bright", "middle")))
    return replace(view, targets=500.0 + 30.0 * levels, task=Task("t", kind, ()))


@pytest.mark.parametrize("kind", ["multi-label", "regression"])
def test_lp_ft_goes_on_where_the_closed_form_ended(kind: Kind, source: Source, tmp_path: Path) -> None:
    view, store = data(kind), Store(tmp_path)
    features = extract([source], view, store, Silent())
    still = Train((Rule("head", 1e-6), Rule("*", None)), epochs=1, lr=1e-9, augment=False)
    both = (Plan("linear", phases=(Solve("ridge"),)), Plan("lp-ft", phases=(Solve("ridge"), still)))
    solved, trained = (
        PlanLearner(plan.name, "transfer", plan, {source.name: source}, store).fit(view, seed=0, features=features)
        for plan in both
    )
    one, other = (fitted.predict(view, features).probabilities for fitted in (solved, trained))
    assert np.allclose(one, other, rtol=1e-3, atol=1e-4)


def test_a_net_learns_numbers_far_from_zero(source: Source, tmp_path: Path) -> None:
    """Without a unit of its own a head that begins at zero would be 500 off, and would stay there."""
    view, store = data("regression"), Store(tmp_path)
    phase = Train((Rule("*", 1.0),), epochs=30, lr=3e-3, augment=False, norm="train")
    learner = PlanLearner("finetune", "transfer", Plan("finetune", phases=(phase,)), {source.name: source}, store)
    fitted = learner.fit(view, seed=0, features=extract([source], view, store, Silent()))
    said = fitted.predict(view, None).probabilities  # type: ignore[arg-type]
    assert KINDS["regression"].right(said, view.targets).mean() > 0.5
    restored = learner.restore(fitted.state())
    assert np.allclose(restored.predict(view, None).probabilities, said, rtol=1e-5)  # type: ignore[arg-type]
