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


def decode(items: Sequence[Item], modality: Modality, card_input: Any, store: Store) -> NDArray[Any]:
    """(k, ...) prepared examples."""
    store.counters["decoded"] += len(items)
    return _prepared(items, modality, [card_input])[0]


def batches(
    items: Sequence[Item], size: int, modality: Modality, inputs: Sequence[Any], store: Store
) -> Iterator[tuple[Sequence[Item], list[NDArray[Any]]]]:
    """Batches of items with their examples as each input wants them, decoded ahead in threads (codecs release the GIL).

    Args:
        items: in the order of the batches.
        size: of a batch.
        modality: prepares them.
        inputs: of the sources that all look at these items; a file is opened once for all of them.
        store: counts what is decoded.
    """
    parts = [items[i : i + size] for i in range(0, len(items), size)]
    waiting: deque[tuple[Sequence[Item], Future[list[NDArray[Any]]]]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for part in parts:
            store.counters["decoded"] += len(part)  # here, not in the threads: a Counter is not safe there
            waiting.append((part, pool.submit(_prepared, part, modality, inputs)))
            if len(waiting) > AHEAD:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()


def _prepared(items: Sequence[Item], modality: Modality, inputs: Sequence[Any]) -> list[NDArray[Any]]:
    """One array an input; an item is prepared for all of them in a row, so that a modality need open it only once."""
    rows = [[modality.prepare(item, one) for one in inputs] for item in items]
    return [np.stack(column) for column in zip(*rows, strict=True)]
