"""Series before a net and behind it: lengths, scales, padding, channels; the nets themselves."""

from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.core.errors import UserError
from headstart.data.dataset import Item
from headstart.modalities.series.modality import SeriesModality
from headstart.modalities.series.prepare import prepared, resampled
from headstart.modalities.series.values import filled, packed
from headstart.nets.timenet import Decoder, TimeNet
from headstart.sources.access import Access
from headstart.sources.card import SeriesInput
from headstart.sources.fingerprint import fingerprint, reproduced
from headstart.sources.front import front, noise, scaled
from headstart.sources.load import load
from headstart.sources.packages import kept
from headstart.sources.pooling import pooled_series
from headstart.sources.providers.series import TIMENET_INPUT
from headstart.sources.series_wheels import SERIES_WHEELS
from headstart.sources.source import Source
from headstart.testing import check_source, check_strategy

NAMES = ("random:timenet", "random:series-cnn")


def series(*rows: list[float]) -> str:
    return packed(np.array(rows, dtype=np.float32))


def packaged(name: str) -> Source:
    try:
        return load(f"wheel:{name}", Access(any_licence=True))
    except UserError as error:
        pytest.skip(f"{name} cannot be had here: {error}")


def test_each_channel_is_scaled_by_itself() -> None:
    found = prepared(series([1, 3, 1, 3], [5, 5, 5, 5], [0, 0, 0, 8]), SeriesInput(channels=3, length=8))
    assert found[:, :4].tolist()[:2] == [[-1, 1, -1, 1], [0, 0, 0, 0]]
    assert np.isnan(found[:, 4:]).all()
    ranged = prepared(series([2, 4, 3]), SeriesInput(length=8, scale="range", padding="before"))
    assert np.isnan(ranged[0, :5]).all()
    assert ranged[0, 5:].tolist() == [0, 1, 0.5]


def test_longer_series_are_averaged_and_shorter_ones_stretched_where_asked() -> None:
    values = np.arange(20, dtype=np.float32)[None]
    assert resampled(values, 10).tolist() == [[0.5 + 2 * at for at in range(10)]]
    assert np.allclose(resampled(values, 8).mean(), values.mean())
    stretched = prepared(packed(values), SeriesInput(channels=None, length=40, padding="none"))
    assert stretched.shape == (1, 40)
    assert np.allclose(np.diff(stretched, n=2), 0, atol=1e-5), "a line stays one"
    assert prepared(series([1, 2], [3, 4]), SeriesInput(channels=None, length=40)).shape == (2, 20)


def test_values_that_are_missing_lie_between_their_neighbours() -> None:
    nan = np.nan
    found, count = filled(np.array([[nan, 1, nan, 3, nan, nan], [4, nan, nan, 7, 1, nan]], dtype=np.float32))
    assert found.tolist() == [[1, 1, 2, 3, 3], [4, 5, 6, 7, 1]]
    assert count == 5


def test_the_front_cuts_padding_behind_all_and_keeps_that_before() -> None:
    for padding, steps in (("behind", 6), ("before", 16)):
        taken = SeriesInput(channels=2, length=16, padding=padding)  # type: ignore[arg-type]
        rows = [prepared(series(list(range(n)), list(range(n))), taken) for n in (6, 4)]
        seen = front(taken)(torch.from_numpy(np.stack(rows)))
        assert tuple(seen.given.shape) == (4, 2, steps)
        assert seen.real.sum(dim=1).tolist() == [6, 6, 4, 4]
        assert bool((seen.given[:, 0][~seen.real] == 0).all())
        assert torch.equal(seen.given[:, 1] > 0, seen.real)


def test_pooling_counts_real_steps_only() -> None:
    output = torch.arange(24.0).view(2, 4, 3)
    real = torch.tensor([[True, True, False, False], [True] * 4])
    assert pooled_series(output, real, "last")[0].tolist() == [3, 4, 5]
    assert pooled_series(output, real, None)[0].tolist() == [1.5, 2.5, 3.5]
    assert pooled_series(output, real, "max")[1].tolist() == [21, 22, 23]
    mean, largest, spread, last = pooled_series(output, real, "moments")[0].view(4, 3)
    assert (mean.tolist(), largest.tolist(), last.tolist()) == ([1.5, 2.5, 3.5], [3, 4, 5], [3, 4, 5])
    assert torch.allclose(spread, torch.full((3,), 1.5))
    before = torch.tensor([[False, False, True, True], [True] * 4])
    assert pooled_series(output, before, "last")[0].tolist() == [9, 10, 11]


@pytest.mark.parametrize(
    "name", [*NAMES, "random:timenet+pool:last", "random:timenet#3+channels:2", "random:series-cnn+cut:0"]
)
def test_nets_of_series_keep_the_contract(name: str) -> None:
    check_source(load(name))


@pytest.mark.parametrize("name", [*NAMES, "fracast-0"])
def test_features_do_not_hang_on_the_padding(name: str) -> None:
    source = load(name) if name in NAMES else packaged(name)
    long = noise(source.input, 2)
    short = long.clone()
    short[1] = torch.nan
    at = slice(60) if source.input.padding == "behind" else slice(-60, None)  # type: ignore[union-attr]
    short[1, :, at] = scaled(long[1, :, at], source.input)  # type: ignore[arg-type]
    tap = source.tapper()
    together, alone = tap(short), tap(short[1:])
    for stage, values in together.items():
        assert torch.allclose(values[1], alone[stage][0], atol=1e-4), stage


@pytest.mark.parametrize("name", NAMES)
def test_channels_stand_side_by_side(name: str) -> None:
    one, three = load(name), load(f"{name}+channels:3")
    rows = noise(three.input, 4)
    together = three.tapper()(rows)
    for channel in range(3):
        for stage, values in one.tapper()(rows[:, channel : channel + 1]).items():
            width = values.shape[1]
            found = together[stage][:, channel * width : (channel + 1) * width]
            assert torch.allclose(found, values, atol=1e-5)
    assert three.card.changes == ("reads 3 channels one by one",)
    assert load(f"{name}+channels:1").card == one.card


def test_surgery_that_series_do_not_have() -> None:
    for name, said in (
        ("random:timenet@64", "expected random:timenet or random:timenet#SEED, got random:timenet@64"),
        ("random:timenet+size:64", "expected a net for pictures, got random:timenet, a net for series"),
        ("random:timenet+pool:cls", "expected the name of a pooling, got 'cls'"),
        ("random:timenet+channels:0", "expected at least one input channel, got 0"),
    ):
        with pytest.raises(UserError) as error:
            load(name)
        assert str(error.value).startswith(said)


def test_timenet_knows_nothing_of_later_steps_and_its_last_states_are_the_features() -> None:
    net = TimeNet().eval()
    given = torch.randn(2, 2, 30)
    other = given.clone()
    other[:, :, 20:] = 0
    assert torch.equal(net(given)[:, :20], net(other)[:, :20])
    source = load("random:timenet+pool:last")
    assert source.widths == {"layers.0": 60, "layers.1": 60, "layers.2": 60, "states": 180}
    found = source.tapper()(torch.randn(3, 1, TIMENET_INPUT.length))
    assert torch.equal(found["states"], torch.cat([found[f"layers.{at}"] for at in range(3)], dim=1))


def test_the_decoder_reads_the_states() -> None:
    torch.manual_seed(0)
    decoder, starts = Decoder(), [torch.randn(2, 60) for _ in range(3)]
    before = torch.zeros(2, 5)
    found = decoder(before, starts)
    assert found.shape == (2, 5)
    for at in range(3):
        moved = [one + (layer == at) for layer, one in enumerate(starts)]
        assert not torch.allclose(decoder(before, moved), found), "every layer's state is read"


def test_a_strategy_trains_a_net_of_series() -> None:
    check_strategy("lp-ft", load("random:series-cnn"))


def test_the_modality_asks_for_as_many_channels_as_there_are() -> None:
    three = SeriesModality(channels=3, few=False)
    assert three.fitting(("wheel:a", "run:b+channels:3")) == ("wheel:a+channels:3", "run:b+channels:3")
    assert three.untrained[0] == "random:series-cnn+channels:3"
    assert tuple(three.controls) == ("minirocket",)
    assert SeriesModality().fitting(("wheel:a",)) == ("wheel:a",)
    items = [Item("a", Path("a"), "k", series(list(range(30)))), Item("b", Path("b"), "l", series([1, 2]))]
    said = SeriesModality().caveats(items, SeriesInput(length=16))
    assert said == ("1 of 2 series have more than 16 steps: averaged down to them",)


@pytest.mark.parametrize("name", SERIES_WHEELS)
def test_packaged_encoders_give_what_they_gave(name: str) -> None:
    source, row = packaged(name), SERIES_WHEELS[name]
    assert (source.card.licence, source.card.trained_on, source.card.sha256) == (
        row.licence,
        row.trained_on,
        row.sha256,
    )
    assert reproduced(fingerprint(source), row.fingerprint)
    assert all(path.is_file() for path in kept(row.package).values())
    check_source(source)
