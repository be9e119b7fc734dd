"""Learning from pairs: the loss against a plain loop, and that the strategy moves features and solves its head."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from headstart.core.progress import Silent
from headstart.data.store import Store
from headstart.features.extract import extract
from headstart.sources.load import load
from headstart.strategies.catalog import plan
from headstart.testing.strategies import made
from headstart.training.pairs import pair_loss
from headstart.training.plan_learner import FittedNet, PlanLearner


def slow(features: torch.Tensor, targets: list[int]) -> float:
    alike: list[float] = []
    apart: list[float] = []
    for i in range(len(targets)):
        for j in range(i + 1, len(targets)):
            cosine = float(functional.cosine_similarity(features[i], features[j], dim=0))
            same = targets[i] == targets[j]
            (alike if same else apart).append((cosine - same) ** 2)
    return sum(float(np.mean(each)) for each in (alike, apart) if each)


@pytest.mark.parametrize("targets", [[0, 1, 0, 2, 1], [0, 0, 0, 0, 0], [0, 1, 2, 3, 4]])
def test_every_pair_of_a_batch_counts_and_both_kinds_weigh_the_same(targets: list[int]) -> None:
    features = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = pair_loss(features, torch.tensor(targets))
    assert loss.item() == pytest.approx(slow(features.detach(), targets), rel=1e-5)
    loss.backward()
    assert features.grad is not None
    assert bool(features.grad.abs().sum() > 0)


def test_one_example_has_no_pair() -> None:
    assert pair_loss(torch.randn(1, 3), torch.tensor([0])).item() == 0


@pytest.fixture
def learner(tmp_path: Path) -> PlanLearner:
    source = load("random:text-cnn")
    return PlanLearner("contrastive", "transfer", plan("contrastive"), {source.name: source}, Store(tmp_path), epochs=6)


def test_classes_move_apart_and_the_head_reads_what_they_have_become(learner: PlanLearner) -> None:
    data = made(("a", "b", "c"))
    (source,) = learner.sources.values()
    features = extract([source], data, learner.store, Silent())
    fitted = learner.fit(data, seed=0, features=features)
    assert isinstance(fitted, FittedNet)
    moved = dict(fitted.net.trunk.named_parameters())
    assert not torch.equal(moved["convolution.weight"], source.model.get_parameter("convolution.weight"))
    assert bool(fitted.net.head.weight.abs().sum() > 0), "it was solved"
    losses = [epoch.train_loss for epoch in fitted.history]
    assert losses[-1] < losses[0]
    right = fitted.predict(data, features).probabilities.argmax(axis=1) == data.targets
    assert right.mean() > 0.9


def test_its_epochs_are_judged_by_the_solved_head(learner: PlanLearner) -> None:
    data = made(("a", "b", "c"))
    features = extract(list(learner.sources.values()), data, learner.store, Silent())
    resolved, inner = learner.resolve(data, seed=0, features=features)
    assert not resolved.plan.open
    measured = [epoch.validation_loss for epoch in inner.history]
    assert measured[-1] is not None
    assert measured[:-1] == [None] * (len(measured) - 1)
    assert measured[-1] < np.log(3), "better than a head that knows nothing"
