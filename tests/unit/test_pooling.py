"""Features are pooled as asked, at every stage, the last one too."""

import pytest
import torch
from torch import Tensor

from headstart.nets.digit_cnn import DigitCnn
from headstart.sources.card import NOT_STATED, Architecture, ImageInput, Layout, Pooling
from headstart.sources.describe import describe
from headstart.sources.load import load
from headstart.sources.pooling import POOLINGS, POWER, WIDTH, cells, pooled
from headstart.sources.source import Source
from headstart.testing import check_source


def slow(rows: Tensor, how: Pooling) -> Tensor:
    """(positions, D) of one example -> (D,), by the definition."""
    if how == "cls":
        return rows[0]
    if how == "max":
        return rows.max(0).values
    if how == "avg":
        return rows.sum(0) / len(rows)
    return (rows.clamp(min=1e-6) ** POWER).sum(0).div(len(rows)) ** (1 / POWER)


@pytest.mark.parametrize("how", POOLINGS)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "tokens"])
def test_each_way_is_what_it_says(layout: Layout, how: Pooling) -> None:
    maps = torch.rand(3, 4, 5, 7) - 0.3  # n, h, w, D
    rows = maps.flatten(1, 2)
    given = {"NCHW": maps.permute(0, 3, 1, 2), "NHWC": maps, "tokens": rows}[layout]
    wanted: Pooling = "avg" if how == "cls" and layout != "tokens" else how
    found = pooled(given, layout, how)
    torch.testing.assert_close(found, torch.stack([slow(one, wanted) for one in rows]))


def test_what_is_a_vector_already_stays() -> None:
    features = torch.rand(3, 7)
    assert all(torch.equal(pooled(features, "NCHW", how), features) for how in POOLINGS)


def test_the_average_of_low_precision_is_summed_in_float32() -> None:
    maps = torch.rand(1, 2, 64, 64).to(torch.bfloat16)
    torch.testing.assert_close(pooled(maps), maps.double().mean((2, 3)).float())


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_grid_is_the_average_of_each_cell(layout: Layout) -> None:
    maps = torch.rand(2, 6, 9, 5)  # n, h, w, D
    given = maps if layout == "NHWC" else maps.permute(0, 3, 1, 2)
    found = pooled(given, layout, grid=3).view(2, 5, 3, 3)
    for row in range(3):
        for column in range(3):
            cell = maps[:, 2 * row : 2 * row + 2, 3 * column : 3 * column + 3].mean((1, 2))
            torch.testing.assert_close(found[:, :, row, column], cell)


@pytest.mark.parametrize(
    ("channels", "side", "expected"), [(32, 112, 5), (16, 3, 3), (256, 7, 2), (257, 7, 1), (2048, 7, 1)]
)
def test_the_grid_is_as_fine_as_keeps_a_stage_narrow(channels: int, side: int, expected: int) -> None:
    assert cells(torch.zeros(1, channels, side, side), "NCHW") == expected
    assert cells(torch.zeros(1, side, side, channels), "NHWC") == expected
    assert cells(torch.zeros(1, side, channels), "NCHW") == 1


@pytest.mark.parametrize("name", ["test_resnet@32", "test_convnext@32", "test_vit"])
def test_stages_before_the_last_keep_where_things_are(name: str) -> None:
    source = load(f"random:{name}")
    check_source(source)
    *early, last = source.card.stages
    assert last.grid == 1
    assert all(stage.dim <= WIDTH for stage in early)
    side = source.input.size
    pixels = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8)
    here, plain = source.tapper()(pixels), source.pooled("avg").tapper()(pixels)
    for stage in early:
        cells_of = here[stage.name].view(2, -1, stage.grid**2)
        assert cells_of.shape[1] == plain[stage.name].shape[1]
        if source.input.size % (8 * stage.grid) == 0:  # cells of one size: their mean is the mean of all
            torch.testing.assert_close(cells_of.mean(2), plain[stage.name], rtol=1e-4, atol=1e-5)
    assert (name == "test_vit") == all(stage.grid == 1 for stage in early)


NETS = ("test_resnet@32", "test_efficientnet@32", "test_convnext@32", "test_vit", "test_mambaout@64")


@pytest.mark.parametrize("how", ["avg", "max", "gem"])
@pytest.mark.parametrize("name", NETS)
def test_a_source_pools_every_stage_so(name: str, how: Pooling) -> None:
    source = load(f"random:{name}+pool:{how}")
    assert source.card.pooling == how
    check_source(source)
    side = source.input.size
    pixels = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8)
    found = source.tapper()(pixels)
    net = source.tapped()
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> object:
        return lambda _module, _inputs, output: outputs.update({name: output})

    for stage in source.card.stages:
        net.trunk.get_submodule(stage.tap).register_forward_hook(keep(stage.name))  # type: ignore[arg-type]
    with torch.inference_mode():
        net.trunk(net.front(pixels).given)
    for stage in source.card.stages:
        output = outputs[stage.name]
        assert output.ndim in (3, 4), f"{stage.name} was pooled before"
        rows = output.flatten(2).mT if output.ndim == 4 and stage.layout == "NCHW" else output.flatten(1, -2)
        torch.testing.assert_close(found[stage.name], torch.stack([slow(one, how) for one in rows]))


def test_the_class_token_of_every_block() -> None:
    source = load("random:test_vit+pool:cls")
    check_source(source)
    side = source.input.size
    pixels = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8)
    plain = load("random:test_vit").tapper()(pixels)
    found = source.tapper()(pixels)
    torch.testing.assert_close(found["norm"], plain["norm"])  # timm's own way for this net
    assert not torch.allclose(found["blocks.5"], plain["blocks.5"]), "averages where nothing is said"


def test_other_pooling_is_another_source() -> None:
    names = ["random:test_resnet@32", *(f"random:test_resnet@32+pool:{how}" for how in ("avg", "max", "gem"))]
    assert len({load(name).identity for name in names}) == 4


def test_a_net_that_pools_in_its_own_way_keeps_that_at_its_end_and_says_so() -> None:
    architecture = Architecture(name="digit-cnn", builder="digit-cnn")
    taken = ImageInput(size=28, mean=(0.1,), std=(0.3,), colour="L")
    net, said = DigitCnn().eval(), {"architecture": architecture, "licence": NOT_STATED, "trained_on": None}
    source = Source(describe(net, name="file:digits", taken=taken, **said), net).pooled("max")  # type: ignore[arg-type]
    assert source.card.changes[-1] == "features pooled by max; the last stage keeps its own pooling"
    check_source(source)
