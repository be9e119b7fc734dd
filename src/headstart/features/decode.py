"""The one place where examples are decoded, and counted."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.data.dataset import Item, Modality, UnreadableError
from headstart.data.store import Store

THREADS = 2
AHEAD = 3  # batches decoded before they are asked for: overlap with bounded memory


@dataclass(frozen=True)
class Batch:
    """Some examples, prepared.

    Attributes:
        items: those that could be.
        arrays: (k, ...) of these, one array an input; none where no example could be.
        damaged: those that could not, and why.
    """

    items: Sequence[Item]
    arrays: list[NDArray[Any]]
    damaged: Sequence[tuple[Item, str]] = ()


def decode(items: Sequence[Item], modality: Modality, card_input: Any, store: Store) -> NDArray[Any]:
    """(k, ...) prepared examples.

    Raises:
        UnreadableError: the first that is damaged.
    """
    store.counters["decoded"] += len(items)
    return _whole(_prepared(items, modality, [card_input])).arrays[0]


def batches(
    items: Sequence[Item], size: int, modality: Modality, inputs: Sequence[Any], store: Store
) -> Iterator[tuple[Sequence[Item], list[NDArray[Any]]]]:
    """Batches of items with their examples as each input wants them; see `tolerant`.

    Raises:
        UnreadableError: the first that is damaged.
    """
    for batch in tolerant(items, size, modality, inputs, store):
        yield batch.items, _whole(batch).arrays


def tolerant(
    items: Sequence[Item], size: int, modality: Modality, inputs: Sequence[Any], store: Store
) -> Iterator[Batch]:
    """Batches of items with their examples as each input wants them, decoded ahead in threads (codecs release the GIL).

    Args:
        items: in the order of the batches.
        size: of a batch.
        modality: prepares them.
        inputs: of the sources that all look at these items; a file is opened once for all of them.
        store: counts what is decoded.
    """
    parts = [items[i : i + size] for i in range(0, len(items), size)]
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for part in parts:
            store.counters["decoded"] += len(part)  # here, not in the threads: a Counter is not safe there
            waiting.append(pool.submit(_prepared, part, modality, inputs))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _prepared(items: Sequence[Item], modality: Modality, inputs: Sequence[Any]) -> Batch:
    """An item is prepared for all inputs in a row, so that a modality need open it only once."""
    kept: list[Item] = []
    rows: list[list[NDArray[Any]]] = []
    damaged: list[tuple[Item, str]] = []
    for item in items:
        try:
            rows.append([modality.prepare(item, one) for one in inputs])
            kept.append(item)
        except UnreadableError as error:
            damaged.append((item, error.why))
    return Batch(kept, [np.stack(column) for column in zip(*rows, strict=True)], damaged)


def _whole(batch: Batch) -> Batch:
    if batch.damaged:
        item, why = batch.damaged[0]
        raise UnreadableError(item.name, why)
    return batch
