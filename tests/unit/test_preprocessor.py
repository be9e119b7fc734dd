"""A preprocessor_config.json of transformers becomes the preprocessing of a card, or is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from headstart.core.errors import UserError
from headstart.sources.preprocessor import preprocessing

PIXELS = {
    "image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": 32, "width": 32}, "resample": 2,
    "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
}  # fmt: skip


def written(folder: Path, **changes: object) -> Path:
    (folder / "preprocessor_config.json").write_text(json.dumps({**PIXELS, **changes}), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("changes", "size", "resized"),
    [
        ({"size": 64}, 64, 64),  # as older files have it
        ({"size": {"shortest_edge": 60}, "do_center_crop": True, "crop_size": 35}, 35, 60),
        ({"size": 256, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}}, 224, 256),
        ({"size": {"shortest_edge": 256}, "do_center_crop": False, "crop_size": 224}, 256, 256),
        ({"size": 224, "crop_pct": 0.875, "image_processor_type": "ConvNextImageProcessor"}, 224, 256),
        ({"size": 384, "crop_pct": 0.875, "image_processor_type": "ConvNextImageProcessor"}, 384, 384),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.9, "do_center_crop": True, "crop_size": 224}, 224, 248),
    ],
)
def test_sizes_become_a_crop_share(changes: dict[str, object], size: int, resized: int, tmp_path: Path) -> None:
    found = preprocessing(written(tmp_path, **changes))
    assert found.size == size
    assert int(np.floor(found.size / found.crop)) == resized  # as `prepare.square` computes it


@pytest.mark.parametrize(
    ("changes", "lowest", "highest"),
    [
        ({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}, -2.0, 2.0),
        ({"do_normalize": False}, 0.0, 1.0),
        ({"do_normalize": None}, 0.0, 1.0),
        ({"do_normalize": False, "do_rescale": False}, 0.0, 255.0),
        ({"do_rescale": False, "image_mean": [100.0] * 3, "image_std": [1.0] * 3}, -100.0, 155.0),
        ({"rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [1.0] * 3}, -1.0, 1.0),
    ],
)
def test_statistics_are_those_of_pixels_from_0_to_1(
    changes: dict[str, object], lowest: float, highest: float, tmp_path: Path
) -> None:
    found = preprocessing(written(tmp_path, **changes))
    black, white = ((value - found.mean[0]) / found.std[0] for value in (0.0, 1.0))
    assert (black, white) == pytest.approx((lowest, highest))


def test_colours(tmp_path: Path) -> None:
    assert preprocessing(written(tmp_path, do_flip_channel_order=True)).colour == "BGR"
    grey = preprocessing(written(tmp_path, image_mean=[0.5], image_std=[0.5]))
    assert (grey.colour, grey.channels) == ("L", 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": {"height": 32, "width": 64}}, "a square input size"),
        ({"size": None}, "a square input size"),
        ({"resample": 1}, "resample 2 or 3"),
        ({"resample": None}, "resample 2 or 3"),
        ({"image_processor_type": "EfficientNetImageProcessor"}, "without code of its own"),
        ({"auto_map": {"AutoImageProcessor": "x.X"}}, "without code of its own"),
        ({"do_center_crop": True, "crop_size": 64}, "a crop no larger than the resized picture"),
        ({"image_mean": "grey"}, "image_mean and image_std as lists of numbers"),
        ({"image_mean": None}, "as many means as deviations"),
        ({"image_std": [0.0, 0.0, 0.0]}, "as many means as deviations"),
        ({"image_mean": [float("nan")] * 3}, "as many means as deviations"),
        ({"image_std": [float("inf")] * 3}, "as many means as deviations"),
        ({"rescale_factor": "a"}, "numbers where numbers belong"),
        ({"resample": [2]}, "numbers where numbers belong"),
        ({"crop_pct": 1e-320, "do_center_crop": True, "crop_size": 32}, "numbers where numbers belong"),
        ({"crop_pct": "a", "do_center_crop": True, "crop_size": 32}, "numbers where numbers belong"),
    ],
)
def test_preprocessing_that_a_card_cannot_say_is_refused(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        preprocessing(written(tmp_path, **changes))


def test_whether_pixels_are_normalised_is_not_guessed(tmp_path: Path) -> None:
    silent = {key: value for key, value in PIXELS.items() if key != "do_normalize"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(silent), encoding="utf-8")
    with pytest.raises(UserError, match="do_normalize, true or false"):
        preprocessing(tmp_path)


def test_the_preprocessor_of_a_model_of_two_kinds_lies_deeper(tmp_path: Path) -> None:
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": PIXELS}), encoding="utf-8")
    assert preprocessing(tmp_path).size == 32
