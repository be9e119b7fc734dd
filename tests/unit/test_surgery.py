"""Surgery keeps what it should keep: each operation against the whole net, and against its own card."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.sources import surgery
from headstart.sources.card import Card, Pooling, Stage
from headstart.sources.load import load, rebuild
from headstart.sources.source import Source
from headstart.sources.staged import KeptHead
from headstart.testing import check_source

# Residual, inverted residual, NCHW and NHWC blocks with layer norms, tokens, attention with learned positions.
NETS = ("test_resnet@32", "test_efficientnet@32", "test_convnext@32", "test_mambaout@64", "test_vit", "test_coatnet")
CONVOLUTIONAL = NETS[:4]
CLASSES = ("ant", "bee", "cat", "dog", "elk")
FEW = settings(max_examples=12, deadline=None, derandomize=True)
nets = st.sampled_from(NETS)


@cache
def plain(name: str) -> Source:
    return load(f"random:{name}")


@cache
def knowing(bias: bool = True) -> Source:
    """A source whose own classifier has names for its classes."""
    source = plain("test_resnet@32")
    made = source.net(1).trunk
    made.fc = nn.Linear(source.card.features, len(CLASSES), bias=bias)
    architecture = source.card.architecture.model_copy(update={"options": {"num_classes": len(CLASSES)}})
    count = sum(p.numel() for p in made.parameters())
    facts = {"architecture": architecture, "head_classes": CLASSES, "parameters": count}
    return Source(source.card.model_copy(update=facts), made.eval())


def pictures(source: Source, n: int = 2) -> Tensor:
    side = source.input.size
    return torch.randint(0, 256, (n, side, side, source.input.channels), dtype=torch.uint8)


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def buffers_of(card: Card, model: nn.Module, stages: slice) -> dict[str, Tensor]:
    """Parameters of these stages, and the buffers that stand beside them."""
    names = {p for stage in card.stages[stages] for p in stage.parameters}
    holders = {p.rpartition(".")[0] for p in names}
    parameters = dict(model.named_parameters())
    state = model.state_dict()
    return {k: v for k, v in state.items() if k in names or (k not in parameters and k.rpartition(".")[0] in holders)}


# Heads


@FEW
@given(
    outputs=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    widths=st.lists(st.integers(1, 16), max_size=2),
    seed=st.integers(0, 3),
)
def test_a_head_of_any_shape_starts_at_zero(outputs: list[int], widths: list[int], seed: int) -> None:
    source = plain("test_resnet@32").with_head(*outputs, widths=widths)
    net = source.net(sum(outputs), seed)
    layers = [m for m in net.head.modules() if isinstance(m, nn.Linear)]
    assert [layer.out_features for layer in layers] == [*widths, sum(outputs)]
    assert [layer.in_features for layer in layers] == [source.card.features, *widths]
    logits = net(pictures(source))
    assert logits.shape == (2, sum(outputs))
    assert not logits.any()
    assert same(net.state_dict(), source.net(sum(outputs), seed).state_dict())


def test_hidden_layers_are_drawn_from_the_seed_and_leave_chance_alone() -> None:
    source = plain("test_resnet@32").with_head(widths=(8,))
    before = torch.random.get_rng_state()
    first, other = source.net(3, seed=1), source.net(3, seed=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.equal(first.head[0].weight, other.head[0].weight)


@FEW
@given(new=st.integers(0, 4), asked=st.booleans(), bias=st.booleans())
def test_kept_classes_have_the_logits_that_they_had(new: int, asked: bool, bias: bool) -> None:
    source = knowing(bias)
    outputs = len(CLASSES) + new
    kept = source.with_head(*([outputs] if asked else []), keep=True)
    net = kept.net(outputs).eval()
    pixels = pictures(source, 3)
    with torch.inference_mode():
        old = source.model(net.front(pixels).given)
        logits = net(pixels)
    torch.testing.assert_close(logits[:, : len(CLASSES)], old, rtol=1e-5, atol=1e-5)
    assert old.std() > 0
    assert not logits[:, len(CLASSES) :].any()


def test_old_and_new_classes_can_be_told_apart_by_a_rule() -> None:
    net = knowing().with_head(keep=True).net(7)
    assert isinstance(net.head, KeptHead)
    assert {n for n, _ in net.head.named_parameters()} == {"old.weight", "old.bias", "new.weight", "new.bias"}
    assert net.head.new.out_features == 2


NO_OLD_CLASSES = "a source with a linear classifier whose classes have names, got"
KEEPS = "a source whose own classifier may go, got .* keeps it"
IMPOSSIBLE: dict[str, tuple[Callable[[Source], object], str]] = {
    "keep nameless": (lambda _: plain("test_resnet@32").with_head(keep=True), NO_OLD_CLASSES),
    "keep cut off": (lambda s: s.cut_at("1").with_head(keep=True), NO_OLD_CLASSES),
    "keep fresh": (lambda s: s.reinitialised("-1").with_head(keep=True), NO_OLD_CLASSES),
    "keep in an mlp": (lambda s: s.with_head(7, widths=(3,), keep=True), r"a linear head, to keep .*, got .* \(3,\)"),
    "too few": (lambda s: s.with_head(4, keep=True), "at least the 5 classes of random:test_resnet@32, got 4 outputs"),
    "too few later": (lambda s: s.with_head(keep=True).net(4), "a linear head of at least 5 outputs, got one of 4"),
    "other outputs": (lambda s: s.with_head(3, 4).net(5), r"a head of 5 outputs, got a head of 3 \+ 4"),
    "cut what is kept": (lambda s: s.with_head(keep=True).cut_at("1"), KEEPS),
    "fresh what is kept": (lambda s: s.with_head(keep=True).reinitialised(), KEEPS),
    "cut at no stage": (lambda s: s.cut_at("layr2"), "the name of a stage, got 'layr2'"),
    "fresh from no stage": (lambda s: s.reinitialised("7"), "the name of a stage, got '7'"),
    "no channel": (lambda s: s.widen_input(0), "at least one input channel, got 0"),
    "no such pooling": (lambda s: s.pooled(cast(Pooling, "mac")), "the name of a pooling, got 'mac'"),
    "no class token": (lambda s: s.pooled("cls"), "a net of timm with a class token, got random:test_resnet@32"),
    "no size": (lambda s: s.at_size(-32), "an input size that random:test_resnet@32 takes, got -32"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_cannot_be_done_is_one_clear_error(case: str) -> None:
    operation, message = IMPOSSIBLE[case]
    with pytest.raises(UserError, match=f"expected {message}") as caught:
        operation(knowing())
    assert caught.value.do


def test_a_size_that_positions_do_not_allow() -> None:
    with pytest.raises(UserError, match="an input size that random:test_vit takes, got 100"):
        plain("test_vit").at_size(100)


def test_a_net_that_does_not_begin_with_a_plain_convolution_keeps_its_channels() -> None:
    with pytest.raises(UserError, match="a first convolution that uses its weights as they are, got random:test_nfnet"):
        plain("test_nfnet@64").widen_input(4)
    vit = plain("test_vit")
    tokens = Stage(name="norm", tap="norm", dim=64, parameters=("norm.weight", "norm.bias"))
    with pytest.raises(UserError, match="a net that begins with a convolution, got"):
        Source(vit.card.model_copy(update={"stages": (tokens,)}), vit.model).widen_input(4)


# Cuts


@pytest.mark.parametrize("name", NETS)
def test_features_of_a_cut_net_are_those_of_the_tapped_stage(name: str) -> None:
    whole = plain(name)
    pixels = pictures(whole)
    wanted = whole.tapper()(pixels)
    for at, stage in enumerate(whole.card.stage_names()[:-1]):
        cut = whole.cut_at(stage)
        found = cut.tapper()(pixels)
        assert same(found, {n: wanted[n] for n in whole.card.stage_names()[: at + 1]})
        assert cut.card.features == found[stage].shape[1]


@FEW
@given(name=nets, at=st.integers(0, 3))
def test_behind_a_cut_there_is_no_parameter_left(name: str, at: int) -> None:
    whole = plain(name)
    cut = whole.cut_at(str(at))
    left = {p for stage in whole.card.stages[: at + 1] for p in stage.parameters}
    assert {n for n, _ in cut.model.named_parameters()} == left
    assert {n for n, _ in cut.net(3).trunk.named_parameters()} == left
    assert cut.card.parameters == sum(p.numel() for p in cut.model.parameters()) < whole.card.parameters
    gone = whole.card.stage_names()[at + 1 :]
    assert cut.card.changes == (
        f"cut behind stage {whole.card.stage_names()[at]}: {', '.join(gone)} and the head are gone",
    )
    assert (cut.card.head, cut.card.head_classes) == ("", ())


def test_a_parameter_of_a_module_that_stays_goes_too() -> None:
    """Such as a token that the net itself holds, for a block behind the cut."""
    model = nn.Module()
    model.first, model.last, model.token = nn.Linear(1, 1), nn.Linear(1, 1), nn.Parameter(torch.zeros(1))
    left = surgery.drop(model, {"first.weight"})
    assert [name for name, _ in left.named_parameters()] == ["first.weight"]


def test_nothing_behind_the_cut_is_computed() -> None:
    source = plain("test_resnet@32")
    net = source.cut_at("layer2").net(2)
    net.trunk.set_submodule("layer3", Forbidden())
    net(pictures(source))


class Forbidden(nn.Module):
    def forward(self, _: Tensor) -> Tensor:
        raise AssertionError("what lies behind the cut was called")


@pytest.mark.parametrize(
    ("alias", "stage"), [("first", "stem"), ("2", "layer2"), ("-2", "layer3"), ("layer1", "layer1")]
)
def test_a_cut_is_counted_from_either_end(alias: str, stage: str) -> None:
    assert plain("test_resnet@32").cut_at(alias).card.stage_names()[-1] == stage


def test_a_cut_behind_the_last_stage_changes_nothing() -> None:
    source = plain("test_resnet@32")
    assert source.cut_at("last").card == source.card


# Input channels


@pytest.mark.parametrize(
    ("count", "how"), [(1, "sum"), (2, "sum"), (4, "sum"), (13, "sum"), (3, "tile"), (4, "tile"), (6, "tile")]
)
@pytest.mark.parametrize("name", NETS)
def test_replicated_channels_give_the_old_output(name: str, count: int, how: surgery.Channels) -> None:
    source = plain(name)
    wide = source.widen_input(count, how)
    grey = torch.randn(2, 1, source.input.size, source.input.size)
    with torch.inference_mode():
        wanted = source.model(grey.expand(-1, 3, -1, -1))
        found = wide.model(grey.expand(-1, count, -1, -1))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert wide.input.channels == count


@FEW
@given(name=st.sampled_from(CONVOLUTIONAL), count=st.integers(4, 7))
def test_tiled_colours_give_the_old_output_for_colours(name: str, count: int) -> None:
    """Not only grey: where every channel repeats the old one that it stands for."""
    source = plain(name)
    colours = torch.randn(2, 3, source.input.size, source.input.size)
    with torch.inference_mode():
        wanted = source.model(colours)
        found = source.widen_input(count, "tile").model(colours[:, [i % 3 for i in range(count)]])
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@FEW
@given(out=st.integers(1, 4), old=st.integers(1, 4), more=st.integers(1, 4))
def test_average_keeps_old_channels_as_they_are(out: int, old: int, more: int) -> None:
    weight = torch.randn(out, old, 3, 3)
    found = surgery.widened(weight, old + more, "average")
    assert torch.equal(found[:, :old], weight)
    for channel in range(old, old + more):
        torch.testing.assert_close(found[:, channel], weight.mean(1))


@FEW
@given(old=st.integers(1, 4), count=st.integers(1, 9), how=st.sampled_from(["sum", "tile", "average"]))
def test_widened_weights_have_the_shape_and_the_gain(old: int, count: int, how: surgery.Channels) -> None:
    weight = torch.randn(5, old, 3, 3)
    found = surgery.widened(weight, count, how)
    assert found.shape == (5, count, 3, 3)
    if how != "average" or count < old:
        torch.testing.assert_close(found.sum(1), weight.sum(1), rtol=1e-4, atol=1e-5)


def test_statistics_follow_the_channels() -> None:
    source = plain("test_resnet@32")
    mean, std = source.input.mean, source.input.std
    grey, five = source.widen_input(1), source.widen_input(5)
    assert grey.input.colour == "L"
    assert grey.input.mean == pytest.approx((sum(mean) / 3,))
    assert five.input.colour == "any"
    assert five.input.mean == (*mean, *mean[:2])
    assert five.input.std == (*std, *std[:2])
    assert source.widen_input(3).card == source.card
    assert five.card.changes == ("input widened from 3 to 5 channels (sum): conv1.0.weight",)


def test_a_grey_net_takes_coloured_pictures() -> None:
    source = plain("test_resnet@32").widen_input(1)
    grey = torch.randint(0, 256, (2, 32, 32, 1), dtype=torch.uint8)
    net = source.net(2)
    torch.testing.assert_close(net.front(grey.expand(-1, -1, -1, 3)).given, net.front(grey).given, rtol=1e-4, atol=1e-4)


# Input size


@pytest.mark.parametrize("name", NETS)
def test_another_size_keeps_the_contract(name: str) -> None:
    source = plain(name)
    size = source.input.size * 2
    larger = source.at_size(size)
    assert larger.input.size == size
    assert larger.card.changes == (f"input size {size // 2} -> {size}",)
    assert larger.identity != source.identity
    check_source(larger)


@pytest.mark.parametrize("name", ["test_vit", "test_coatnet", "test_maxvit"])
def test_a_cut_net_can_be_resized_and_the_other_way_round(name: str) -> None:
    source = plain(name)
    one, other = source.cut_at("1").at_size(224), source.at_size(224).cut_at("1")
    assert one.card.stages == other.card.stages
    assert same(one.model.state_dict(), other.model.state_dict())
    pixels = pictures(one)
    assert same(one.tapper()(pixels), other.tapper()(pixels))


def test_back_to_the_old_size_is_nearly_the_old_net() -> None:
    source = plain("test_coatnet")
    back = source.at_size(224).at_size(160)
    pixels = pictures(source)
    wanted, found = source.tapper()(pixels), back.tapper()(pixels)
    for stage, values in wanted.items():
        torch.testing.assert_close(found[stage], values, rtol=0.1, atol=0.1)


# Fresh weights


@FEW
@given(name=nets, at=st.integers(0, 4), seed=st.integers(0, 3))
def test_what_stays_is_bit_identical_and_the_rest_is_fresh(name: str, at: int, seed: int) -> None:
    source = plain(name)
    made = source.reinitialised(str(at), seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = rebuild(source.card).model
    before, behind = slice(None, at), slice(at, None)
    assert same(buffers_of(source.card, made.model, before), buffers_of(source.card, source.model, before))
    assert same(buffers_of(source.card, made.model, behind), buffers_of(source.card, fresh, behind))
    moved = [p for stage in source.card.stages[behind] for p in stage.parameters if "weight" in p]
    old, new = dict(source.model.named_parameters()), dict(made.model.named_parameters())
    drawn = [p for p in moved if fresh.state_dict()[p].std() > 0]
    assert seed == 0 or all(not torch.equal(old[p], new[p]) for p in drawn)  # the source was drawn with seed 0
    said = f"re-initialised from stage {source.card.stage_names()[at]} on (seed {seed}): "
    assert made.card.changes == (said + ", ".join(source.card.stage_names()[at:]),)
    assert made.card.head_classes == ()


def trained() -> Source:
    """A source whose batch-norm statistics have moved."""
    source = plain("test_resnet@32")
    model = source.net(1).trunk.train()
    model.fc = nn.Linear(source.card.features, 1000)
    model(torch.randn(8, 3, 32, 32))
    return Source(source.card, model.eval())


def test_batch_norm_statistics_stay_with_their_stage() -> None:
    source = trained()
    made = source.reinitialised("layer2", seed=0)
    old, new = source.model.state_dict(), made.model.state_dict()
    assert old["bn1.running_mean"].abs().sum() > 0
    assert torch.equal(new["bn1.running_mean"], old["bn1.running_mean"])
    assert torch.equal(new["layer1.0.bn1.running_var"], old["layer1.0.bn1.running_var"])
    assert not new["layer2.0.bn1.running_mean"].any()
    assert int(new["layer2.0.bn1.num_batches_tracked"]) == 0


def test_fresh_weights_over_more_channels_differ_by_channel_and_keep_the_gain() -> None:
    source = plain("test_resnet@32")
    weight = source.widen_input(12).reinitialised().model.state_dict()["conv1.0.weight"]
    old = source.model.state_dict()["conv1.0.weight"]
    assert weight.shape[1] == 12
    assert not torch.equal(weight[:, 0], weight[:, 1])
    gain = weight.var() * 12 / (old.var() * 3)
    assert 0.8 < float(gain) < 1.25


def test_only_from_the_first_stage_on_nothing_was_learned() -> None:
    facts = {"trained_on": {"name": "x", "n": 1, "kind": "image"}, "benchmark": 70.0}
    card = Card.model_validate(plain("test_resnet@32").card.model_dump() | facts)
    source = Source(card, plain("test_resnet@32").model)
    assert source.reinitialised("layer1").card.trained_on is not None
    assert source.reinitialised().card.trained_on is None
    assert source.reinitialised().card.benchmark is None


# All of them, and chains

CHAINS: dict[str, Callable[[Source], Source]] = {
    "head": lambda s: s.with_head(6),
    "mlp": lambda s: s.with_head(3, 2, widths=(8, 4)),
    "grey": lambda s: s.widen_input(1),
    "13 channels": lambda s: s.widen_input(13, "average"),
    "cut": lambda s: s.cut_at("-2"),
    "fresh": lambda s: s.reinitialised("-2", seed=4),
    "cut, fresh, 4 channels": lambda s: s.cut_at("2").reinitialised("1", seed=1).widen_input(4, "tile"),
    "4 channels, cut, larger, fresh": lambda s: s.widen_input(4).cut_at("2").at_size(96).reinitialised(),
    "gem": lambda s: s.pooled("gem"),
    "max, fresh, larger, cut": lambda s: s.pooled("max").reinitialised("-1").at_size(96).cut_at("-2"),
    "larger, grey, mlp": lambda s: s.at_size(96).widen_input(1).with_head(4, widths=(8,)),
}


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("name", ["test_resnet@32", "test_convnext@32", "test_vit"])
def test_an_operated_source_keeps_the_contract_and_the_old_one_is_untouched(name: str, chain: str) -> None:
    source = plain(name)
    identity, card = source.identity, source.card
    made = CHAINS[chain](source)
    check_source(made)
    assert source.identity == identity
    assert source.card == card
    assert (made.identity != identity) == (chain not in ("head", "mlp"))


def test_kept_classes_keep_the_contract() -> None:
    check_source(knowing().with_head(keep=True))
    check_source(knowing().with_head(7, keep=True).widen_input(4).at_size(48))


def test_each_change_is_named_in_order() -> None:
    made = plain("test_resnet@32").widen_input(4).cut_at("layer2").at_size(64).reinitialised("layer1", seed=2)
    assert made.name == "random:test_resnet@32+channels:4+cut:layer2+size:64+fresh:layer1"
    assert [said.split(":")[0].split(" ")[0] for said in made.card.changes] == [
        "input",
        "cut",
        "input",
        "re-initialised",
    ]
    assert made.card.changes[-1] == "re-initialised from stage layer1 on (seed 2): layer1, layer2"


@pytest.mark.parametrize("chain", CHAINS)
def test_the_card_alone_gives_the_frame_for_trained_weights(chain: str) -> None:
    made = CHAINS[chain](plain("test_vit"))
    card = Card.model_validate_json(made.card.model_dump_json())
    outputs = sum(card.new_head.outputs) or 2
    state = made.net(outputs, seed=5).state_dict()
    rebuilt = rebuild(card).net(outputs)
    rebuilt.load_state_dict(state, strict=True)
    pixels = pictures(made)
    net = made.net(outputs, seed=5).eval()
    assert torch.equal(rebuilt.eval().features(pixels), net.features(pixels))
