"""A net from a Darknet `.cfg`: a trunk of layers that is transferred, and the head that sits on it.

Redmon's Darknet (https://pjreddie.com/darknet/) and its forks. Where a net ends in detection heads, the trunk is what
all of them share, and each head's raw maps can be had; where it ends in a classifier, the trunk is what that gets.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from headstart.nets.darknet_cfg import Section, parse
from headstart.nets.darknet_layers import MOST, AveragePool, Connected, Shape, check_maps, layer, plain_linear

WEIGHTED = ("convolutional", "connected")
DETECTORS = ("yolo", "region", "detection")
ENDS = (*DETECTORS, "softmax", "cost")
IMAGE = -1  # the place before the first layer


@dataclass(frozen=True)
class Placed:
    """One layer of a net.

    Attributes:
        kind: as in the cfg.
        module: what it computes.
        inputs: places of the layers that it reads; -1 is the image.
        shape: of its output, for an image of the cfg's size.
    """

    kind: str
    module: nn.Module
    inputs: tuple[int, ...]
    shape: Shape


class Darknet(nn.Module):
    """Keeps timm's contract, so that any source's machinery works on it.

    Args:
        placed: the layers in the cfg's order.
        cut: how many of them are the trunk.
        size: (channels, height, width) of the image that the cfg asks for.
    """

    def __init__(self, placed: Sequence[Placed], cut: int, size: Shape) -> None:
        super().__init__()
        self.size = size
        self.kinds = tuple(one.kind for one in placed)
        self.wiring = tuple(one.inputs for one in placed)
        self.layers = nn.ModuleList(one.module for one in placed[:cut])
        self.features = placed[cut - 1].shape.channels
        self.ends = tuple(at for at, kind in enumerate(self.kinds) if kind in DETECTORS)
        rest = [one.module for one in placed[cut:]]
        chain = all(inputs == (at - 1,) for at, inputs in enumerate(self.wiring) if at >= cut)
        # What reads more than the trunk's last maps cannot be called with them alone.
        self.head: nn.Module = nn.ModuleList(rest) if self.ends or not chain else nn.Sequential(*rest)

    def forward(self, images: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, classes) of a classifier; the trunk's last (n, D, h, w) maps where there is none."""
        maps = self._run(images, list(self.layers), (len(self.layers) - 1,))[0]
        classifies = isinstance(self.head, nn.Sequential) and len(self.head) > 0
        return self.head(maps).flatten(1) if classifies else maps

    def raw(self, images: Tensor) -> tuple[Tensor, ...]:
        """(n, C, H, W) -> the raw (n, D, h, w) maps of every detection head; without any, the net's last output."""
        modules = [module for _, module in self.in_order()]
        return self._run(images, modules, self.ends or (len(modules) - 1,))

    def in_order(self) -> Iterator[tuple[str, nn.Module]]:
        """(name, module) of every layer in the cfg's order, which is that of a file of weights."""
        both = (*self.layers, *(self.head if isinstance(self.head, nn.ModuleList | nn.Sequential) else ()))
        for at, module in enumerate(both):
            yield f"layer {at} ({self.kinds[at]})", module

    def get_classifier(self) -> nn.Module | None:
        """The linear map of a plain classifier on the pooled maps, else the whole head; None without one."""
        weighted = [module for module in self.head.children() if next(module.parameters(), None) is not None]
        if not weighted:
            return None
        linear = plain_linear(weighted[0]) if len(weighted) == 1 and not self.ends else None
        return linear if linear is not None and linear.in_features == self.features else self.head

    def reset_classifier(self, num_classes: int) -> None:
        """Remove the head; with classes, put a linear one on the mean of the trunk's last maps."""
        cut = len(self.layers)
        new = Connected(nn.Linear(self.features, num_classes), nn.Identity(), normalise=False) if num_classes else None
        self.head, self.ends = nn.Sequential(*([AveragePool(), new] if new else [])), ()
        kinds = ("avgpool", "connected") if new else ()
        self.kinds = (*self.kinds[:cut], *kinds)
        self.wiring = (*self.wiring[:cut], *((cut + at - 1,) for at in range(len(kinds))))

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:  # noqa: ARG002 - timm's contract
        """A function from the name of a parameter to the place of its layer; the head comes last."""

        def place(name: str) -> int:
            part, at = name.split(".")[:2]
            return int(at) if part == "layers" else len(self.layers)

        return place

    def _run(self, images: Tensor, modules: Sequence[nn.Module], wanted: tuple[int, ...]) -> tuple[Tensor, ...]:
        """Outputs of some layers; what nobody reads any more is let go at once."""
        wiring = self.wiring[: max(wanted) + 1]
        last = {place: at for at, inputs in enumerate(wiring) for place in inputs}
        alive = {IMAGE: images}
        for at, (module, inputs) in enumerate(zip(modules, wiring, strict=False)):
            alive[at] = module(*(alive[place] for place in inputs))
            for place in {*inputs, at}:
                if last.get(place, IMAGE) <= at and place not in wanted:
                    del alive[place]
        return tuple(alive[at] for at in wanted)


def build(text: str, layers: int | None = None) -> Darknet:
    """The net of a cfg with random weights.

    Args:
        text: of the cfg.
        layers: only so many, from the first; for files of weights that hold no more.

    Raises:
        UserError: what the cfg asks for cannot be built; the message names the line.
    """
    net, *sections = parse(text)
    if not 1 <= (layers or len(sections)) <= len(sections):
        net.refuse(f"at least {layers or 1} layers", str(len(sections)))
    sections = sections[: layers or len(sections)]
    size = Shape(net.integer("channels", 3), net.integer("height", 416), net.integer("width", 416))
    check_maps(net, size)
    placed: list[Placed] = []
    shapes, weights = {IMAGE: size}, 0
    for at, section in enumerate(sections):
        inputs = WIRES.get(section.kind, _previous)(section, at)
        module, shapes[at] = layer(section, tuple(shapes[place] for place in inputs))
        placed.append(Placed(section.kind, module, inputs, shapes[at]))
        weights += sum(parameter.numel() for parameter in module.parameters())
        if weights > MOST:
            section.refuse(f"at most {MOST:,} weights up to here", f"{weights:,}")
    return Darknet(placed, _trunk(placed, net), size)


def _previous(_section: Section, at: int) -> tuple[int, ...]:
    return (at - 1,)


def _route(section: Section, at: int) -> tuple[int, ...]:
    return _places(section, "layers", at)


def _shortcut(section: Section, at: int) -> tuple[int, ...]:
    return (at - 1, *_places(section, "from", at))


WIRES: dict[str, Callable[[Section, int], tuple[int, ...]]] = {"route": _route, "shortcut": _shortcut}


def _places(section: Section, key: str, at: int) -> tuple[int, ...]:
    """Layers that an option names, negative ones counted back from here."""
    places = tuple(at + one if one < 0 else one for one in section.integers(key))
    wrong = [place for place in places if not 0 <= place < at]
    if wrong:
        section.refuse(f"{key} between 0 and {at - 1}, or as many back", str(wrong[0]))
    return places


def _trunk(placed: Sequence[Placed], net: Section) -> int:
    """How many layers come before the heads: up to the last one that every head reads, its own last weights aside."""
    before: list[set[int]] = []
    for at, one in enumerate(placed):
        before.append({at}.union(*(before[place] for place in one.inputs if place != IMAGE)))
    weighted = {at for at, one in enumerate(placed) if one.kind in WEIGHTED}
    ends = [at for at, one in enumerate(placed) if one.kind in ENDS]
    if not ends:
        return len(placed)
    heads = [max(before[end] & weighted, default=IMAGE) for end in ends]
    shared = set.intersection(*(before[head] - {head} if head != IMAGE else set() for head in heads))
    if not shared & weighted:
        net.refuse("layers with weights before the head", "none")
    return max(shared) + 1
