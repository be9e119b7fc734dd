"""ResNet50, ResNet101 and ResNet152 of Keras (the first version), whose convolutions have biases."""

from collections.abc import Iterator

from torch import Tensor, nn

from headstart.sources.mappings.keras import CONV, NORM, Arrays, Row, biases_in_norms, children, converted


def resnet(names: Arrays, model: nn.Module) -> dict[str, Tensor]:
    """A bottleneck ResNet; each bias is taken over by the norm behind it."""
    return converted(biases_in_norms(names), model, tuple(_rows(model)))


def _rows(model: nn.Module) -> Iterator[Row]:
    yield from _pair("conv1", "conv1", "bn1")
    for stage in (1, 2, 3, 4):
        for number, (block, module) in enumerate(children(model, f"layer{stage}"), start=1):
            layer = f"conv{stage + 1}_block{number}"
            for at in (1, 2, 3):
                yield from _pair(f"{layer}_{at}", f"{block}.conv{at}", f"{block}.bn{at}")
            if "downsample" in dict(module.named_children()):
                yield from _pair(f"{layer}_0", f"{block}.downsample.0", f"{block}.downsample.1")


def _pair(layer: str, convolution: str, norm: str) -> Iterator[Row]:
    yield Row(f"{layer}_conv", convolution, CONV)
    yield Row(f"{layer}_bn", norm, NORM)
