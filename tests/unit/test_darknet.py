"""Darknet nets: files to the byte, layers against slow references, one clear line for everything that is wrong."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.nets import darknet as nets
from headstart.nets import darknet_layers
from headstart.nets.darknet import Darknet, build
from headstart.nets.darknet_cfg import parse
from headstart.nets.darknet_layers import ACTIVATIONS, Connected, Convolutional, MaxPool, Reorg
from headstart.sources.formats import darknet as weights_file
from headstart.sources.formats.darknet import Header, floats, read, stored, write

HEADERS = (Header(0, 2, 0, 32_013_312), Header(0, 2, 5, 2**40), Header(0, 1, 0, 7), Header(1, 1001, 0, 9))


def section(kind: str, options: str = "") -> str:
    return "\n".join([f"[{kind}]", *options.split(), ""])


def conv(filters: int, size: int = 3, more: str = "") -> str:
    return section("convolutional", f"filters={filters} size={size} stride=1 pad=1 activation=leaky {more}")


def cfg(*sections: str, side: int = 32, channels: int = 3) -> str:
    return "\n".join([section("net", f"width={side} height={side} channels={channels}"), *sections])


POOL = section("maxpool", "size=2 stride=2")
YOLO = section("yolo", "mask=0,1,2 anchors=10,14,23,27,37,58 classes=2 num=3")
SOFTMAX = section("softmax", "groups=1")
FOUND = conv(21, 1, "activation=linear")  # what a yolo layer decodes: 3 anchors x (4 + 1 + 2 classes)
TWO_HEADS = cfg(
    conv(8, more="batch_normalize=1"), POOL, conv(12, more="batch_normalize=1"), POOL,
    conv(16, 1, "batch_normalize=1"),  # 4: the trunk ends here
    conv(20), FOUND, YOLO,
    section("route", "layers=-4"), section("upsample", "stride=2"), section("route", "layers=-1,2"), FOUND, YOLO,
)  # fmt: skip
CLASSIFIER = cfg(  # in the manner of VGG-19
    conv(8, more="activation=relu"), conv(8, more="activation=relu"), POOL, conv(12, more="activation=relu"), POOL,
    section("connected", "output=20 activation=relu"), section("dropout", "probability=0.5"),
    section("connected", "output=10 activation=linear"), SOFTMAX, section("cost"),
)  # fmt: skip
SMALL = cfg(conv(6, more="batch_normalize=1"), POOL, conv(5, 1), section("avgpool"), SOFTMAX)


def filled(text: str, seed: int = 0, layers: int | None = None) -> Darknet:
    """A net with random weights whose outputs neither vanish nor explode."""
    torch.manual_seed(seed)
    net = build(text, layers).eval()
    with torch.no_grad():
        for _, tensors in stored(net):
            for tensor in tensors:
                tensor.uniform_(0.5, 1.5) if tensor.ndim == 1 else tensor.normal_(0, 0.1)
    return net


def on_disk(folder: Path, text: str, net: Darknet, header: Header = HEADERS[0], name: str = "net") -> tuple[Path, Path]:
    places = folder / f"{name}.cfg", folder / f"{name}.weights"
    places[0].write_text(text)
    places[1].write_bytes(write(net, header))
    return places


def pictures(net: Darknet, count: int = 2) -> Tensor:
    return torch.rand(count, net.size.channels, net.size.height, net.size.width)


# --- files of weights

BLOCKS = st.one_of(
    st.builds(
        lambda filters, size, norm, groups, activation: conv(
            4 * filters, size, f"batch_normalize={norm} groups={groups} activation={activation}"
        ),
        st.integers(1, 3), st.sampled_from([1, 3]), st.integers(0, 1), st.sampled_from([1, 2, 4]),
        st.sampled_from(sorted(ACTIVATIONS)),
    ),
    st.sampled_from([
        POOL, section("maxpool", "size=2 stride=1"), section("maxpool", "size=3 stride=2"),
        section("upsample", "stride=2"),
        section("route", "layers=-1 groups=2 group_id=1") + section("route", "layers=-1,-2") + conv(4, 1),
        section("route", "layers=0") + section("convolutional", "filters=4 size=3 stride=2 padding=1"),
        conv(8) + conv(8) + section("shortcut", "from=-2 activation=leaky"),
    ]),
)  # fmt: skip
ENDINGS = st.sampled_from(
    [
        "",
        FOUND + YOLO,
        FOUND + section("region", "classes=2 num=3"),
        conv(9, 1, "activation=linear") + section("avgpool") + SOFTMAX,
        section("connected", "output=6 batch_normalize=1 activation=leaky")
        + section("dropout", "probability=0.4")
        + section("connected", "output=5 activation=linear")
        + SOFTMAX,
    ]
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(blocks=st.lists(BLOCKS, max_size=4), ending=ENDINGS, header=st.sampled_from(HEADERS), seed=st.integers(0, 99))
def test_any_file_comes_back_to_the_byte(
    tmp_path: Path, blocks: list[str], ending: str, header: Header, seed: int
) -> None:
    text = cfg(conv(8, more="batch_normalize=1"), *blocks, conv(4, 1), ending, side=16)
    net = filled(text, seed)
    before = write(net, header)
    (tmp_path / "any.weights").write_bytes(before)
    again = build(text).eval()
    assert read(tmp_path / "any.weights", again) == header
    assert write(again, header) == before
    assert len(before) == struct.calcsize(header.layout) + 4 * floats(again)
    images = pictures(net)
    with torch.inference_mode():
        for mine, theirs in zip(again.raw(images), net.raw(images), strict=True):
            assert torch.equal(mine, theirs)


def test_the_layout_is_darknets_own() -> None:
    """Written out by hand: biases, scales, means, variances, weights; weights before the norm where connected."""
    net = filled(cfg(conv(2, 1, "batch_normalize=1"), section("connected", "output=2 batch_normalize=1"), side=1))
    first, second = net.layers
    assert isinstance(first, Convolutional)
    assert isinstance(second, Connected)
    a, b = first.norm, second.norm
    assert isinstance(a, nn.BatchNorm2d)
    assert isinstance(b, nn.BatchNorm1d)
    parts = [a.bias, a.weight, a.running_mean, a.running_var, first.conv.weight]
    parts += [b.bias, second.linear.weight, b.weight, b.running_mean, b.running_var]
    body = b"".join(np.asarray(p.detach()).astype("<f4").tobytes() for p in parts if p is not None)
    assert write(net, Header(0, 2, 0, 5)) == struct.pack("<iiiQ", 0, 2, 0, 5) + body
    assert write(net, Header(0, 1, 9, 5)) == struct.pack("<iiiI", 0, 1, 9, 5) + body


def test_transposed_files_hold_connected_weights_the_other_way_round(tmp_path: Path) -> None:
    net = filled(CLASSIFIER)
    straight, turned = write(net, Header(0, 1, 0, 3)), write(net, Header(1001, 0, 0, 3))
    assert len(straight) == len(turned)
    assert straight[16:] != turned[16:]
    (tmp_path / "old.weights").write_bytes(turned)
    again = build(CLASSIFIER).eval()
    assert read(tmp_path / "old.weights", again).transposed
    images = pictures(net)
    assert torch.equal(again(images), net(images))


def test_memory_format_does_not_change_the_file() -> None:
    net = filled(SMALL)
    before = write(net, HEADERS[0])
    assert write(net.to(memory_format=torch.channels_last), HEADERS[0]) == before  # type: ignore[call-overload]


def test_a_changed_weight_changes_the_file() -> None:
    net = filled(TWO_HEADS)
    before = write(net, HEADERS[0])
    _, (biases, _) = list(stored(net))[-2]  # of the last head, which is kept although it is not transferred
    biases.data[0] += 1
    assert write(net, HEADERS[0]) != before


# --- wrong files of weights


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-4], r"expected 200 floats in net.weights, got 199 floats\nGive the .cfg that"),
        (lambda data: data[:-1], r"expected 200 floats in net.weights, got 199 floats and 3 bytes\nGive the .cfg that"),
        (lambda data: data + b"\0" * 8, r"expected 200 floats in net.weights, got 202 floats\nGive the .cfg that"),
        (lambda data: data[: 20 + 4 * 186 + 2], r"got 186 floats and 2 bytes\nGive the .cfg that"),
        (lambda data: data[:10], r"which begins with a version, got 10 bytes\nGive the .weights"),
        (lambda data: data[:17], r"which begins with a version, got 17 bytes"),
        (lambda data: b"PK\x03\x04" + data[4:], r"which begins with a version, got \(67324752, 2, 0\)"),
        (lambda data: b"\xff\xff\xff\xff" + data[4:], r"which begins with a version, got \(-1, 2, 0\)"),
    ],
)
def test_files_that_do_not_fit(change: object, message: str, tmp_path: Path) -> None:
    assert callable(change)
    net = filled(cfg(conv(6, more="batch_normalize=1"), POOL, conv(2, 1, "activation=linear"), SOFTMAX))
    _, path = on_disk(tmp_path, SMALL, net)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match=message) as raised:
        read(path, net)
    assert len(str(raised.value).splitlines()) == 2


def test_a_file_that_ends_where_a_layer_does_may_be_meant_to(tmp_path: Path) -> None:
    net = filled(TWO_HEADS)
    part = filled(TWO_HEADS, layers=3)
    path = tmp_path / "net.weights"
    path.write_bytes(write(part, HEADERS[0]))
    with pytest.raises(UserError, match=r"name them NAME.conv.3 to take only the first 3 layers"):
        read(path, net)
    assert read(path, build(TWO_HEADS, 3)) == HEADERS[0]
    assert read(path, build(TWO_HEADS, 4)) == HEADERS[0]  # a pool more, which holds nothing
    with pytest.raises(UserError, match="expected "):
        read(path, build(TWO_HEADS, 2))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite(value: float, tmp_path: Path) -> None:
    net = filled(TWO_HEADS)
    list(stored(net))[4][1][-1].data.view(-1)[3] = value
    _, path = on_disk(tmp_path, TWO_HEADS, net)
    with pytest.raises(UserError, match=r"finite weights in layer 4 \(convolutional\) of net.weights, got NaN or inf"):
        read(path, net)


# --- layers against slow references


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (2, 1), (3, 1), (3, 2), (5, 1), (13, 1)])
@pytest.mark.parametrize("side", [13, 16])
def test_maxpool_as_darknet_loops(size: int, stride: int, side: int) -> None:
    maps = torch.randn(1, 2, side, side)
    padding = size - 1
    out = (side + padding - size) // stride + 1
    wanted = torch.empty(1, 2, out, out)
    for i in range(out):
        for j in range(out):
            top, left = i * stride - padding // 2, j * stride - padding // 2
            window = maps[:, :, max(0, top) : top + size, max(0, left) : left + size]
            wanted[:, :, i, j] = window.amax(dim=(2, 3))
    assert torch.equal(MaxPool(size, stride, padding)(maps), wanted)


def test_reorg_as_darknet_loops() -> None:
    c, h, w, s = 8, 4, 6, 2
    flat = torch.randn(c * h * w)
    wanted = torch.empty(c * h * w)
    for k in range(c):
        for j in range(h):
            for i in range(w):
                channel, offset = k % (c // s**2), k // (c // s**2)
                x, y = i * s + offset % s, j * s + offset // s
                wanted[i + w * (j + h * k)] = flat[x + w * s * (y + h * s * channel)]
    found = Reorg(s)(flat.view(1, c, h, w))
    assert found.shape == (1, c * s * s, h // s, w // s)
    assert torch.equal(found.flatten(), wanted)


def test_activations_at_a_few_points() -> None:
    x = torch.tensor([-2.0, 0.5], dtype=torch.float64)
    sigmoid = 1 / (1 + torch.exp(-x))
    wanted = {
        "leaky": torch.tensor([-0.2, 0.5]), "linear": x, "relu": torch.tensor([0.0, 0.5]), "logistic": sigmoid,
        "mish": x * torch.tanh(torch.log1p(torch.exp(x))), "swish": x * sigmoid, "silu": x * sigmoid,
    }  # fmt: skip
    assert wanted.keys() == ACTIVATIONS.keys()
    for name, values in wanted.items():
        torch.testing.assert_close(ACTIVATIONS[name]()(x), values.double())


def test_batch_norm_uses_what_was_stored() -> None:
    net = filled(cfg(conv(2, 1, "batch_normalize=1 activation=linear"), side=4))
    (layer,) = net.layers
    assert isinstance(layer, Convolutional)
    norm = layer.norm
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    images = pictures(net)
    plain = layer.conv(images).permute(0, 2, 3, 1)
    wanted = norm.weight * (plain - norm.running_mean) / (norm.running_var + 1e-6).sqrt() + norm.bias
    torch.testing.assert_close(net(images), wanted.permute(0, 3, 1, 2))


def test_routes_and_shortcuts_read_the_layers_that_they_name() -> None:
    add = section("shortcut", "from=-2 activation=linear")
    text = cfg(
        conv(4), conv(4), add, section("route", "layers=0,-1"), section("route", "layers=-1 groups=2 group_id=1")
    )
    net, images = filled(text), pictures(filled(text))
    first = net.layers[0](images)
    second = net.layers[1](first)
    torch.testing.assert_close(net(images), first + second)  # the second half of (first, sum)


# --- the trunk and its head


def test_the_trunk_of_a_detector_is_what_its_heads_share() -> None:
    net = filled(TWO_HEADS)
    assert len(net.layers) == 5
    assert net(pictures(net)).shape == (2, 16, 8, 8)
    assert [maps.shape for maps in net.raw(pictures(net))] == [(2, 21, 8, 8), (2, 21, 16, 16)]
    assert net.get_classifier() is net.head
    images = pictures(net)
    before = net(images)
    net.reset_classifier(0)
    assert net.get_classifier() is None
    assert torch.equal(net(images), before)
    assert torch.equal(net.raw(images)[0], before)


def test_the_trunk_of_a_classifier_is_what_its_last_weights_get() -> None:
    net, images = filled(CLASSIFIER), pictures(filled(CLASSIFIER))
    linear = net.get_classifier()
    assert isinstance(linear, nn.Linear)
    probabilities = net(images)
    assert probabilities.shape == (2, 10)
    net.reset_classifier(0)
    features = net(images)
    assert features.shape == (2, 20, 1, 1)
    torch.testing.assert_close(linear(features.flatten(1)).softmax(1), probabilities)


def test_a_convolutional_classifier_is_a_head_too() -> None:
    net = filled(SMALL)
    assert net.get_classifier() is net.head
    net.reset_classifier(0)
    assert net(pictures(net)).shape == (2, 6, 16, 16)


def test_connected_weights_on_maps_are_no_classifier_of_pooled_features() -> None:
    net = filled(cfg(conv(6), POOL, section("connected", "output=4 activation=linear"), SOFTMAX))
    assert net.get_classifier() is net.head


def test_a_new_classifier_sits_on_the_mean_of_the_maps() -> None:
    net, images = filled(TWO_HEADS), pictures(filled(TWO_HEADS))
    maps = net(images)
    net.reset_classifier(7)
    linear = net.get_classifier()
    assert isinstance(linear, nn.Linear)
    torch.testing.assert_close(net(images), linear(maps.mean(dim=(2, 3))))
    assert floats(net) == sum(t.numel() for _, ts in stored(net) for t in ts) > linear.weight.numel()


def test_parameters_are_ordered_by_layer_and_the_head_comes_last() -> None:
    net = filled(TWO_HEADS)
    place = net.group_matcher(coarse=True)
    places = [place(name) for name, _ in net.named_parameters()]
    assert places == sorted(places)
    assert set(places) == {0, 2, 4, 5}


# --- wrong cfgs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"whose first section is \[net\], got no section at all"),
        (conv(3), r"whose first section is \[net\], got \[convolutional\]"),
        ("width=3\n" + cfg(conv(3)), r"\[section\] or key=value lines after \[net\] in the cfg, got line 1: 'width=3'"),
        (cfg(conv(3)) + "\nnonsense\n", r"got line \d+: 'nonsense'"),
        (cfg(), r"at least 1 layers in \[net\] at line 1 of the cfg, got 0"),
        (cfg(section("convolutionel", "filters=3")), r"a known kind of layer in .*Did you mean convolutional\?"),
        (cfg(section("lstm")), r"a known kind of layer in \[lstm\] at line 6 of the cfg, got 'lstm'"),
        (cfg(conv(3, more="activation=leeky")), r"a known activation in .* got 'leeky' \(Did you mean leaky\?\)"),
        (cfg(conv(3, more="stride=x")), r"stride as a whole number from 1 to 65536 in .* got 'x'"),
        (cfg(conv(0)), r"filters as a whole number from 1 to 65536 in .* got '0'"),
        (cfg(conv(60_000, 1), conv(60_000, 1)), r"at most 500000000 weights in .* got 3600000000"),
        (cfg(conv(3, more="groups=2")), r"channels and filters that the groups divide in .* got 3, 3 and 2"),
        (cfg(conv(3, more="binary=1")), r"options that this reader builds in .* got binary=1"),
        (cfg(conv(3, more="dilation=2")), r"options that this reader builds in .* got dilation=2"),
        (cfg(section("convolutional", "filters=3 size=99")), r"maps of at least one pixel in .* got Shape\("),
        (cfg(conv(3), section("route", "layers=5")), r"layers between 0 and 0, or as many back in .* got 5"),
        (cfg(conv(3), section("route")), r"layers as a whole number from .* in \[route\] .* got ''"),
        (cfg(conv(3), POOL, section("route", "layers=0,1")), r"maps of one size, .* in \[route\]"),
        (cfg(conv(3), conv(4), section("shortcut", "from=-2")), r"maps of one shape in \[shortcut\]"),
        (cfg(conv(6), section("reorg", "stride=2")), r"a stride that divides the maps in \[reorg\] .* got 2 for"),
        (cfg(conv(6), section("softmax", "groups=2")), r"one group of classes in \[softmax\] .* got 2"),
        (cfg(conv(6), section("dropout", "probability=2")), r"probability as a number from 0.0 to 1.0 in .* got '2'"),
        (cfg(conv(6), section("dropout", "probability=nan")), r"probability as a number from 0.0 to 1.0 .* got 'nan'"),
        (cfg(POOL, YOLO), r"layers with weights before the head in \[net\]"),
        (cfg(FOUND, YOLO), r"layers with weights before the head in \[net\]"),
    ],
)
def test_a_wrong_cfg_is_named_by_section_and_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        build(text)
    assert len(str(raised.value).splitlines()) == 2


def test_blanks_comments_case_and_short_names_do_not_matter() -> None:
    text = "# made by hand\n[Network]\n width = 8 # pixels\n;\nheight=8\n\n[conv]\nfilters= 3\nactivation = linear\n"
    net, only = parse(text)
    assert (net.kind, net.options) == ("net", {"width": "8", "height": "8"})
    assert (only.kind, only.options, only.line) == ("convolutional", {"filters": "3", "activation": "linear"}, 7)


def test_every_layer_of_the_table_is_tried_here() -> None:
    tried = (TWO_HEADS + CLASSIFIER + SMALL + section("region") + section("reorg") + section("shortcut")).lower()
    missing = [kind for kind in darknet_layers.LAYERS if f"[{kind}]" not in tried and kind != "detection"]
    assert not missing
    assert set(weights_file.ORDERS) == {Convolutional, Connected}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (cfg(conv(4), side=65_536), r"maps of at most 100,000,000 numbers in \[net\]"),
        (cfg(conv(8), section("upsample", "stride=6000")), r"maps of at most .* in \[upsample\]"),
        (cfg(conv(4), conv(65_536), conv(700), conv(4)), r"at most 1,000,000 weights"),
    ],
)
def test_a_cfg_that_would_fill_the_memory_is_refused(text: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each layer alone may be small enough."""
    monkeypatch.setattr(nets, "MOST", 1_000_000)
    with pytest.raises(UserError, match=says):
        build(text)
