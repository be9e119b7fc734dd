"""The layers of Darknet as torch modules, built from sections of a cfg: one function a kind, all in `LAYERS`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.nets.darknet_cfg import Section, known

EPSILON = 1e-6  # of batch norm; see tests/unit/test_darknet.py: with 1e-5 the outputs of YOLOv3-tiny are off
LARGEST_SCALE = 1e6  # of an upsampling
MOST = 500_000_000  # weights in a layer, and in a net; VGG's largest layer has 102,760,448
LARGEST_MAPS = 100_000_000  # numbers; YOLOv4's largest for 608 x 608 pixels have 11,829,248

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "leaky": lambda: nn.LeakyReLU(0.1),
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "logistic": nn.Sigmoid,
    "mish": nn.Mish,
    "swish": nn.SiLU,
    "silu": nn.SiLU,
}
# Options of Darknet and its forks that change what a layer computes or stores: only these values are built.
NEUTRAL: Mapping[str, str] = {
    **dict.fromkeys(("binary", "xnor", "flipped", "antialiasing", "share_index", "sway", "rotate", "stretch"), "0"),
    **dict.fromkeys(("stretch_sway", "deform", "assisted_excitation", "reverse", "maxpool_depth", "spatial"), "0"),
    **dict.fromkeys(("dontload", "dontloadscales", "dropblock"), "0"),
    **dict.fromkeys(("dilation", "temperature"), "1"),
    **dict.fromkeys(("stride_x", "stride_y", "tree"), ""),
    "weights_type": "none",
}


@dataclass(frozen=True)
class Shape:
    """Of one example between two layers."""

    channels: int
    height: int
    width: int

    @property
    def pixels(self) -> int:
        """Of one channel."""
        return self.height * self.width


Built = tuple[nn.Module, Shape]


class Convolutional(nn.Module):
    """Convolution, batch norm if the cfg says so, activation."""

    def __init__(self, conv: nn.Conv2d, activation: nn.Module, *, normalise: bool) -> None:
        super().__init__()
        self.conv = conv
        # torch's pace of the running statistics, not Darknet's 0.01: fine-tuning has few steps
        self.norm = nn.BatchNorm2d(conv.out_channels, eps=EPSILON) if normalise else nn.Identity()
        self.activation = activation

    def forward(self, maps: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, filters, h', w')."""
        return self.activation(self.norm(self.conv(maps)))


class Connected(nn.Module):
    """A fully connected layer over everything that comes in; its output counts as maps of one pixel."""

    def __init__(self, linear: nn.Linear, activation: nn.Module, *, normalise: bool) -> None:
        super().__init__()
        self.linear = linear
        self.norm = nn.BatchNorm1d(linear.out_features, eps=EPSILON) if normalise else nn.Identity()
        self.activation = activation

    def forward(self, maps: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, output, 1, 1)."""
        return self.activation(self.norm(self.linear(maps.flatten(1))))[:, :, None, None]


class MaxPool(nn.Module):
    """Maximum over windows. Darknet pads `padding // 2` before and what the last window needs behind, never more."""

    def __init__(self, size: int, stride: int, padding: int) -> None:
        super().__init__()
        self.size, self.stride, self.padding = size, stride, padding

    def sides(self, length: int) -> tuple[int, int, int]:
        """(padding before, padding behind, length of the output) of one axis."""
        out = (length + self.padding - self.size) // self.stride + 1
        before = self.padding // 2
        return before, max(0, (out - 1) * self.stride + self.size - length - before), out

    def forward(self, maps: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, C, h', w')."""
        top, bottom, _ = self.sides(maps.shape[2])
        left, right, _ = self.sides(maps.shape[3])
        if top or bottom or left or right:
            maps = functional.pad(maps, (left, right, top, bottom), value=-torch.inf)  # never the maximum
        return functional.max_pool2d(maps, self.size, self.stride)


class AveragePool(nn.Module):
    """The mean of each map."""

    def forward(self, maps: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, C, 1, 1)."""
        return maps.mean(dim=(2, 3), keepdim=True)


class Route(nn.Module):
    """Earlier maps side by side, or one group of their channels each."""

    def __init__(self, groups: int, group: int) -> None:
        super().__init__()
        self.groups, self.group = groups, group

    def forward(self, *maps: Tensor) -> Tensor:
        """Several (n, C, h, w) -> (n, sum of C / groups, h, w)."""
        return torch.cat([one.chunk(self.groups, dim=1)[self.group] for one in maps], dim=1)


class Shortcut(nn.Module):
    """The sum of earlier maps."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, *maps: Tensor) -> Tensor:
        """Several (n, C, h, w) -> (n, C, h, w)."""
        return self.activation(torch.stack(maps).sum(0))


class Upsample(nn.Module):
    """Each pixel `stride` times along both axes, scaled."""

    def __init__(self, stride: int, scale: float) -> None:
        super().__init__()
        self.stride, self.scale = stride, scale

    def forward(self, maps: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, C, h * stride, w * stride)."""
        return self.scale * functional.interpolate(maps, scale_factor=self.stride, mode="nearest")


class Reorg(nn.Module):
    """Space to depth in Darknet's order of memory, which reads the maps as if they had C / stride^2 channels."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, maps: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, C * stride^2, h / stride, w / stride)."""
        (n, c, h, w), s = maps.shape, self.stride
        split = maps.reshape(n, c // (s * s), h, s, w, s)
        return split.permute(0, 3, 5, 1, 2, 4).reshape(n, c * s * s, h // s, w // s)


class Softmax(nn.Module):
    """Probabilities over all that comes in."""

    def forward(self, maps: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, C, h, w)."""
        return maps.flatten(1).softmax(1).view_as(maps)


class Raw(nn.Identity):
    """Where a detection head begins: its raw maps pass as they are, for a decoder or a loss."""


def _activation(section: Section, default: str) -> nn.Module:
    name = section.word("activation", default)
    return ACTIVATIONS[known(section, name, "activation", ACTIVATIONS)]()


def _convolutional(section: Section, inputs: tuple[Shape, ...]) -> Built:
    (shape,) = inputs
    filters, size, stride = (section.integer(key, 1) for key in ("filters", "size", "stride"))
    groups = section.integer("groups", 1)
    padding = size // 2 if section.integer("pad", 0, low=0) else section.integer("padding", 0, low=0)
    if shape.channels % groups or filters % groups:
        section.refuse("channels and filters that the groups divide", f"{shape.channels}, {filters} and {groups}")
    _check_count(section, filters * (shape.channels // groups) * size * size)
    normalise = bool(section.integer("batch_normalize", 0, low=0))
    conv = nn.Conv2d(shape.channels, filters, size, stride=stride, padding=padding, groups=groups, bias=not normalise)
    height, width = ((n + 2 * padding - size) // stride + 1 for n in (shape.height, shape.width))
    layer = Convolutional(conv, _activation(section, "logistic"), normalise=normalise)
    return layer, Shape(filters, height, width)


def _connected(section: Section, inputs: tuple[Shape, ...]) -> Built:
    (shape,) = inputs
    output = section.integer("output", 1)
    _check_count(section, shape.channels * shape.pixels * output)
    normalise = bool(section.integer("batch_normalize", 0, low=0))
    linear = nn.Linear(shape.channels * shape.pixels, output, bias=not normalise)
    layer = Connected(linear, _activation(section, "logistic"), normalise=normalise)
    return layer, Shape(output, 1, 1)


def _maxpool(section: Section, inputs: tuple[Shape, ...]) -> Built:
    (shape,) = inputs
    stride = section.integer("stride", 1)
    size = section.integer("size", stride)
    layer = MaxPool(size, stride, section.integer("padding", size - 1, low=0, high=2 * (size - 1)))
    return layer, Shape(shape.channels, layer.sides(shape.height)[2], layer.sides(shape.width)[2])


def _avgpool(_section: Section, inputs: tuple[Shape, ...]) -> Built:
    return AveragePool(), Shape(inputs[0].channels, 1, 1)


def _route(section: Section, inputs: tuple[Shape, ...]) -> Built:
    groups = section.integer("groups", 1)
    group = section.integer("group_id", 0, low=0, high=groups - 1)
    first = inputs[0]
    if any((one.height, one.width) != (first.height, first.width) or one.channels % groups for one in inputs):
        section.refuse("maps of one size, with channels that the groups divide", str(list(inputs)))
    return Route(groups, group), Shape(sum(one.channels // groups for one in inputs), first.height, first.width)


def _shortcut(section: Section, inputs: tuple[Shape, ...]) -> Built:
    if len(set(inputs)) > 1:
        section.refuse("maps of one shape", str(list(inputs)))
    return Shortcut(_activation(section, "linear")), inputs[0]


def _upsample(section: Section, inputs: tuple[Shape, ...]) -> Built:
    (shape,), stride = inputs, section.integer("stride", 2)
    layer = Upsample(stride, section.number("scale", 1.0, low=-LARGEST_SCALE, high=LARGEST_SCALE))
    return layer, Shape(shape.channels, shape.height * stride, shape.width * stride)


def _reorg(section: Section, inputs: tuple[Shape, ...]) -> Built:
    (shape,), stride = inputs, section.integer("stride", 1)
    if shape.channels % stride**2 or shape.height % stride or shape.width % stride:
        section.refuse("a stride that divides the maps", f"{stride} for {shape}")
    return Reorg(stride), Shape(shape.channels * stride**2, shape.height // stride, shape.width // stride)


def _dropout(section: Section, inputs: tuple[Shape, ...]) -> Built:
    return nn.Dropout(section.number("probability", 0.5, low=0.0, high=1.0)), inputs[0]


def _softmax(section: Section, inputs: tuple[Shape, ...]) -> Built:
    if section.integer("groups", 1) > 1:
        section.refuse("one group of classes", section.word("groups", ""))
    return Softmax(), inputs[0]


def _cost(_section: Section, inputs: tuple[Shape, ...]) -> Built:
    return nn.Identity(), inputs[0]


def _raw(_section: Section, inputs: tuple[Shape, ...]) -> Built:
    return Raw(), inputs[0]


LAYERS: Mapping[str, Callable[[Section, tuple[Shape, ...]], Built]] = {
    "convolutional": _convolutional,
    "connected": _connected,
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "route": _route,
    "shortcut": _shortcut,
    "upsample": _upsample,
    "reorg": _reorg,
    "dropout": _dropout,
    "softmax": _softmax,
    "cost": _cost,
    "yolo": _raw,
    "region": _raw,
    "detection": _raw,
}


def layer(section: Section, inputs: tuple[Shape, ...]) -> Built:
    """The module of a section and the shape of its output for inputs of these shapes.

    Raises:
        UserError: an unknown kind, an option that is not built, numbers that do not fit the shapes.
    """
    kind = known(section, section.kind, "kind of layer", LAYERS)
    foreign = [key for key, neutral in NEUTRAL.items() if section.word(key, neutral) != neutral]
    if foreign:
        section.refuse("options that this reader builds", f"{foreign[0]}={section.options[foreign[0]]}")
    module, shape = LAYERS[kind](section, inputs)
    if min(shape.height, shape.width) < 1:
        section.refuse("maps of at least one pixel", f"{shape} from {inputs[0]}")
    check_maps(section, shape)
    return module, shape


def check_maps(section: Section, shape: Shape) -> None:
    """Refuse maps that would fill the memory: a cfg is a stranger's text."""
    if shape.channels * shape.pixels > LARGEST_MAPS:
        section.refuse(f"maps of at most {LARGEST_MAPS:,} numbers", str(shape))


def plain_linear(module: nn.Module) -> nn.Linear | None:
    """The linear map that a fully connected layer is, if it is nothing more."""
    if not isinstance(module, Connected):
        return None
    more = (module.norm, module.activation)
    return module.linear if all(isinstance(one, nn.Identity) for one in more) else None


def _check_count(section: Section, count: int) -> None:
    """Before memory is asked for: a cfg is a stranger's text."""
    if count > MOST:
        section.refuse(f"at most {MOST} weights", str(count))
