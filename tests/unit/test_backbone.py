"""A net that timm does not have, with timm's contract: groups, classifier, copies, blocks of other kinds."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.sources import surgery
from headstart.sources.anatomy import classifier_name, stages
from headstart.sources.backbone import Backbone
from headstart.sources.card import Architecture, ImageInput, Licence
from headstart.sources.describe import describe
from headstart.sources.source import Source
from headstart.testing import check_source

PIXELS = torch.zeros(1, 3, 16, 16)
TAKEN = ImageInput(size=16)
FREE = Licence(name="none needed", commercial=True)


class Block(nn.Module):
    """A residual block whose branch has two composite parts of one kind, and sums in place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.parts = nn.Sequential(Part(width), Part(width))

    def forward(self, maps: Tensor) -> Tensor:
        out = self.parts(maps)
        out += maps
        return out


class Part(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, maps: Tensor) -> Tensor:
        return self.norm(self.conv(maps.relu()))


class Body(nn.Module):
    """No more than its blocks one behind the other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(width), Block(width)])

    def forward(self, maps: Tensor) -> Tensor:
        for block in self.blocks:
            maps = block(maps)
        return maps


class Net(nn.Module):
    """A loose parameter, a stem with a norm, a wrapper, a container that a norm begins, a norm at the end, a head."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(3, 1, 1))
        self.conv, self.norm = nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4)
        self.body = Body(4)
        self.down = nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 2, 2))
        self.tail = nn.Sequential(Block(6), Block(6))
        self.last = nn.BatchNorm2d(6)
        self.neck = nn.Linear(6, classes)
        self.head = nn.Linear(classes, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        maps = self.last(self.tail(self.down(self.body(self.norm(self.conv(pixels + self.shift))))))
        return self.head(nn.functional.dropout(self.neck(maps.mean((2, 3))).relu(), 0.5, self.training))


class Builders:
    """Builds the nets of this file by their number, in place of the registry of builders."""

    def __init__(self) -> None:
        self.nets: list[nn.Module] = []

    def load(self, builder: str) -> Callable[[Architecture], Backbone]:
        return lambda architecture: Backbone(copy.deepcopy(self.nets[int(architecture.name)]), PIXELS, classes=5)


BUILDERS = Builders()


@pytest.fixture(autouse=True)
def _builders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surgery, "BUILDERS", BUILDERS)


def source(net: nn.Module, classes: int = 5) -> Source:
    BUILDERS.nets.append(copy.deepcopy(net))
    backbone = Backbone(net, PIXELS, classes=classes)
    card = describe(
        backbone, name="test:net", architecture=Architecture(name=str(len(BUILDERS.nets) - 1)), taken=TAKEN,
        licence=FREE, trained_on=None, head_classes=[str(i) for i in range(classes)],
    )  # fmt: skip
    return Source(card.model_copy(update={"stages": backbone.opened(card.stages)}), backbone)


def blocks(backbone: Backbone) -> list[set[str]]:
    """Modules and loose parameters of each block, by what the contract says of every parameter."""
    depth = backbone.group_matcher(coarse=True)
    found: dict[int, set[str]] = {}
    for name, _ in backbone.named_parameters():
        found.setdefault(depth(name), set()).add(name.removesuffix(".weight").removesuffix(".bias"))
    return [found[at] for at in sorted(found)]


def test_every_block_is_a_group_and_norms_go_where_they_belong() -> None:
    found = blocks(Backbone(Net(), PIXELS, classes=5))
    assert found[0] == {"shift", "conv", "norm"}
    assert [min(group) for group in found[1:3]] == ["body.blocks.0.parts.0.conv", "body.blocks.1.parts.0.conv"]
    assert found[3] == {"down.0", "down.1"}  # the norm prepares for the convolution behind it
    assert min(found[4]) == "tail.0.parts.0.conv"
    assert sorted(found[5])[:2] == ["last", "tail.1.parts.0.conv"]
    assert found[6:] == [{"neck"}, {"head"}]


def test_stages_and_card_are_true_of_the_net() -> None:
    found = source(Net())
    assert found.card.stage_names() == ("stem", "body.blocks.0", "body.blocks.1", "down", "tail.0", "last", "neck")
    assert found.card.head == "head"
    check_source(found)


def test_names_are_those_of_the_net() -> None:
    net = Net()
    wanted = list(net.state_dict())
    assert list(Backbone(net, PIXELS, classes=5).state_dict()) == wanted


def test_the_classifier_is_the_last_layer_with_one_output_a_class() -> None:
    """Two layers fit; the one that is reached last is the classifier."""
    backbone = Backbone(Net(), PIXELS, classes=5)
    assert classifier_name(backbone) == "head"
    backbone.reset_classifier(0)
    assert torch.equal(backbone(PIXELS), backbone.get_submodule("neck")(_read(backbone, "neck")).relu())


def _read(backbone: Backbone, name: str) -> Tensor:
    given: list[Tensor] = []
    handle = backbone.get_submodule(name).register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    backbone(PIXELS)
    handle.remove()
    return given[0]


def test_a_convolution_may_be_the_classifier() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 7, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    backbone = Backbone(net, PIXELS, classes=7)
    assert classifier_name(backbone) == "2"
    backbone.reset_classifier(0)
    assert backbone(PIXELS).shape == (1, 4)


def test_a_net_without_classifier_keeps_the_contract() -> None:
    backbone = Backbone(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), PIXELS)
    assert classifier_name(backbone) == ""
    backbone.reset_classifier(0)
    assert backbone(PIXELS).shape == (1, 4, 14, 14)
    assert len(stages(backbone, TAKEN)) == 1


def test_what_is_wrong_with_a_net_is_said_in_one_line() -> None:
    with pytest.raises(UserError, match="a layer that gives 6 classes, got Net, where none does"):
        Backbone(Net(), PIXELS, classes=6)
    with pytest.raises(UserError, match="an input size that the net takes, got 16"):
        Backbone(nn.Sequential(nn.Conv2d(3, 4, 32)), PIXELS)


def test_a_dry_run_leaves_nothing_behind() -> None:
    net = Net().train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    Backbone(net, torch.randn(2, 3, 16, 16), classes=5)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())
    with pytest.raises(UserError):
        Backbone(net, torch.zeros(1, 4, 16, 16), classes=5)
    assert not any(module._forward_hooks for module in net.modules())


def test_a_copy_is_a_net_of_its_own() -> None:
    backbone = Backbone(Net(), PIXELS, classes=5)
    before = backbone(PIXELS)
    twin = copy.deepcopy(backbone)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    assert not torch.equal(twin(PIXELS), before)  # what runs in the copy is what was changed
    assert torch.equal(backbone(PIXELS), before)
    twin.reset_classifier(0)
    assert classifier_name(backbone) == "head"
    assert isinstance(backbone.get_classifier(), nn.Linear)


def test_the_net_knows_whether_it_is_trained() -> None:
    backbone = Backbone(Net(), PIXELS, classes=5).train()
    pixels = torch.randn(8, 3, 16, 16)
    assert not torch.equal(backbone(pixels), backbone(pixels))  # dropout without a module of its own
    assert torch.equal(backbone.eval()(pixels), backbone(pixels))


class Several(nn.Module):
    """A block as older libraries write them: it gives a tuple, and its sum is done by no module."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.drop = nn.Conv2d(3, 3, 3, padding=1), nn.Dropout()

    def forward(self, maps: Tensor) -> tuple[Tensor, None]:
        return self.drop(maps) + self.drop(self.conv(maps)), None


class SeveralNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Several(), Several()])
        self.head = nn.Linear(3, 5)

    def forward(self, pixels: Tensor) -> Tensor:
        for block in self.blocks:
            pixels, _ = block(pixels)
        return self.head(pixels.mean((2, 3)))


def test_a_block_that_gives_several_values_is_tapped_behind_its_sum() -> None:
    net = SeveralNet()
    found = source(net)
    check_source(found)
    assert found.card.stage_names() == ("blocks.0", "blocks.1")
    pixels = torch.randint(0, 256, (2, 16, 16, 3), dtype=torch.uint8)
    planes = found.net(1).front(pixels).given
    wanted = (planes + net.blocks[0].conv(planes)).mean((2, 3))
    torch.testing.assert_close(found.pooled("avg").tapper()(pixels)["blocks.0"], wanted.detach())


class Interleaved(nn.Module):
    """Registered by kind, run in turns."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)])
        self.parts = nn.ModuleList([Part(3), Part(3)])
        self.head = nn.Linear(3, 5)

    def forward(self, pixels: Tensor) -> Tensor:
        for conv, part in zip(self.convs, self.parts, strict=True):
            pixels = part(conv(pixels))
        return self.head(pixels.mean((2, 3)))


def test_depth_is_the_order_in_which_blocks_run() -> None:
    found = source(Interleaved())
    assert found.card.stage_names() == ("convs.0", "parts.0", "convs.1", "parts.1")
    check_source(found)


class Folding(nn.Module):
    """Blocks that see parts of pictures as examples, as mobile transformers have them, behind each other."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.after = Body(3), nn.Conv2d(3, 3, 1)

    def forward(self, maps: Tensor) -> Tensor:
        folded = torch.cat(maps.chunk(2, 2))
        return self.after(torch.cat(self.inner(folded).chunk(2), 2))


def test_a_block_that_takes_pictures_apart_is_not() -> None:
    net = nn.Sequential(Folding(), Folding(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5))
    found = source(net)
    assert found.card.stage_names() == ("0", "1")
    check_source(found)
