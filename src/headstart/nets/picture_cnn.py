"""A small convolutional net for pictures, to be trained from data of one's own; and what paints them again."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (32, 64, 128, 256)
PLACES = 2  # a side, that features keep apart: where something is tells digits and letters
STRIDE = 8  # pixels a side that one place of the last maps stands for


class Block(nn.Module):
    """Convolution, batch norm, ReLU.

    Args:
        taken: channels.
        width: channels of the output.
        stride: 2 halves the side.
    """

    def __init__(self, taken: int, width: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(taken, width, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.activation = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """(n, taken, H, W) -> (n, width, H / stride, W / stride)."""
        return self.activation(self.norm(self.convolution(maps)))


class PictureCnn(nn.Module):
    """Four blocks, each but the first at half the side of the one before; features are means over quarters.

    Args:
        classes: of the classifier; 0 has none.
    """

    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        pairs = zip((3, *WIDTHS), WIDTHS, strict=False)
        self.blocks = nn.Sequential(*(Block(taken, width, 1 if taken == 3 else 2) for taken, width in pairs))
        self.classifier = nn.Identity()
        self.reset_classifier(classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 3, H, W), sides divisible by 8 -> (n, classes) logits, or (n, 1024) features."""
        return self.classifier(functional.adaptive_avg_pool2d(self.blocks(pictures), PLACES).flatten(1))

    def get_classifier(self) -> nn.Module:
        """The last layer, as timm has it."""
        return self.classifier

    def reset_classifier(self, num_classes: int) -> None:
        """Another last layer, as timm has it."""
        self.classifier = nn.Linear(PLACES**2 * WIDTHS[-1], num_classes) if num_classes else nn.Identity()

    def group_matcher(self, coarse: bool = True) -> Any:  # noqa: ARG002 - timm's signature; there is one granularity
        """The order of the layers, as timm has it."""
        return {"blocks": r"^blocks\.(\d+)"}


class Painter(nn.Module):
    """The last maps of a `PictureCnn` -> pictures. It is small, so that what it needs to know has to be in the maps."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(WIDTHS[-1], WIDTHS[-1], 3, padding=1)
        self.activation = nn.ReLU()
        self.patches = nn.Conv2d(WIDTHS[-1], 3 * STRIDE**2, 1)
        self.lay_out = nn.PixelShuffle(STRIDE)

    def forward(self, maps: Tensor) -> Tensor:
        """(n, 256, H / 8, W / 8) -> (n, 3, H, W)."""
        return self.lay_out(self.patches(self.activation(self.hidden(maps))))
