"""Files as Keras writes them, made with h5py alone: names and shapes of layers as its releases have them."""

import io
import itertools
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")
Shapes = dict[str, tuple[int, ...]]


def conv(name: str, side: int, wide: int, out: int, *, bias: bool = False) -> Shapes:
    return {f"{name}/kernel": (side, side, wide, out)} | ({f"{name}/bias": (out,)} if bias else {})


def depthwise(name: str, side: int, wide: int) -> Shapes:
    return {f"{name}/depthwise_kernel": (side, side, wide, 1)}


def norm(name: str, wide: int) -> Shapes:
    return {f"{name}/{kind}": (wide,) for kind in ("gamma", "beta", "moving_mean", "moving_variance")}


def dense(name: str, wide: int, out: int) -> Shapes:
    return {f"{name}/kernel": (wide, out), f"{name}/bias": (out,)}


def vgg(blocks: tuple[int, ...]) -> Shapes:
    found, wide = {}, 3
    for block, (count, out) in enumerate(zip(blocks, (64, 128, 256, 512, 512), strict=True), start=1):
        for number in range(1, count + 1):
            found |= conv(f"block{block}_conv{number}", 3, wide, out, bias=True)
            wide = out
    return found


def xception() -> Shapes:
    found = conv("block1_conv1", 3, 3, 32) | norm("block1_conv1_bn", 32)
    found |= conv("block1_conv2", 3, 32, 64) | norm("block1_conv2_bn", 64)
    widths = {2: (64, 128, 128), 3: (128, 256, 256), 4: (256, 728, 728), 13: (728, 728, 1024), 14: (1024, 1536, 2048)}
    for block in range(2, 15):
        steps = widths.get(block, (728, 728, 728, 728))
        for number, (wide, out) in enumerate(itertools.pairwise(steps), start=1):
            name = f"block{block}_sepconv{number}"
            found |= (
                depthwise(name, 3, wide) | {f"{name}/pointwise_kernel": (1, 1, wide, out)} | norm(f"{name}_bn", out)
            )
    for number, (wide, out) in enumerate(((64, 128), (128, 256), (256, 728), (728, 1024)), start=7):
        found |= conv(f"conv2d_{number}", 1, wide, out) | norm(f"batch_normalization_{number}", out)
    return found


def resnet(blocks: tuple[int, ...]) -> Shapes:
    found, wide = conv("conv1_conv", 7, 3, 64, bias=True) | norm("conv1_bn", 64), 64
    for stage, count in enumerate(blocks, start=2):
        inner = 16 * 2**stage
        for block in range(1, count + 1):
            name = f"conv{stage}_block{block}"
            steps = [(1, 1, wide, inner), (2, 3, inner, inner), (3, 1, inner, 4 * inner)]
            for number, side, in_, out in steps + ([(0, 1, wide, 4 * inner)] if block == 1 else []):
                found |= conv(f"{name}_{number}_conv", side, in_, out, bias=True) | norm(f"{name}_{number}_bn", out)
            wide = 4 * inner
    return found


def densenet(blocks: tuple[int, ...]) -> Shapes:
    """Under the names of Keras 2, with a slash in the first layers'."""
    found, wide = conv("conv1/conv", 7, 3, 64) | norm("conv1/bn", 64), 64
    for stage, count in enumerate(blocks, start=2):
        for block in range(1, count + 1):
            name = f"conv{stage}_block{block}"
            found |= norm(f"{name}_0_bn", wide) | conv(f"{name}_1_conv", 1, wide, 128)
            found |= norm(f"{name}_1_bn", 128) | conv(f"{name}_2_conv", 3, 128, 32)
            wide += 32
        if stage < 5:
            found |= norm(f"pool{stage}_bn", wide) | conv(f"pool{stage}_conv", 1, wide, wide // 2)
            wide //= 2
    return found | norm("bn", wide)


def mobilenet_v2() -> Shapes:
    found, wide, number = conv("Conv1", 3, 3, 32) | norm("bn_Conv1", 32), 32, 0
    steps = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))
    for times, out in ((times, out) for times, out, count in steps for _ in range(count)):
        name, inner = f"block_{number}" if number else "expanded_conv", times * wide
        if times > 1:
            found |= conv(f"{name}_expand", 1, wide, inner) | norm(f"{name}_expand_BN", inner)
        found |= depthwise(f"{name}_depthwise", 3, inner) | norm(f"{name}_depthwise_BN", inner)
        found |= conv(f"{name}_project", 1, inner, out) | norm(f"{name}_project_BN", out)
        wide, number = out, number + 1
    return found | conv("Conv_1", 1, 320, 1280) | norm("Conv_1_bn", 1280)


def efficientnet_b0() -> Shapes:
    found: Shapes = {"normalization/mean": (3,), "normalization/variance": (3,), "normalization/count": ()}
    found |= conv("stem_conv", 3, 3, 32) | norm("stem_bn", 32)
    wide = 32
    for name, side, times, out in efficient_blocks():
        inner = times * wide
        if times > 1:
            found |= conv(f"{name}expand_conv", 1, wide, inner) | norm(f"{name}expand_bn", inner)
        found |= depthwise(f"{name}dwconv", side, inner) | norm(f"{name}bn", inner)
        found |= conv(f"{name}se_reduce", 1, inner, wide // 4, bias=True)
        found |= conv(f"{name}se_expand", 1, wide // 4, inner, bias=True)
        found |= conv(f"{name}project_conv", 1, inner, out) | norm(f"{name}project_bn", out)
        wide = out
    return found | conv("top_conv", 1, 320, 1280) | norm("top_bn", 1280)


def efficient_blocks() -> Iterator[tuple[str, int, int, int]]:
    steps = ((3, 1, 16, 1), (3, 6, 24, 2), (5, 6, 40, 2), (3, 6, 80, 3), (5, 6, 112, 3), (5, 6, 192, 4), (3, 6, 320, 1))
    for stage, (side, times, out, count) in enumerate(steps, start=1):
        yield from ((f"block{stage}{letter}_", side, times, out) for letter in "abcd"[:count])


# ours -> every layer of the trunk, how wide its features are
TRUNKS = {
    "vgg19": (vgg((2, 2, 4, 4, 4)), 512),
    "xception": (xception(), 2048),
    "resnet50": (resnet((3, 4, 6, 3)), 2048),
    "densenet121": (densenet((6, 12, 24, 16)), 1024),
    "mobilenetv2": (mobilenet_v2(), 1280),
    "efficientnetb0": (efficientnet_b0(), 1280),
}


def drawn(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Random weights of a size that lets pictures through; variances are positive."""
    rng = np.random.default_rng(0)
    found: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        deep = name.endswith("depthwise_kernel")
        fan_in = np.prod(shape[:2] if deep else shape[:-1]) if len(shape) > 1 else 100
        found[name] = np.float32(np.sqrt(2 / fan_in)) * rng.standard_normal(shape, dtype=np.float32)
        if name.endswith(("variance", "gamma")):
            found[name] = np.abs(found[name]) + np.float32(1)
    return found


def write_h5(path: Path, weights: Mapping[str, np.ndarray], *, inner: str = "") -> Path:
    """As Keras 2 does; the layers named in `inner` stand in a model of that name."""
    with h5py.File(path, "w") as file:
        layers = list(dict.fromkeys(inner or name.rpartition("/")[0] for name in weights))
        file.attrs["layer_names"] = [layer.encode() for layer in layers]
        for name, values in weights.items():
            layer = name.rpartition("/")[0]
            file[f"{inner or layer}/{name}:0"] = values
    return path


def write_keras_1(path: Path, weights: Mapping[str, np.ndarray]) -> Path:
    """As the released VGG files are."""
    old = {"kernel": "W", "bias": "b"}
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.rpartition("/")[0].encode() for name in weights]
        for name, values in weights.items():
            layer, _, weight = name.rpartition("/")
            file[f"{layer}/{layer}_{old[weight]}_1:0"] = values
    return path


CLASSES = {  # the weights of a layer -> its class and how Keras 3 calls that in a path
    ("kernel",): ("Conv2D", "conv2d"),
    ("kernel", "bias"): ("Dense", "dense"),
    ("depthwise_kernel",): ("DepthwiseConv2D", "depthwise_conv2d"),
    ("depthwise_kernel", "pointwise_kernel"): ("SeparableConv2D", "separable_conv2d"),
    ("gamma", "beta", "moving_mean", "moving_variance"): ("BatchNormalization", "batch_normalization"),
}


def write_keras(path: Path, weights: Mapping[str, np.ndarray], more: Mapping[str, bytes] | None = None) -> Path:
    """As the first Keras 3 does, without names beside the variables; `more` members stand before its own."""
    of_layer: dict[str, dict[str, np.ndarray]] = {}
    for name, values in weights.items():
        layer, _, weight = name.rpartition("/")
        of_layer.setdefault(layer, {})[weight] = values
    config: list[dict[str, object]] = [{"class_name": "InputLayer", "config": {"name": "input_layer"}}]
    seen: dict[str, int] = {}
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        for layer, variables in of_layer.items():
            kind, snake = CLASSES[tuple(variables)]
            number = seen[snake] = seen.get(snake, -1) + 1
            config.append({"class_name": kind, "config": {"name": layer}})
            for at, values in enumerate(variables.values()):
                file[f"layers/{snake}{f'_{number}' if number else ''}/vars/{at}"] = values
        file["optimizer/vars/0"] = np.float32(np.nan)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (more or {}).items():
            archive.writestr(name, content)
        archive.writestr("config.json", json.dumps({"class_name": "Functional", "config": {"layers": config}}))
        archive.writestr("model.weights.h5", data.getvalue())
    return path
