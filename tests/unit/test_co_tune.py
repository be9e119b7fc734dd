"""Co-tuning: what the source says of each class, that it goes on being asked for it, and that it is gone at the end."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from headstart.core.errors import UserError
from headstart.core.plan import Plan, Rule, Train
from headstart.core.progress import Silent
from headstart.data.store import Store
from headstart.features.extract import extract
from headstart.features.prepared import Prepared
from headstart.metrics.calibration import temperature
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.sources.staged import StagedNet
from headstart.testing.strategies import made
from headstart.training.co_tune import OwnHead, beside, own_head, relate
from headstart.training.loop import Trained, train
from headstart.training.plan_learner import FittedNet, PlanLearner

SIDE, WEIGHT = 32, 2.0
DATA = replace(made(("a", "b", "c")), targets=np.random.default_rng(0).integers(0, 3, 24))  # one class looks many ways
FROZEN = (Rule("head", 1.0), Rule("param:trunk.*", 1.0), Rule("*", None))  # the classifier is not named
PHASE = Train(rules=(Rule("*", 1.0),), epochs=3, lr=1e-3, batch=8, co_tune=WEIGHT)


@pytest.fixture(scope="module")
def plain() -> Source:
    return load(f"random:test_resnet@{SIDE}")


@pytest.fixture(scope="module")
def knowing(plain: Source) -> Source:
    """A source none of whose blocks is silent, and that is sure of what it takes each example for."""
    net = plain.net(1).eval()
    for norm in plain.card.norms:
        nn.init.ones_(net.trunk.get_parameter(f"{norm}.weight"))
    with torch.inference_mode():
        seen = net.features(
            torch.from_numpy(np.stack([DATA.modality.prepare(i, plain.card.input) for i in DATA.items]))
        )
    classifier = nn.Linear(plain.card.features, 20)
    weight = 5 * np.random.default_rng(0).normal(size=(20, plain.card.features)) / seen.std(0).norm().item()
    with torch.no_grad():
        classifier.weight.copy_(torch.from_numpy(weight))
        classifier.bias.copy_(torch.from_numpy(-weight @ seen.mean(0).numpy()))
    net.trunk.fc = classifier
    facts = {"head_classes": tuple(f"class {i}" for i in range(20))}
    return Source(plain.card.model_copy(update=facts), net.trunk)


def classifier(source: Source, folder: Path) -> OwnHead:
    own = own_head(source, DATA, extract([source], DATA, Store(folder), Silent()))
    assert own is not None
    return own


def descend(net: StagedNet, source: Source, phase: Train, folder: Path, own: OwnHead | None, store: bool) -> Trained:
    kept = Store(folder)
    pixels = Prepared(DATA, source.card.input, kept)
    return train(net, source.card, phase, DATA, prepared=pixels, seed=0, store=kept if store else None, own=own)


def learned(source: Source, phase: Train, folder: Path, *, store: bool = False) -> tuple[StagedNet, OwnHead]:
    net, own = source.net(3), classifier(source, folder)
    descend(net, source, phase, folder, own, store)
    return net, own


def apart(first: nn.Module, second: nn.Module) -> float:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


# The relation


def test_the_relation_is_the_sources_mean_probability_of_each_class() -> None:
    logits, targets = np.random.default_rng(0).normal(size=(9, 5)), np.array([0, 3, 0, 1, 1, 3, 3, 0, 3])
    found = relate(logits, targets, 4)
    for code in (0, 1, 3):
        said = [np.exp(one) / np.exp(one).sum() for one in logits[targets == code]]
        np.testing.assert_allclose(found[code], np.mean(said, axis=0), rtol=1e-12)
    assert not found[2].any(), "a class without an example asks for nothing"


def test_the_relation_of_a_source_is_what_its_whole_net_says(knowing: Source, tmp_path: Path) -> None:
    own = classifier(knowing, tmp_path)
    net = knowing.tapped()
    with torch.inference_mode():
        seen = net.front(Prepared(DATA, knowing.card.input, Store(tmp_path)).batch(list(DATA.keys))).given
        said = knowing.model(seen).softmax(1).numpy()
    wanted = np.stack([said[DATA.targets == code].mean(axis=0) for code in range(3)])
    np.testing.assert_allclose(own.relation.numpy(), wanted, atol=2e-3)  # features are kept in half precision
    assert wanted.max() > 0.2


def test_the_classifier_is_cooled_until_it_agrees_best_with_the_relation(knowing: Source, tmp_path: Path) -> None:
    """Against a fine grid; the temperature is what divides its weights."""
    own, (weight, bias) = classifier(knowing, tmp_path), knowing.own_head() or pytest.fail("no head")
    features = extract([knowing], DATA, Store(tmp_path), Silent()).of(knowing.name, "layer4", DATA)
    logits, wanted = torch.from_numpy(features @ weight.T + bias), own.relation[DATA.targets].double()
    grid = np.exp(np.linspace(-3, 3, 601))
    best = grid[np.argmin([functional.cross_entropy(logits / t, wanted).item() for t in grid])]
    found = temperature(logits.numpy(), wanted.numpy())
    assert found == pytest.approx(best, rel=0.01)
    assert found > 1.2
    np.testing.assert_allclose(own.weight.detach().numpy() * found, weight, atol=1e-6)
    np.testing.assert_allclose(own.bias.detach().numpy() * found, bias, atol=1e-6)


def test_a_temperature_of_logits_however_large_is_a_number() -> None:
    logits = np.array([[2000.0, 0.0], [0.0, 2000.0]])
    assert temperature(logits, np.array([[0.9, 0.1], [0.2, 0.8]])) == pytest.approx(20, rel=0.01)


# The loss


def test_the_loss_is_the_cross_entropy_with_the_relation_and_moves_trunk_and_classifier(
    knowing: Source, tmp_path: Path
) -> None:
    net, own = knowing.net(3), classifier(knowing, tmp_path)
    pixels = Prepared(DATA, knowing.card.input, Store(tmp_path)).batch(list(DATA.keys[:4]))
    targets = torch.tensor([2, 0, 0, 1])
    with beside(net, knowing.card, WEIGHT, own):
        features = net.features(pixels)
        wanted = -(own.relation[targets] * functional.log_softmax(own(features), 1)).sum(1).mean()
        net(pixels)
        torch.testing.assert_close(own.loss(targets), wanted)
        own.loss(targets).backward()
    for parameter in (own.weight, net.get_parameter("trunk.layer4.0.conv1.weight")):
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


def test_what_the_source_said_is_said_again_where_it_is_asked_for_and_not_otherwise(
    knowing: Source, tmp_path: Path
) -> None:
    """Fails if the loss does nothing."""
    pixels = Prepared(DATA, knowing.card.input, Store(tmp_path)).batch(list(DATA.keys))
    targets, start = torch.from_numpy(DATA.targets), classifier(knowing, tmp_path)

    def off(net: StagedNet) -> float:
        with torch.inference_mode():
            return functional.cross_entropy(start(net.features(pixels)), start.relation[targets]).item()

    asked, hardly = (
        off(learned(knowing, replace(PHASE, epochs=8, rules=FROZEN, co_tune=weight), tmp_path)[0])
        for weight in (WEIGHT, 1e-6)
    )
    assert asked < min(hardly, off(knowing.net(3).eval())) - 0.1


# What becomes of the classifier


def test_it_is_a_part_of_the_net_while_the_phase_lasts_and_no_longer(knowing: Source, tmp_path: Path) -> None:
    net, own = knowing.net(3), classifier(knowing, tmp_path)
    names, source = sorted(net.state_dict()), knowing.identity
    with beside(net, knowing.card, WEIGHT, own):
        assert {"own.weight", "own.bias", "own.relation"} == set(net.state_dict()) - set(names)
    assert sorted(net.state_dict()) == names
    assert not net.head._forward_pre_hooks
    descend(net, knowing, PHASE, tmp_path, own, store=False)
    assert sorted(net.state_dict()) == names
    assert knowing.identity == source


def test_it_learns_as_the_rules_say(knowing: Source, tmp_path: Path) -> None:
    start = classifier(knowing, tmp_path)
    _, free = learned(knowing, PHASE, tmp_path)
    _, frozen = learned(knowing, replace(PHASE, rules=FROZEN), tmp_path)
    assert apart(free, start) > 1e-4
    assert apart(frozen, start) == 0
    assert torch.equal(free.relation, start.relation)


def test_the_net_that_is_put_to_rest_does_not_have_it(knowing: Source, tmp_path: Path) -> None:
    store = Store(tmp_path)
    features = extract([knowing], DATA, store, Silent())
    learner = PlanLearner("x", "transfer", Plan("x", phases=(PHASE,)), {knowing.name: knowing}, store)
    assert learner.needs == (knowing.name,)
    fitted = learner.fit(DATA, seed=0, features=features)
    assert isinstance(fitted, FittedNet)
    assert set(fitted.state().arrays) == set(knowing.net(3).state_dict())


def test_without_a_classifier_there_is_nothing_to_co_tune(plain: Source, tmp_path: Path) -> None:
    assert own_head(plain, DATA, extract([plain], DATA, Store(tmp_path), Silent())) is None
    message = f"expected a source with a linear classifier whose classes have names, got {plain.name}\nName a source"
    with pytest.raises(UserError, match=message):
        descend(plain.net(3), plain, PHASE, tmp_path, None, store=False)


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf")])
def test_its_weight_is_a_number_that_is_not_negative(bad: float) -> None:
    with pytest.raises(ValueError, match="co_tune"):
        replace(PHASE, co_tune=bad)


# Beside the rest of the loop


def test_behind_a_frozen_front_that_is_skipped_it_learns_the_same(knowing: Source, tmp_path: Path) -> None:
    phase = replace(PHASE, rules=(Rule("stage:..-2", None), Rule("*", 1.0)), epochs=6, views=2)
    seen: list[int] = []

    def counted(store: bool) -> tuple[StagedNet, OwnHead]:
        net, own = knowing.net(3), classifier(knowing, tmp_path)
        net.get_submodule("trunk.layer1").register_forward_hook(lambda _m, _i, out: seen.append(len(out)))
        descend(net, knowing, phase, tmp_path, own, store)
        return net, own

    (net, own), whole = counted(store=False), sum(seen)
    seen.clear()
    skipped, other = counted(store=True)
    assert sum(n for n in seen if n > 2) == 3 * len(DATA) < whole
    assert apart(skipped, net) < 1e-5
    assert apart(other, own) < 1e-5


@pytest.mark.parametrize("kill", [1, 2])
def test_killed_and_resumed_is_bit_identical(kill: int, knowing: Source, tmp_path: Path) -> None:
    whole, expected = learned(knowing, PHASE, tmp_path)
    space, counter = tmp_path / "work", Killer(10**9)
    nets = [knowing.net(3) for _ in range(2)]
    with pytest.raises(KeyboardInterrupt):
        run(nets[0], knowing, classifier(knowing, tmp_path), tmp_path, space, Killer((kill + 0.5) * len(DATA)))
    resumed = classifier(knowing, tmp_path)
    run(nets[1], knowing, resumed, tmp_path, space, counter)
    assert counter.calls[0] == kill * len(DATA), "the epochs before the kill were not trained again"
    assert apart(nets[1], whole) == 0
    assert apart(resumed, expected) == 0


@pytest.mark.parametrize("change", ["classifier", "relation", "weight"])
def test_a_checkpoint_beside_another_classifier_is_not_resumed(change: str, knowing: Source, tmp_path: Path) -> None:
    run(knowing.net(3), knowing, classifier(knowing, tmp_path), tmp_path, tmp_path / "work", Killer(10**9))
    own, phase, counter = classifier(knowing, tmp_path), PHASE, Killer(10**9)
    with torch.no_grad():
        if change == "classifier":
            own.weight[0, 0] += 1e-3
        elif change == "relation":
            own.relation[0, 0] += 1e-3
        else:
            phase = replace(PHASE, co_tune=1.0)
    run(knowing.net(3), knowing, own, tmp_path, tmp_path / "work", counter, phase)
    assert counter.calls[0] < len(DATA), "it began anew"


class Killer:
    """A step that interrupts when so many examples are done."""

    def __init__(self, after: float) -> None:
        self.after, self.calls = after, list[float]()

    def advance(self, units: float = 1) -> None:
        self.calls.append(units)
        if sum(self.calls) > self.after:
            raise KeyboardInterrupt

    def note(self, text: str) -> None: ...
    def epoch(self, measured: object) -> None: ...


def run(
    net: StagedNet, source: Source, own: OwnHead, folder: Path, space: Path, step: Killer, phase: Train = PHASE
) -> None:
    pixels = Prepared(DATA, source.card.input, Store(folder))
    train(net, source.card, phase, DATA, prepared=pixels, seed=0, workspace=space, step=step, own=own)
