"""VGG16 and VGG19 of Keras, with their dense layers or without."""

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from headstart.sources.mappings.keras import BIAS, CONV, Arrays, Part, Row, children, converted

MAPS = 7  # side of what is flattened: 224 / 2**5


def _flattened(values: NDArray[Any]) -> NDArray[Any]:
    """Keras flattens (height, width, channel); as a convolution over all positions the order is said, not implied."""
    return values.reshape(MAPS, MAPS, -1, values.shape[1]).transpose(3, 2, 0, 1)


def _pointwise(values: NDArray[Any]) -> NDArray[Any]:
    return values.transpose(1, 0)[:, :, None, None]


DENSE_TRUNK = (
    Row("fc1", "pre_logits.fc1", (Part("kernel", "weight", _flattened), BIAS)),
    Row("fc2", "pre_logits.fc2", (Part("kernel", "weight", _pointwise), BIAS)),
)


def vgg(names: Arrays, model: nn.Module) -> dict[str, Tensor]:
    """VGG16 or VGG19; a net whose `pre_logits` has no parameters takes the convolutions only."""
    top = bool([*model.get_submodule("pre_logits").parameters()])
    return converted(names, model, (*_convolutions(model), *(DENSE_TRUNK if top else ())))


def hed(names: Arrays, model: nn.Module) -> dict[str, Tensor]:
    """VGG16 in the edge detector HED (https://arxiv.org/abs/1504.06375); its side outputs are left out."""
    side = tuple(f"conv2d{number}/" for number in ("", "_1", "_2", "_3", "_4", "_5"))
    return vgg({name: values for name, values in names.items() if not name.startswith(side)}, model)


def _convolutions(model: nn.Module) -> Iterator[Row]:
    block, number = 1, 0
    for name, module in children(model, "features"):
        if isinstance(module, nn.MaxPool2d):
            block, number = block + 1, 0
        if isinstance(module, nn.Conv2d):
            number += 1
            yield Row(f"block{block}_conv{number}", name, (*CONV, BIAS))
