"""A small net for series, to be trained from scratch: the fully convolutional net of Wang et al. 2017, made narrow."""

from torch import Tensor, nn

WIDTHS, SPANS = (32, 64, 32), (7, 5, 3)  # a quarter of the published widths: seconds on a processor


class Convolution(nn.Module):
    """Convolution, batch norm, ReLU; padding stays 0.

    Args:
        taken: numbers a step.
        width: of the output.
        span: steps that are seen at once.
    """

    def __init__(self, taken: int, width: int, span: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(taken, width, span, padding="same", bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.activation = nn.ReLU()

    def forward(self, steps: Tensor, real: Tensor) -> Tensor:
        """(b, taken, t) steps and (b, 1, t) where they are real -> (b, t, width)."""
        return (self.activation(self.norm(self.convolution(steps))) * real).transpose(1, 2)


class SeriesCnn(nn.Module):
    """Three convolutions (Wang, Yan and Oates 2017, arXiv 1611.06455); what pools over steps stands in the card."""

    def __init__(self) -> None:
        super().__init__()
        taken = (1, *WIDTHS)
        self.blocks = nn.ModuleList(
            Convolution(before, width, span) for before, width, span in zip(taken, WIDTHS, SPANS, strict=False)
        )

    def forward(self, given: Tensor) -> Tensor:
        """(b, 2, t) values and where they are real -> (b, t, D)."""
        steps, real = given[:, :1], given[:, 1:]
        for block in self.blocks:
            steps = block(steps, real).transpose(1, 2)
        return steps.transpose(1, 2)
