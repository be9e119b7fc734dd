"""A picture file of pixels that are handed in."""

import io

import numpy as np
from PIL import Image


def png(pixels: np.ndarray) -> bytes:
    """(H, W) or (H, W, 3) uint8 as a PNG; equal pixels, equal bytes."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
