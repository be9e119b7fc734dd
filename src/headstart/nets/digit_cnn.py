"""A small convolutional net for 28 x 28 grey pictures, as it is trained on MNIST in every tutorial."""

from typing import Any

from torch import Tensor, nn


class DigitCnn(nn.Module):
    """Three convolutions with pooling, a hidden layer of 256, a classifier.

    Args:
        classes: of the classifier; 0 has none.
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        widths = ((1, 32), (32, 64), (64, 128))
        layers = [
            layer
            for before, width in widths
            for layer in (nn.Conv2d(before, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        ]
        self.conv_layers = nn.Sequential(*layers)
        self.fc_layers = nn.Sequential(nn.Linear(128 * 3 * 3, 256), nn.ReLU())
        self.classifier = nn.Linear(256, classes) if classes else nn.Identity()

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 1, 28, 28) -> (n, classes) logits, or (n, 256) features."""
        return self.classifier(self.fc_layers(self.conv_layers(pictures).flatten(1)))

    def get_classifier(self) -> nn.Module:
        """The last layer, as timm has it."""
        return self.classifier

    def reset_classifier(self, num_classes: int) -> None:
        """Another last layer, as timm has it."""
        self.classifier = nn.Linear(256, num_classes) if num_classes else nn.Identity()

    def group_matcher(self, coarse: bool = True) -> Any:  # noqa: ARG002 - timm's signature; there is one granularity
        """The order of the layers, as timm has it."""
        return {"stem": r"^conv_layers\.0", "blocks": [(r"^conv_layers\.(\d+)", None), (r"^fc_layers", (99,))]}
