"""A picture without one patch of it, for occlusion."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.data.dataset import Item, Piece
from headstart.modalities.image.files import content_key
from headstart.modalities.image.prepare import open_rgb

GRID = 7  # patches a side (Zeiler and Fergus slide a grey square; a grid costs 49 predictions)
SHORTER = 320  # pixels of the shorter side: more than any packaged source reads


def patches(item: Item, folder: Path) -> tuple[Item, tuple[Piece, ...]]:
    """The picture, made smaller where it is large, and one picture for each patch that is the mean colour there.

    Args:
        item: the picture.
        folder: where they are written.
    """
    image = open_rgb(item.path, at_least=SHORTER)
    scale = max(SHORTER / min(image.size), 1 / max(image.size))
    image.thumbnail((image.width * scale, image.height * scale))
    pixels = np.asarray(image)
    whole, mean = _written(pixels, item, folder / "whole.bmp"), pixels.reshape(-1, 3).mean(axis=0)
    found: list[Piece] = []
    for name, (left, top, right, bottom) in _places():
        without, (height, width, _) = pixels.copy(), pixels.shape
        without[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = mean
        out = _written(without, item, folder / f"{len(found)}.bmp")
        found.append(Piece(name, (left, top, right, bottom), out))
    return whole, tuple(found)


def _places() -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    """What each patch is called, and its left, top, right and bottom."""
    for row in range(GRID):
        for column in range(GRID):
            at = (column / GRID, row / GRID, (column + 1) / GRID, (row + 1) / GRID)
            yield f"row {row + 1}, column {column + 1}", at


def _written(pixels: np.ndarray, item: Item, path: Path) -> Item:
    Image.fromarray(pixels).save(path)  # as it is: what a codec changes would count as a difference
    return Item(item.name, path, content_key(path))
