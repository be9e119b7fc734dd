"""A picture file -> the uint8 RGB square that a source's card asks for. Stateless: nothing here is fitted."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from headstart.sources.card import ImageInput

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
DEEP = {"I;16", "I;16B", "I;16L", "I;16N", "I", "F"}  # modes with more than eight bits a sample
STRIP = 16  # the middle of a picture longer than this many times its width is all that the centre crop can see
JPEG_SHRINKS = (1, 2, 4, 8)  # what its decoder can do
KEPT = 4  # decoded pictures: one for each thread that decodes, and one to spare
SHRINK_SAFE = 2  # a JPEG may be decoded at a fraction of its size while it stays this many times larger than needed


def open_rgb(path: Path, at_least: int | None = None) -> Image.Image:
    """The first frame of a picture as upright RGB, transparency laid over white.

    Args:
        path: of the file.
        at_least: the picture's shorter side is wanted at this many pixels or more; lets JPEGs decode at a fraction.
    """
    with Image.open(path) as file:
        return _read(file, _shrink(file, at_least))


def shared_rgb(path: Path, at_least: int) -> Image.Image:
    """The same, for several sources that look at one picture in a row: it is decoded once. Not to be changed."""
    with Image.open(path) as file:
        shrink = _shrink(file, at_least)
    facts = path.stat()
    return _shared(path, facts.st_mtime_ns, facts.st_size, shrink)


@lru_cache(maxsize=KEPT)
def _shared(path: Path, _changed: int, _bytes: int, shrink: int) -> Image.Image:
    with Image.open(path) as file:
        return _read(file, shrink)


def _shrink(file: Image.Image, at_least: int | None) -> int:
    """The fraction (1 / 1, 2, 4, 8) at which a JPEG may be decoded; 1 for every other file."""
    if at_least is None or file.format != "JPEG":
        return 1
    most = min(file.size) // (SHRINK_SAFE * at_least)
    return max(one for one in JPEG_SHRINKS if one <= max(most, 1))


def _read(file: Image.Image, shrink: int) -> Image.Image:
    if shrink > 1:
        file.draft("RGB", (file.width // shrink, file.height // shrink))
    upright = ImageOps.exif_transpose(file) or file
    return rgb(upright)


def rgb(image: Image.Image) -> Image.Image:
    """Any mode -> RGB: sixteen bits scaled to eight, transparency over white."""
    if image.mode in DEEP:
        return _eight_bits(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        over = image.convert("RGBA")
        page = Image.new("RGBA", over.size, (255, 255, 255, 255))
        return Image.alpha_composite(page, over).convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    top = 65535.0 if image.mode.startswith("I") else max(float(values.max(initial=0.0)), 1.0)
    return Image.fromarray(np.clip(np.rint(values * (255.0 / top)), 0, 255).astype(np.uint8))


def square(image: Image.Image, wanted: ImageInput) -> NDArray[np.uint8]:
    """(size, size, 3): the shorter side resized to size / crop, then the centre cut out, as timm does it."""
    scaled = int(np.floor(wanted.size / wanted.crop))
    short, long = sorted(image.size)
    if long > STRIP * short:
        image = _centre(image, (STRIP * short, STRIP * short))  # or a strip of 1 x 20,000 would grow to a giant
        short = min(image.size)
    sides = tuple(max(int(side * scaled / short), wanted.size) if side != short else scaled for side in image.size)
    resized = image.resize((sides[0], sides[1]), FILTERS[wanted.interpolation])
    return np.asarray(_centre(resized, (wanted.size, wanted.size)), dtype=np.uint8)


def _centre(image: Image.Image, most: tuple[int, int]) -> Image.Image:
    """The middle of a picture, at most that wide and high."""
    width, height = (min(side, limit) for side, limit in zip(image.size, most, strict=True))
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))
