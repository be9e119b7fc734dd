"""Darknet nets as sources: on disk, in part, packaged. Only a verified wheel is opened."""

import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from headstart.core.errors import UserError
from headstart.nets.darknet import Darknet, build
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.formats.darknet import Header, floats, stored, write
from headstart.sources.packages import Package, kept
from headstart.sources.providers import darknet as provider
from headstart.sources.providers.darknet import construct
from headstart.sources.source import Source
from headstart.sources.wheels import DARKNETS
from headstart.testing import check_source

HEADER = Header(seen=3)


def load(name: str, access: Access = NOTHING_SPECIAL) -> Source:
    """A source of files that the test made, and so trusts."""
    return provider.load(name, replace(access, trust=True))


def cfg(*sections: str, channels: int = 3) -> str:
    """A cfg from lines such as "[maxpool] size=2 stride=2"."""
    net = f"[net] width=32 height=32 channels={channels}"
    return "\n".join(part for line in (net, *sections) for part in line.split()) + "\n"


def conv(filters: int, more: str = "activation=leaky") -> str:
    return f"[convolutional] filters={filters} size=3 stride=1 pad=1 batch_normalize=1 {more}"


POOL = "[maxpool] size=2 stride=2"
FOUND = "[convolutional] filters=21 size=1 activation=linear"
TWO_HEADS = cfg(
    conv(8), POOL, conv(12), POOL, conv(16), conv(20), FOUND, "[yolo]",
    "[route] layers=-4", "[upsample] stride=2", "[route] layers=-1,2", FOUND, "[yolo]",
)  # fmt: skip
CLASSIFIER = cfg(
    conv(8, "activation=relu"), POOL, conv(12), POOL, "[connected] output=20 activation=relu", "[dropout]",
    "[connected] output=10 activation=linear", "[softmax]", "[cost]",
)  # fmt: skip
SMALL = cfg(conv(6), POOL, "[convolutional] filters=5 activation=leaky", "[avgpool]", "[softmax]")


def filled(text: str) -> Darknet:
    """A net with random weights whose outputs neither vanish nor explode."""
    torch.manual_seed(0)
    net = build(text).eval()
    with torch.no_grad():
        for _, tensors in stored(net):
            for tensor in tensors:
                tensor.uniform_(0.5, 1.5) if tensor.ndim == 1 else tensor.normal_(0, 0.1)
    return net


def on_disk(folder: Path, text: str) -> tuple[Path, Path]:
    places = folder / "net.cfg", folder / "net.weights"
    places[0].write_text(text)
    places[1].write_bytes(write(filled(text), HEADER))
    return places


def pictures() -> Tensor:
    return torch.rand(2, 3, 32, 32)


# --- as a source


@pytest.mark.parametrize("text", [TWO_HEADS, CLASSIFIER, SMALL, cfg(conv(4), POOL, conv(6), channels=1)])
def test_a_net_on_disk_keeps_the_contract(text: str, tmp_path: Path) -> None:
    places = on_disk(tmp_path, text)
    source = load(str(places[0]))
    check_source(source)
    assert source.name == f"darknet:{places[0]}"
    assert source.card.sha256 == hashlib.sha256(places[1].read_bytes()).hexdigest()
    assert (source.card.licence.name, source.card.licence.commercial, source.card.trained_on) == (None, False, None)
    rebuilt = construct(source.card.architecture)
    assert rebuilt.state_dict().keys() == source.model.state_dict().keys()
    assert load(f"{places[0]},{places[1]}").identity == source.identity


def test_every_layer_with_weights_is_a_stage(tmp_path: Path) -> None:
    places = on_disk(tmp_path, TWO_HEADS)
    card = load(str(places[0])).card
    assert [(stage.name, stage.tap, stage.dim // stage.grid**2) for stage in card.stages] == [
        ("layers.0", "layers.1", 8),
        ("layers.2", "layers.3", 12),
        ("layers.4", "", 16),
    ]
    assert card.head == "head"
    assert (card.input.size, card.input.crop, card.input.mean, card.input.std) == (32, 1.0, (0.0,) * 3, (1.0,) * 3)


def test_a_partial_file_is_a_shorter_net(tmp_path: Path) -> None:
    whole = filled(TWO_HEADS)
    (tmp_path / "net.cfg").write_text(TWO_HEADS)
    path = tmp_path / "net.conv.3"
    path.write_bytes(write(whole, HEADER)[: struct.calcsize(HEADER.layout) + 4 * floats(build(TWO_HEADS, 3))])
    source = load(f"{tmp_path / 'net.cfg'},{path}")
    check_source(source)
    assert (source.card.features, source.card.head) == (12, "")
    assert len(list(construct(source.card.architecture).parameters())) == 6
    with torch.inference_mode():
        images = pictures()
        torch.testing.assert_close(source.model(images), whole.layers[2](whole.layers[1](whole.layers[0](images))))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("yolo-tiny", "the name of a Darknet source, got 'yolo-tiny'\nDid you mean yolov3-tiny"),
        ("{}/gone.cfg", "a file of weights, got .*gone.weights: nothing there"),
        ("{0}/gone.cfg,{0}/net.weights", "the .cfg of a Darknet net, got .*gone.cfg: nothing there"),
        ("{}/net.cfg,{}/gone.weights", "a file of weights, got .*gone.weights: nothing there"),
        ("{0}/wide.cfg,{0}/net.weights", "a square input in .*wide.cfg, got width=64 and height=32"),
        ("{0}/net.cfg,{0}/net.conv.99", r"at least 99 layers in \[net\] at line 1 of the cfg, got 5"),
    ],
)
def test_files_that_are_not_a_source(name: str, message: str, tmp_path: Path) -> None:
    _, path = on_disk(tmp_path, SMALL)
    (tmp_path / "net.conv.99").write_bytes(path.read_bytes())
    (tmp_path / "wide.cfg").write_text(SMALL.replace("width=32", "width=64"))
    with pytest.raises(UserError, match=message):
        load(name.format(*[tmp_path] * 2))


def test_a_cfg_beyond_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = on_disk(tmp_path, SMALL)
    monkeypatch.setattr("headstart.sources.providers.darknet.LARGEST_CFG", 10)
    with pytest.raises(UserError, match="too large for one"):
        load(str(places[0]))


# --- packaged nets


def test_a_packaged_net_is_its_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    data = write(filled(SMALL), HEADER)
    members = {"made_up/net.cfg": SMALL.encode(), "made_up/net.weights": data}
    package = Package("made-up", "1.0", "0" * 64, 1, {n: hashlib.sha256(d).hexdigest() for n, d in members.items()})
    for name, path in kept(package).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(members[name])
    monkeypatch.setitem(DARKNETS, "small", replace(DARKNETS["yolov3-tiny"], package=package))
    source = load("small", Access(offline=True))
    check_source(source)
    assert (source.name, source.card.licence.name, source.card.licence.commercial) == ("darknet:small", "MIT", True)
    assert source.card.sha256 == hashlib.sha256(data).hexdigest()
