"""What the header of a picture says, before anything of it is decoded: for files that strangers send."""

import io
import warnings

from PIL import Image

from headstart.modalities.image.files import DAMAGE
from headstart.modalities.image.prepare import DEEP

FORMATS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"RIFF": "WEBP",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
"""How a file of each format begins. Others are not opened: some decoders start programs."""
DEEPER = 4  # times the memory that a pixel of more than eight bits a sample takes


def refusal(body: bytes, most: int) -> str:
    """Why a picture is not decoded, by its first bytes and its header; "" where nothing speaks against it.

    Args:
        body: of the file.
        most: pixels that it may have; a quarter of these where they are deeper than eight bits.

    >>> refusal(b"%PDF-1.7", 1000)
    'not a picture (JPEG, PNG, WEBP, GIF, BMP or TIFF)'
    """
    name = next((name for start, name in FORMATS.items() if body.startswith(start)), None)
    if name is None:
        known = list(dict.fromkeys(FORMATS.values()))
        return f"not a picture ({', '.join(known[:-1])} or {known[-1]})"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata
            with Image.open(io.BytesIO(body), formats=[name]) as file:
                (width, height), deep = file.size, file.mode in DEEP
    except Image.DecompressionBombError:
        return f"too large (more than {most:,} pixels)"
    except (OSError, *DAMAGE):
        return f"damaged, or no {name} after all"
    allowed = most // DEEPER if deep else most
    return f"too large ({width} x {height} pixels; at most {allowed:,})" if width * height > allowed else ""
