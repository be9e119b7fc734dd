"""DenseNet121, DenseNet169 and DenseNet201 of Keras."""

from collections.abc import Iterator

from torch import Tensor, nn

from headstart.sources.mappings.keras import CONV, NORM, Arrays, Row, children, converted, slashless


def densenet(names: Arrays, model: nn.Module) -> dict[str, Tensor]:
    """A DenseNet; what is new stands last in its maps in both libraries."""
    return converted(slashless(names), model, tuple(_rows(model)))


def _rows(model: nn.Module) -> Iterator[Row]:
    yield Row("conv1_conv", "features.conv0", CONV)
    yield Row("conv1_bn", "features.norm0", NORM)
    for block in (1, 2, 3, 4):
        for number, (name, _) in enumerate(children(model, f"features.denseblock{block}"), start=1):
            layer = f"conv{block + 1}_block{number}"
            yield Row(f"{layer}_0_bn", f"{name}.norm1", NORM)
            yield Row(f"{layer}_1_conv", f"{name}.conv1", CONV)
            yield Row(f"{layer}_1_bn", f"{name}.norm2", NORM)
            yield Row(f"{layer}_2_conv", f"{name}.conv2", CONV)
    for number in (1, 2, 3):
        yield Row(f"pool{number + 1}_bn", f"features.transition{number}.norm", NORM)
        yield Row(f"pool{number + 1}_conv", f"features.transition{number}.conv", CONV)
    yield Row("bn", "features.norm5", NORM)
