"""Prepare what comes next while what came last is used."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")


def ahead(items: Iterable[_T]) -> Iterator[_T]:
    """The same items, each prepared in a thread while the one before it is used; at most one waits."""
    end = object()
    source = iter(items)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, source, end)
        while True:
            item = coming.result()
            if item is end:
                return
            coming = pool.submit(next, source, end)
            yield item  # pyright: ignore[reportReturnType]
