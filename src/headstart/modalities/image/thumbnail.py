"""Small pictures for the report."""

import io

from headstart.data.dataset import Item
from headstart.modalities.image.prepare import open_rgb

SIDE = 160


def thumbnail(item: Item) -> bytes:
    """JPEG bytes, at most 160 pixels a side."""
    image = open_rgb(item.path, at_least=SIDE)
    image.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()
