"""What all tests share: one seed, one thread, a cache of their own."""

import random
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from headstart.data.store import cache_root


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Features go into a cache that ends with the session; weights are read from (and kept in) the real one."""
    weights = cache_root() / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    own = tmp_path_factory.mktemp("cache")
    (own / "weights").symlink_to(weights, target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(own))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small matrices on several threads mostly wait for each other: on a busy machine four times as long."""
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(1):
        patch.setenv("OMP_NUM_THREADS", "1")  # for processes that tests start
        yield


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    """Every test starts from the same state of chance, on one thread, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries draw from the global generator
    if torch := sys.modules.get("torch"):  # not imported for tests that do without it
        torch.manual_seed(0)
        torch.set_num_threads(1)
