"""Small pictures for the report."""

import io

from headstart.data.dataset import Item
from headstart.modalities.image.prepare import open_rgb

SIDE = 160
SMALL, SMALL_QUALITY = 64, 60


def thumbnail(item: Item, side: int = SIDE, quality: int = 80) -> bytes:
    """JPEG bytes, at most so many pixels a side."""
    image = open_rgb(item.path, at_least=side)
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()
