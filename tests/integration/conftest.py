"""Small made pictures of two classes, and records without what depends on the clock."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.core.record import Record

SIDE = 48


def weave(folder: Path, n: int, seed: int) -> Path:
    """n pictures of noisy coloured stripes with a random phase: across in class "weft", upright in class "warp"."""
    rng, at = np.random.default_rng(seed), np.arange(SIDE)
    for i in range(n):
        stripes = np.sin(2 * np.pi * at * rng.uniform(3, 6) / SIDE + rng.uniform(0, 6.3))
        plane = np.broadcast_to(stripes[:, None], (SIDE, SIDE))
        plane = plane.T if i % 2 else plane
        colour, noise = rng.uniform(0.3, 1, 3), rng.normal(0, 70, (SIDE, SIDE, 3))
        values = 128 + 40 * plane[..., None] * colour + noise
        path = folder / ("warp" if i % 2 else "weft") / f"{seed}-{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(path)
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures to learn from."""
    return weave(tmp_path_factory.mktemp("photos") / "weave", 60, 0)


@pytest.fixture(scope="session")
def more_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 others of the same kind."""
    return weave(tmp_path_factory.mktemp("more") / "weave", 40, 1)


@pytest.fixture(scope="session")
def unbalanced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 pictures of class "weft", 8 of "warp"."""
    folder = weave(tmp_path_factory.mktemp("unbalanced") / "weave", 80, 2)
    for path in sorted((folder / "warp").iterdir())[8:]:
        path.unlink()
    return folder


@pytest.fixture(scope="session")
def timeless() -> Callable[[Record], dict[str, Any]]:
    """A record as plain values, without times, memory and counted work."""

    def strip(record: Record) -> dict[str, Any]:
        values = record.model_dump(by_alias=True)
        for name in ("seconds", "peak_memory_mb", "work_done"):
            del values[name]
        for candidate in values["candidates"]:
            del candidate["seconds"]
        del values["measures"]["seconds"]
        for name in ("seconds", "control_seconds"):
            (values["measures"]["threshold"] or {}).pop(name, None)
        return values

    return strip
