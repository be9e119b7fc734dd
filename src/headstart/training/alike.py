"""Batches of examples of like size: what is short need not wait for what is long."""

from collections.abc import Sequence

import numpy as np

from headstart.core.predictions import Ints
from headstart.data.dataset import Dataset

TOGETHER = 8  # batches whose examples are sorted; more would save little and mix less


def sizes(view: Dataset) -> Ints:
    """(n,) how much work each example is."""
    return np.array([view.modality.size(item) for item in view.items], dtype=np.int64)


def alike(order: Ints, sizes: Ints, steps: int, chances: np.random.Generator) -> Sequence[Ints]:
    """An order, cut into batches whose sizes differ by at most one; what goes together is of like size.

    Args:
        order: (n,) a random order of the examples.
        sizes: (n,) of the examples; where all are equal the order stays as it is.
        steps: batches.
        chances: shuffles batches, so that an epoch does not go from short to long.
    """
    parts = np.array_split(order, steps)
    if (sizes == sizes[0]).all():
        return parts
    found: list[Ints] = []
    for at in range(0, steps, TOGETHER):
        some = parts[at : at + TOGETHER]
        ends = np.cumsum([len(part) for part in some])[:-1]
        pool = np.concatenate(some)
        batches = np.split(pool[np.argsort(sizes[pool], kind="stable")], ends)
        found += [batches[i] for i in chances.permutation(len(batches))]
    return found
