"""A picture -> what the graph takes, as headstart prepared it when the model was fitted. Needs numpy and pillow."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps


def rgb(image: Any) -> Any:
    """Sixteen bits scaled to eight, transparency over white."""
    if image.mode[0] in "IF":
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        top = 65535.0 if image.mode[0] == "I" else max(float(values.max(initial=0.0)), 1.0)
        return Image.fromarray(np.clip(np.rint(values * (255.0 / top)), 0, 255).astype(np.uint8)).convert("RGB")
    if "A" in image.mode.upper() or "transparency" in image.info:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, (255, 255, 255, 255)), over)
    return image.convert("RGB")


def centre(image: Any, width: int, height: int) -> Any:
    """The middle of a picture, at most that wide and high."""
    wide, high = min(image.width, width), min(image.height, height)
    left, top = round((image.width - wide) / 2), round((image.height - high) / 2)
    return image.crop((left, top, left + wide, top + high))


def prepared(path: str, taken: dict[str, Any], folder: Path) -> Any:  # noqa: ARG001 - nothing else is read
    """(1, size, size, 3) uint8 of a file, as the weights were trained on."""
    size, short = taken["size"], int(taken["size"] / taken["crop"])
    with Image.open(path) as file:
        shrink = max(one for one in (1, 2, 4, 8) if one <= max(min(file.size) // (2 * (short + 1)), 1))
        if file.format == "JPEG" and shrink > 1:
            file.draft("RGB", (file.width // shrink, file.height // shrink))
        image = rgb(ImageOps.exif_transpose(file) or file)
    if max(image.size) > 16 * min(image.size):
        image = centre(image, 16 * min(image.size), 16 * min(image.size))
    least = min(image.size)
    sides = [max(int(side * short / least), size) if side != least else short for side in image.size]
    resized = image.resize(sides, getattr(Image.Resampling, taken["interpolation"].upper()))
    return np.asarray(centre(resized, size, size), dtype=np.uint8)[None]
