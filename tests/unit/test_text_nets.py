"""Nets for texts: what stands before and behind their trunk against plain loops, their stages, and surgery on them."""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.core.errors import UserError
from headstart.core.problem import Task
from headstart.data.dataset import Dataset
from headstart.modalities.image.modality import IMAGE
from headstart.modalities.text.modality import TEXT
from headstart.nets.text_cnn import BUCKETS, TextCnn
from headstart.sources.card import Architecture, Card, Licence, Pooling, TextInput
from headstart.sources.front import TokenFront
from headstart.sources.load import load, rebuild
from headstart.sources.pooling import LEAST, POWER, pooled_tokens
from headstart.sources.preconditions import check_readable, preconditions
from headstart.sources.providers.text import construct, describe_text
from headstart.sources.source import Source
from headstart.testing import check_source, check_strategy

FREE = Licence(name="none needed", commercial=True)
PAD, WINDOW, WINDOWS = 0, 5, 3
TAKEN = TextInput(tokenizer="", window=WINDOW, windows=WINDOWS, pad=PAD)
TINY: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "vocab_size": 1100,
    "max_position_embeddings": 40,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": TINY,
    "roberta": TINY,  # counts its positions from the empty one on, which is 1
    "albert": {**TINY, "embedding_size": 8},  # the blocks are one
}


@cache
def made(kind: str = "bert") -> Source:
    """A tiny untrained encoder of transformers."""
    pad = 1 if kind in ("roberta", "mpnet") else 0
    text = json.dumps({"model_type": kind, "pad_token_id": pad, **CONFIGS.get(kind, TINY)})
    architecture = Architecture(name=kind, builder="text", text=text, options={"pad": pad})
    torch.manual_seed(0)
    model = construct(architecture)
    card = describe_text(
        model, name=f"made:{kind}", architecture=architecture, pooling="avg", trained_on=None,
        taken=TextInput(tokenizer="its own, not read here", window=8, windows=2, pad=pad), licence=FREE,
    )  # fmt: skip
    return Source(card, model)


def texts(*lengths: int, taken: TextInput = TAKEN, seed: int = 0) -> Tensor:
    """Prepared texts of so many tokens each."""
    found = torch.full((len(lengths), taken.window * taken.windows), taken.pad, dtype=torch.int32)
    draw = torch.Generator().manual_seed(seed)
    for row, length in enumerate(lengths):
        found[row, :length] = torch.randint(taken.pad + 1, 999, (length,), generator=draw)
    return found


# What stands before a trunk


def test_the_front_gives_the_windows_that_hold_something_no_longer_than_needed() -> None:
    tokens = texts(12, 3, 0, 5)
    seen = TokenFront(TAKEN)(tokens)
    assert seen.text.tolist() == [0, 0, 0, 1, 2, 3]  # a text without tokens keeps one window
    assert seen.given.shape == (6, WINDOW)
    assert seen.given.dtype == torch.int64
    assert seen.given.flatten()[seen.real.flatten()].tolist() == tokens[tokens != PAD].tolist()
    assert seen.real.sum(dim=1).tolist() == [5, 5, 2, 3, 0, 5]
    assert seen.count == 4


def test_positions_that_are_empty_in_all_windows_are_left_out() -> None:
    assert TokenFront(TAKEN)(texts(3, 2)).given.shape == (2, 3)
    assert TokenFront(TAKEN)(texts(0)).given.shape == (1, 1)


# What stands behind it


def each(output: Tensor, real: Tensor, text: Tensor, count: int) -> list[Tensor]:
    """(t, D) of every text: its tokens, window by window."""
    return [torch.cat([output[w][real[w]] for w in range(len(text)) if text[w] == at]) for at in range(count)]


LOOPS: dict[Pooling | None, Callable[[Tensor], Tensor]] = {
    None: lambda tokens: tokens.mean(dim=0),
    "avg": lambda tokens: tokens.mean(dim=0),
    "max": lambda tokens: tokens.amax(dim=0),
    "cls": lambda tokens: tokens[0],
    "gem": lambda tokens: tokens.clamp(min=LEAST).pow(POWER).mean(dim=0).pow(1 / POWER),
}


@pytest.mark.parametrize("how", LOOPS)
def test_tokens_of_all_windows_are_pooled_as_a_plain_loop_does(how: Pooling | None) -> None:
    seen = TokenFront(TAKEN)(texts(12, 3, 15, 5, 6))
    output = torch.randn(*seen.given.shape, 7) + 0.5
    wanted = torch.stack([LOOPS[how](tokens) for tokens in each(output, seen.real, seen.text, seen.count)])
    found = pooled_tokens(output, seen.real, seen.text, seen.count, how)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("how", LOOPS)
def test_gradients_flow_to_real_tokens_only(how: Pooling | None) -> None:
    seen = TokenFront(TAKEN)(texts(12, 3))
    output = (torch.rand(*seen.given.shape, 7) + 0.5).requires_grad_()
    pooled_tokens(output, seen.real, seen.text, seen.count, how).sum().backward()
    assert output.grad is not None
    reached = output.grad.abs().sum(dim=2) > 0
    assert not reached[~seen.real].any()
    wanted = {"cls": 2, "max": 2}.get(str(how), 15)  # one token a text at least, or all
    assert int(reached.sum()) >= wanted


def of_nothing(how: Pooling | None) -> float:
    """The largest number that pooling makes of a text without tokens, beside one that has some."""
    seen = TokenFront(TAKEN)(texts(4, 0))
    outputs = torch.randn(2, 4, 7), torch.randn(2, 7)  # of tokens, and of whole windows
    return max(float(pooled_tokens(o, seen.real, seen.text, 2, how)[1].abs().max()) for o in outputs)


@pytest.mark.parametrize("how", [how for how in LOOPS if how != "max"])
def test_a_text_without_tokens_gives_numbers_that_can_be_learned_from(how: Pooling | None) -> None:
    assert of_nothing(how) < 100


def test_the_maximum_over_no_tokens_can_be_learned_from() -> None:
    assert of_nothing("max") < 100


def test_sums_in_half_precision_lose_nothing() -> None:
    seen = TokenFront(TAKEN)(texts(15))
    output = torch.ones(*seen.given.shape, 1, dtype=torch.bfloat16)
    output[0, 0] = 512
    found = pooled_tokens(output, seen.real, seen.text, seen.count, "avg")
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx((512 + 14) / 15)


# Features


SOURCES = ("random:text-cnn", "bert", "roberta")


def source(name: str) -> Source:
    return load(name) if ":" in name else made(name)


def taken(one: Source) -> TextInput:
    assert isinstance(one.input, TextInput)
    return one.input


@pytest.mark.parametrize("name", SOURCES)
def test_features_of_a_text_do_not_depend_on_the_others(name: str) -> None:
    one = source(name)
    lengths = (3, taken(one).window, taken(one).window + 2, 1)
    tokens, tap = texts(*lengths, taken=taken(one)), one.tapper()
    together = tap(tokens)
    for at in range(len(lengths)):
        for stage, alone in tap(tokens[at : at + 1]).items():
            torch.testing.assert_close(alone[0], together[stage][at], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SOURCES)
def test_an_empty_position_inside_a_text_hides_nothing_behind_it(name: str) -> None:
    """As where "[PAD]" stands in a text itself: tokenizers number it as what it says."""
    one = source(name)
    tokens = texts(6, taken(one).window, taken=taken(one))
    tokens[0, 2] = taken(one).pad
    other = tokens.clone()
    other[0, 5] += 1
    tap = one.tapper()
    last = one.card.stage_names()[-1]
    torch.testing.assert_close(tap(tokens)[last][0], tap(tokens[:1])[last][0], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(tap(tokens[:1])[last], tap(other[:1])[last])


@pytest.mark.parametrize("name", ["random:text-cnn+pool:avg", "bert", "roberta"])
def test_a_text_without_tokens_has_finite_features(name: str) -> None:
    found = source(name).tapper()(texts(0, 4, taken=taken(source(name))))
    assert all(bool((values.abs() < 100).all()) for values in found.values())


def test_the_order_of_words_matters_to_the_convolution_alone() -> None:
    one = load("random:text-cnn+pool:avg")
    tokens = texts(6, taken=taken(one))
    turned = tokens.clone()
    turned[0, :6] = tokens[0, :6].flip(0)
    a, b = one.tapper()(tokens), one.tapper()(turned)
    torch.testing.assert_close(a["words"], b["words"])
    assert not torch.allclose(a["phrases"], b["phrases"])


def test_hashes_share_rows_and_empty_positions_add_nothing() -> None:
    torch.manual_seed(0)
    net = TextCnn().eval()
    tokens = torch.tensor([[5, 9, 0, 0]])
    torch.testing.assert_close(net(tokens + BUCKETS * (tokens > 0)), net(tokens))
    torch.testing.assert_close(net(tokens)[:, :2], net(tokens[:, :2]))
    assert not torch.allclose(net(torch.full((1, 1), BUCKETS)), net(torch.zeros(1, 1, dtype=torch.int64)))


# Anatomy


@pytest.mark.parametrize("kind", CONFIGS)
def test_any_encoder_is_described_block_by_block(kind: str) -> None:
    check_source(made(kind))
    blocks = 1 if kind == "albert" else 2
    assert made(kind).card.stage_names() == ("embedding", *(f"block.{i}" for i in range(blocks)))
    assert not [name for name, _ in made(kind).model.named_parameters() if "pooler" in name]


def test_stages_tap_what_the_blocks_put_out() -> None:
    """Against the hidden states that transformers itself gives."""
    one = made("bert")
    tokens = texts(6, 3, taken=taken(one))
    with torch.inference_mode():
        seen = TokenFront(taken(one))(tokens)
        model: Any = one.model.get_submodule("model")
        hidden = model(seen.given, attention_mask=seen.real.long(), output_hidden_states=True).hidden_states
        found = one.tapper()(tokens)
    for stage, output in zip(one.card.stage_names(), hidden, strict=True):
        wanted = pooled_tokens(output, seen.real, seen.text, 2, "avg")
        torch.testing.assert_close(found[stage], wanted, rtol=1e-4, atol=1e-5)


def test_every_stage_has_the_parameters_of_its_block() -> None:
    embedding, *blocks = made("bert").card.stages
    assert all(".embeddings." in name for name in embedding.parameters)
    for at, block in enumerate(blocks):
        assert all(f".layer.{at}." in name for name in block.parameters)
    assert [stage.tap for stage in made("bert").card.stages][-1] == ""


class Flat(torch.nn.Module):
    """No list of blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(9, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.words(tokens)


def test_a_net_without_blocks_is_refused() -> None:
    card = made("bert").card
    says = r"^expected a net of blocks that follow each other, got Flat\nChoose another source\.$"
    with pytest.raises(UserError, match=says):
        describe_text(
            Flat(), name="made:flat", architecture=card.architecture, taken=TAKEN, pooling="avg", licence=card.licence,
            trained_on=None,
        )  # fmt: skip


def test_blocks_that_put_out_more_than_tokens_are_refused() -> None:
    """Such as those of MPNet: the tap of a stage takes what is one tensor."""
    with pytest.raises(UserError, match="MPNet"):
        made("mpnet")


@pytest.mark.parametrize("name", ["random:text-cnn", "random:text-cnn#3"])
def test_the_small_net_keeps_the_contract(name: str) -> None:
    check_source(load(name))


def test_the_seed_of_the_small_net_is_in_its_name() -> None:
    assert load("random:text-cnn").identity == load("random:text-cnn#0").identity
    assert load("random:text-cnn").identity != load("random:text-cnn#1").identity
    with pytest.raises(UserError, match=r"^expected random:text-cnn or random:text-cnn#SEED, got random:text-cnn@64\n"):
        load("random:text-cnn@64")


def test_a_net_of_two_stages_is_tuned_by_what_is_tried_unasked() -> None:
    check_strategy("lp-ft", load("random:text-cnn"))


# Surgery


@pytest.mark.parametrize("stage", ["embedding", "block.0"])
def test_a_cut_keeps_the_features_up_to_it(stage: str) -> None:
    whole, cut = made("bert"), made("bert").cut_at(stage)
    check_source(cut)
    assert cut.card.stage_names()[-1] == stage
    assert cut.card.parameters < whole.card.parameters
    tokens = texts(6, 3, taken=taken(whole))
    torch.testing.assert_close(cut.tapper()(tokens)[stage], whole.tapper()(tokens)[stage])


def test_fresh_weights_begin_at_their_stage() -> None:
    whole, fresh = made("bert"), made("bert").reinitialised("block.1", seed=4)
    check_source(fresh)
    tokens = texts(6, 3, taken=taken(whole))
    before, after = whole.tapper()(tokens), fresh.tapper()(tokens)
    torch.testing.assert_close(after["block.0"], before["block.0"])
    assert not torch.allclose(after["block.1"], before["block.1"])
    assert fresh.card.changes == ("re-initialised from stage block.1 on (seed 4): block.1",)


@pytest.mark.parametrize("how", ["avg", "max", "cls", "gem"])
def test_another_pooling_is_that_of_every_stage(how: Pooling) -> None:
    one = made("bert").pooled(how)
    check_source(one)
    tokens = texts(6, 12, taken=taken(one))
    with torch.inference_mode():
        seen = TokenFront(taken(one))(tokens)
        output = one.model(seen.given)
    wanted = torch.stack([LOOPS[how](tokens) for tokens in each(output, seen.real, seen.text, 2)])
    torch.testing.assert_close(one.tapper()(tokens)["block.1"], wanted, rtol=1e-4, atol=1e-5)


def test_surgery_in_a_name_is_the_same_surgery() -> None:
    cut, fresh = load("random:text-cnn+cut:words+pool:avg"), load("random:text-cnn+pool:gem+fresh:phrases")
    for one in (cut, fresh):
        check_source(one)
    assert cut.card.stage_names() == ("words",)
    assert cut.card.changes == (
        "cut behind stage words: phrases and the head are gone", "features pooled by avg",
    )  # fmt: skip
    assert fresh.card.pooling == "gem"


@pytest.mark.parametrize("mark", ["size:64", "channels:1"])
def test_what_only_pictures_have_cannot_be_changed(mark: str) -> None:
    says = "expected a net for pictures, got random:text-cnn, a net for texts\nLeave +size: and +channels: out."
    with pytest.raises(UserError, match=f"^{re.escape(says)}$"):
        load(f"random:text-cnn+{mark}")


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(UserError, match=r"^expected the name of a pooling, got 'mean'\n"):
        load("random:text-cnn+pool:mean")


def test_the_card_alone_builds_the_frame() -> None:
    for one in (made("roberta"), made("bert").cut_at("block.0"), load("random:text-cnn")):
        frame = rebuild(Card.model_validate_json(one.card.model_dump_json()))
        frame.model.load_state_dict(one.model.state_dict())
        tokens = texts(6, taken=taken(one))
        for name, values in one.tapper()(tokens).items():
            assert torch.equal(frame.tapper()(tokens)[name], values)


@pytest.mark.parametrize("text", ["{}", '{"model_type": "brt"}', "no json"])
def test_a_config_of_nothing_known_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        construct(Architecture(name="x", builder="text", text=text))


# Data of another kind


@pytest.mark.parametrize(
    ("name", "modality", "says"),
    [
        ("random:text-cnn", IMAGE, "expected a source for image data, got random:text-cnn, which takes text data\n"),
        ("random:test_vit", TEXT, "expected a source for text data, got random:test_vit, which takes image data\n"),
    ],
)
def test_a_source_for_other_data_is_refused_in_one_line(name: str, modality: Any, says: str) -> None:
    with pytest.raises(UserError, match=f"^{says}See headstart sources list.$"):
        check_readable(load(name).card, data(modality))


def data(modality: Any) -> Dataset:
    nothing = np.zeros(0, dtype=np.int64)
    return Dataset("", (), nothing, nothing, Task("c", "classification", ("a", "b")), modality)


def test_a_source_for_these_data_is_not_refused() -> None:
    check_readable(load("random:text-cnn").card, data(TEXT))
    assert preconditions(load("random:text-cnn").card, data(TEXT)) == (
        "random:text-cnn was not trained on anything known",
    )
