"""What an `.npz` says of itself, before anything of it is unpacked: for files that strangers send."""

import io
import zipfile
import zlib

import numpy as np

ARRAYS = ("X.npy", "y.npy")


def refusal(body: bytes, most: int) -> str:
    """Why an archive of arrays is not unpacked; "" where nothing speaks against it.

    A zip states how large its members are, and an array how many values it has; both can lie. What is read of a member
    ends where its stated size ends, and what an array states must fit into its member: so nothing grows beyond `most`.

    Args:
        body: of the file.
        most: bytes that the arrays may have when they are unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            there = [one for one in archive.infolist() if one.filename in ARRAYS]
            if len({one.filename for one in there}) != len(there):
                return "two arrays of one name"
            if sum(one.file_size for one in there) > most:
                return f"too large (more than {most:,} bytes when unpacked)"
            short = [one.filename for one in there if _stated(archive, one) > one.file_size]
    except (OSError, ValueError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return "no .npz file of plain arrays"
    return f"damaged ({short[0]} states more values than it has)" if short else ""


def _stated(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Bytes that an array's header says it has.

    Raises:
        ValueError: it is no array, or one of Python objects.
    """
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        if read is None:
            raise ValueError("an array of another version")
        shape, _, kind = read(file)
    if kind.hasobject or any(side < 0 for side in shape):
        raise ValueError("not plain numbers")
    size = kind.itemsize
    for side in shape:
        size *= side
    return size
