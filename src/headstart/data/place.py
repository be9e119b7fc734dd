"""Where the cache is. Loads nothing that is slow to load."""

import os
from pathlib import Path

import platformdirs

ENVIRONMENT = "HEADSTART_CACHE"


def cache_root() -> Path:
    """HEADSTART_CACHE, else the platform's user cache folder."""
    return Path(os.environ.get(ENVIRONMENT) or platformdirs.user_cache_path("headstart"))
