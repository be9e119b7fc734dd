"""glibc gives big blocks back to the kernel after every operation and faults them in again for the next.

Told to keep them, the same eager float32 nets run twice as fast, answers
unchanged. Elsewhere than on glibc this does nothing.
"""

import ctypes
import sys
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
TRIM_BYTES, MMAP_BYTES = 2**31 - 1, 2**30


@cache
def keep_blocks() -> bool:
    """Ask glibc to keep freed blocks, once a process; whether it agreed."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(MMAP_THRESHOLD, MMAP_BYTES)) and bool(mallopt(TRIM_THRESHOLD, TRIM_BYTES))
