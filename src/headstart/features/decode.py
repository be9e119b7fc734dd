"""The one place where examples are decoded, and counted."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.data.dataset import Item, Modality
from headstart.data.store import Store

THREADS = 2
AHEAD = 3  # batches decoded before they are asked for: overlap with bounded memory


def decode(items: Sequence[Item], modality: Modality, card_input: Any, store: Store) -> NDArray[np.uint8]:
    """(k, ...) prepared examples."""
    store.counters["decoded"] += len(items)
    return _prepared(items, modality, card_input)


def _prepared(items: Sequence[Item], modality: Modality, card_input: Any) -> NDArray[np.uint8]:
    return np.stack([modality.prepare(item, card_input) for item in items])


def batches(
    items: Sequence[Item], size: int, modality: Modality, card_input: Any, store: Store
) -> Iterator[tuple[Sequence[Item], NDArray[np.uint8]]]:
    """Batches of items with their prepared examples, in order, decoded ahead in threads (codecs release the GIL)."""
    parts = [items[i : i + size] for i in range(0, len(items), size)]
    waiting: deque[tuple[Sequence[Item], Future[NDArray[np.uint8]]]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for part in parts:
            store.counters["decoded"] += len(part)  # here, not in the threads: a Counter is not safe there
            waiting.append((part, pool.submit(_prepared, part, modality, card_input)))
            if len(waiting) > AHEAD:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
