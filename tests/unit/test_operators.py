"""What ONNX has no words for says in a graph what it says in torch; what no graph can say is refused in one line."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.export import formats
from headstart.export.graph import NetGraph
from headstart.nets.fracast import Fracast, periods
from headstart.sources.card import NOT_STATED, Architecture, SeriesInput
from headstart.sources.providers.series import describe_series
from headstart.sources.staged import StagedNet

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")


def waves(length: int) -> Tensor:
    """(3, 1, length) tones under noise; the second series is a third as long, and NaN stands before it."""
    steps = torch.arange(float(length))
    draw = torch.Generator().manual_seed(length)
    rows = [(steps / every).sin() + 0.5 * (steps / (3 * every)).cos() for every in (1.3, 2.0, 4.1)]
    out = torch.stack(rows)[:, None] + 0.1 * torch.randn(3, 1, length, generator=draw)
    out[1, :, : 2 * length // 3] = torch.nan
    return out


def untrained(taken: SeriesInput) -> StagedNet:
    """Fracast with noise on every number, so that nothing in it is silent."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trunk = Fracast().eval()
        card = describe_series(
            trunk, name="random:fracast", architecture=Architecture(name="fracast", builder="fracast"),
            licence=NOT_STATED, trained_on=None, taken=taken,
        )  # fmt: skip
        net = StagedNet(trunk, card, 4).eval()
        with torch.no_grad():
            for values in net.parameters():
                values.add_(torch.randn_like(values), alpha=0.3)
    return net


@pytest.mark.parametrize("length", [64, 100, 150])
def test_fracast_says_in_a_graph_what_it_says_in_torch(length: int, tmp_path: Path) -> None:
    taken = SeriesInput(length=length, scale="none", padding="before")
    rows, net = waves(length), untrained(taken)
    assert bool((periods(rows[:, 0].nan_to_num(), ~rows[:, 0].isnan()) > 0).any(dim=1).all()), "there is a tone in each"
    with torch.no_grad():
        wanted = net(rows)
    formats.onnx(NetGraph(net, 1.0, "regression").eval(), (taken,), tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for row, one in zip(rows, wanted, strict=True):
        found = torch.from_numpy(session.run(None, {"examples_0": row[None].numpy()})[0])[0]
        assert torch.allclose(found, one, atol=1e-4)
    assert float(torch.pdist(wanted).min()) > 0.1, "the series are told apart"


class Untold(nn.Module):
    """What no graph can say."""

    def forward(self, series: Tensor) -> Tensor:
        """Of any shape."""
        return torch.fft.fft2(series).abs()


def test_what_onnx_cannot_say_is_one_line_and_no_graph_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"expected a net that ONNX can say, got .*fft_fft2.*\nExport it with --torch"):
        formats.onnx(Untold(), (SeriesInput(length=16),), tmp_path)
    sys.stdout.write("still heard\n")
    assert capfd.readouterr().out == "still heard\n"
