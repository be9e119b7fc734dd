"""The contract of a source: its card is true of its net, and the net that it hands out is a copy.

Sources that surgery has changed keep it too.
"""

from collections import Counter
from typing import Any

import torch
from torch import Tensor

from headstart.sources.card import Card, ImageInput
from headstart.sources.front import noise
from headstart.sources.load import rebuild
from headstart.sources.source import Source
from headstart.sources.staged import StagedNet


def check_source(source: Source) -> None:
    """Check a source in a few forward passes on generated examples.

    Raises:
        AssertionError: a sentence that says which promise is broken.
    """
    torch.manual_seed(0)
    examples = noise(source.input, 3)
    _check_card(source.card)
    _check_parameters(source)
    _check_features(source, examples)
    _check_order(source, examples[:2])
    _check_net(source, examples)
    _check_own_head(source)
    _check_rebuilt(source)


def _check_card(card: Card) -> None:
    assert all(card.name.partition(":")), f"the name of a source is provider:name, got {card.name!r}"
    names = card.stage_names()
    assert len(set(names)) == len(names), f"stage names must differ, got {names}"
    assert all(names), f"every stage needs a name, got {names}"
    ends = card.stages[-1].tap == "" or not card.head
    assert ends, "the last stage is the output of the trunk: its tap must be empty, unless it was cut there"
    early = [stage.name for stage in card.stages[:-1] if not stage.tap]
    assert not early, f"only the last stage may have an empty tap, these have one too: {early}"
    assert card.licence.name or not card.licence.commercial, "commercial use of weights needs a stated licence"
    if isinstance(card.input, ImageInput):
        assert card.input.size > 0, f"the input needs a positive size, got {card.input.size}"
        assert all(s > 0 for s in card.input.std), f"the input needs positive deviations, got {card.input.std}"
    assert card.trained_on is None or card.trained_on.n > 0, "trained_on.n says how many examples there were"


def _check_parameters(source: Source) -> None:
    card = source.card
    listed = Counter(name for stage in card.stages for name in stage.parameters)
    twice = [name for name, count in listed.items() if count > 1]
    assert not twice, f"every parameter belongs to one stage, these belong to more: {twice[:5]}"
    trunk = {name for name, _ in source.net(_outputs(source.card)).trunk.named_parameters()}
    missing = sorted(trunk - set(listed))
    assert not missing, f"the stages must hold every parameter of the trunk, these are in none: {missing[:5]}"
    unknown = sorted(set(listed) - trunk)
    assert not unknown, f"the stages name parameters that the trunk does not have: {unknown[:5]}"
    count = sum(p.numel() for p in source.model.parameters())
    assert card.parameters == count, f"the card says {card.parameters} parameters, the net has {count}"
    modules = {name for name, _ in source.model.named_modules()}
    gone = [name for name in (card.head, *card.norms, *(s.tap for s in card.stages)) if name not in modules]
    assert not gone, f"the card names modules that the net does not have: {gone}"


def _check_features(source: Source, examples: Tensor) -> None:
    card, tap = source.card, source.tapper()
    found = tap(examples)
    assert tuple(found) == card.stage_names(), f"the taps must fire in the card's order, got {tuple(found)}"
    for stage in card.stages:
        values = found[stage.name]
        wanted = (len(examples), stage.dim)
        assert tuple(values.shape) == wanted, f"stage {stage.name} promises {wanted}, got {tuple(values.shape)}"
        assert bool(torch.isfinite(values).all()), f"the features of stage {stage.name} must be finite"
    again = tap(examples)
    assert all(torch.equal(found[name], again[name]) for name in found), "equal examples must give equal features"
    alone = tap(examples[1:2])
    for name, values in found.items():
        noise = 1e-4 * max(1.0, float(values.abs().max()))
        close = torch.allclose(values[1:2], alone[name], rtol=1e-3, atol=noise)
        assert close, f"the features of stage {name} must not depend on the rest of the batch"
    last = found[card.stage_names()[-1]]
    assert not torch.equal(last[0], last[1]), "different examples must give different features"


def _check_order(source: Source, examples: Tensor) -> None:
    """Features of a stage may depend on parameters of that stage and earlier ones only, and must on some of its own."""
    net = source.net(_outputs(source.card)).eval().requires_grad_(True)
    of_stage = {name: at for at, stage in enumerate(source.card.stages) for name in stage.parameters}
    for at, (name, values) in enumerate(net.stages(examples).items()):
        leaves = _leaves(values)
        reached = [p for p, parameter in net.trunk.named_parameters() if id(parameter) in leaves]
        ahead = [p for p in reached if of_stage[p] > at]
        assert not ahead, f"stage {name} depends on parameters of later stages: {ahead[:3]}"
        own = [p for p in reached if of_stage[p] == at]
        assert own or not source.card.stages[at].parameters, f"stage {name} depends on none of its own parameters"


def _leaves(values: Tensor) -> set[int]:
    """The ids of the parameters that values were computed from, by the graph: no gradient has to be computed for it."""
    waiting, seen, found = [values.grad_fn], set[Any](), set[int]()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        found.add(id(getattr(node, "variable", None)))  # of a leaf
        waiting += [before for before, _ in node.next_functions]
    return found


def _check_net(source: Source, examples: Tensor) -> None:
    before, features = source.identity, source.tapper()(examples)
    outputs, old = _outputs(source.card), _old(source.card)
    net = source.net(outputs)
    logits = net.eval()(examples)
    wanted = (len(examples), outputs)
    assert tuple(logits.shape) == wanted, f"net({outputs}) must give {outputs} logits, got {tuple(logits.shape)}"
    assert not bool(logits[:, old:].any()), "the new head must start at zero"
    _step(net, examples)
    assert source.identity == before, "training a copy must not change the source"
    after = source.tapper()(examples)
    assert all(torch.equal(features[k], after[k]) for k in features), "training a copy must not change the features"
    again = source.net(outputs).eval()(examples)
    assert torch.equal(again, logits), "every copy must come with a new head"


def _old(card: Card) -> int:
    """How many classes the heads of its copies keep."""
    return len(card.head_classes) if card.new_head.keep else 0


def _outputs(card: Card) -> int:
    """As many as the head was made for; where it takes the task's number, four new ones."""
    return sum(card.new_head.outputs) or _old(card) + 4


def _step(net: StagedNet, examples: Tensor) -> None:
    """One plain gradient step; the head is nudged first, or nothing would flow into the trunk."""
    net.train()
    with torch.no_grad():
        for parameter in net.head.parameters():
            parameter.normal_()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    torch.nn.functional.cross_entropy(net(examples), torch.arange(len(examples)) % net.outputs).backward()
    optimiser.step()


def _check_own_head(source: Source) -> None:
    own, card = source.own_head(), source.card
    assert own is not None or not card.head_classes, "a card with head_classes needs a linear head of its own"
    if own is None:
        return
    classes = len(card.head_classes)
    wanted = (classes, card.features)
    assert own[0].shape == wanted, f"the own head promises weights {wanted}, got {own[0].shape}"
    assert own[1].shape == (classes,), f"the own head promises {classes} biases, got {own[1].shape}"


def _check_rebuilt(source: Source) -> None:
    """The card alone, read from JSON, gives the frame that the source's weights fit into."""
    card = Card.model_validate_json(source.card.model_dump_json())
    assert card == source.card, "a card must be equal to what its JSON gives back"
    frame, wanted = rebuild(card).model.state_dict(), source.model.state_dict()
    apart = sorted(set(frame) ^ set(wanted)) or [n for n in wanted if frame[n].shape != wanted[n].shape]
    assert not apart, f"a net built from the card must have the weights of this one, these differ: {apart[:5]}"
