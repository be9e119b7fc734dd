"""What all tests share: one seed, one thread, nothing left in the environment."""

import random
import sys

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    """Every test starts from the same state of chance, on one thread, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries draw from the global generator
    if torch := sys.modules.get("torch"):  # not imported for tests that do without it
        torch.manual_seed(0)
        torch.set_num_threads(1)
