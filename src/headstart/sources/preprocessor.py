"""A preprocessor_config.json as transformers writes it -> the preprocessing of a card. Data only: no class is made."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from headstart.core.errors import UserError
from headstart.sources.card import ImageInput
from headstart.sources.formats.checks import said
from headstart.sources.json_file import read

NAMES = ("preprocessor_config.json", "processor_config.json")  # the second holds the first under "image_processor"
FILTERS: dict[object, Literal["bilinear", "bicubic"]] = {2: "bilinear", 3: "bicubic"}  # by Pillow's numbers
OTHERWISE = ("EfficientNet", "ImageGPT", "Levit", "Perceiver")  # their processors do what their files do not say
SQUASHED = 384  # from this side on ConvNext's processor does not crop
WHITE = 255


def preprocessing(folder: Path) -> ImageInput:
    """What the pixels of a model in a folder must be.

    Raises:
        UserError: no such file, or preprocessing that a card cannot say; a guess would silently not fit the weights.
    """
    settings = _settings(folder)
    try:
        return _taken(settings)
    except UserError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        raise _unlike("numbers where numbers belong", said(error)) from None


def _taken(settings: Mapping[str, Any]) -> ImageInput:
    kind = str(settings.get("image_processor_type") or settings.get("feature_extractor_type") or "")
    if "auto_map" in settings or kind.startswith(OTHERWISE):
        raise _unlike("a preprocessor without code of its own", kind or "one with remote code")
    size, resized = _sizes(settings, kind)
    mean, std = _statistics(settings)
    interpolation = FILTERS.get(settings.get("resample"))
    if interpolation is None:
        raise _unlike("resample 2 or 3, bilinear or bicubic", f"{settings.get('resample')}")
    colour = "L" if len(mean) == 1 else "BGR" if settings.get("do_flip_channel_order") else "RGB"
    crop = _share(size, resized)
    return ImageInput(size=size, crop=crop, interpolation=interpolation, mean=mean, std=std, colour=colour)


def _settings(folder: Path) -> Mapping[str, Any]:
    for name in NAMES:
        if (folder / name).is_file():
            found = read(folder / name)
            inner = found.get("image_processor") if name == NAMES[1] else found
            if isinstance(inner, dict):
                return inner
    do = "Save it beside the weights: image_processor.save_pretrained(FOLDER). It says how pixels must be prepared."
    raise UserError(f"{NAMES[0]} beside the weights", f"{folder} without it", do)


def _sizes(settings: Mapping[str, Any], kind: str) -> tuple[int, int]:
    """Side of the input, and of the picture that it is cut out of."""
    side = _side(settings.get("size"))
    share = settings.get("crop_pct")
    if kind.startswith("ConvNext"):
        return (side, side) if side >= SQUASHED else (side, int(side / (share or 1)))
    if not settings.get("do_center_crop") or settings.get("crop_size") is None:
        return side, side
    return _side(settings["crop_size"]), int(side / share) if share else side


def _side(value: object) -> int:
    match value:
        case int(side) | {"shortest_edge": int(side)} | [int(side)]:
            return side
        case {"height": int(height), "width": int(width)} | [int(height), int(width)] if height == width:
            return height
        case _:
            raise _unlike("a square input size", f"{value}")


def _share(size: int, resized: int) -> float:
    """The share that gives exactly that resized side when a size is divided by it and rounded down."""
    if not 0 < size <= resized:
        raise _unlike("a crop no larger than the resized picture", f"{size} out of {resized}")
    share = size / resized
    return share if math.floor(size / share) == resized else math.nextafter(share, 0)


def _statistics(settings: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of values scaled to 0..1, whatever scale and statistics the file has."""
    factor = float(settings.get("rescale_factor") or 1 / WHITE) if settings.get("do_rescale", True) else 1.0
    white = WHITE * factor  # what a white pixel is before the mean is taken off
    if "do_normalize" not in settings:
        raise _unlike("do_normalize, true or false", "nothing of it")
    if not settings["do_normalize"]:
        return (0.0,) * 3, (1 / white,) * 3
    given = settings.get("image_mean"), settings.get("image_std")
    try:
        mean, std = (tuple(float(value) / white for value in values or ()) for values in given)
    except (TypeError, ValueError):
        raise _unlike("image_mean and image_std as lists of numbers", f"{given[0]} and {given[1]}") from None
    finite = all(map(math.isfinite, (*mean, *std)))
    if len(mean) != len(std) or len(mean) not in (1, 3) or not finite or not all(value > 0 for value in std):
        raise _unlike("as many means as deviations, one or three, none of them 0", f"{given[0]} and {given[1]}")
    return mean, std


def _unlike(wanted: str, came: str) -> UserError:
    return UserError(f"{wanted} in {NAMES[0]}", came, "Choose another source; this preprocessing cannot be followed.")
