"""One pass over the data taps all stages of a source; what the cache has is never computed again."""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from headstart.core.errors import HeadstartError
from headstart.core.progress import Progress
from headstart.data.dataset import Dataset
from headstart.data.store import Store, Table
from headstart.features.allocator import keep_blocks
from headstart.features.backends import FLOAT32, Mode, Tap, tap
from headstart.features.decode import batches
from headstart.features.table import FeatureTable, Layout
from headstart.sources.card import Input
from headstart.sources.source import Source

BATCH = 32
SHARD = 512  # rows written at once: what a kill can lose
LOST = 2**-10  # of a stage's largest value: what float16 may lose of any, twice its rounding
OUT_OF_MEMORY = re.compile("out of memory|not enough memory|can't allocate memory")


class Tappable(Protocol):
    """Anything that gives features: a `Source`, or the raw input itself."""

    @property
    def name(self) -> str:
        """Unique in a run."""
        ...

    @property
    def identity(self) -> str:
        """Equal only if the features are."""
        ...

    @property
    def input(self) -> Input:
        """How examples are prepared."""
        ...

    @property
    def widths(self) -> Mapping[str, int]:
        """Features of each stage, input to output."""
        ...

    def tapper(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """(n, ...) prepared examples -> stage name -> (n, D)."""
        ...


def extract(
    tapped: Iterable[Tappable],
    data: Dataset,
    store: Store,
    progress: Progress,
    modes: Mapping[str, Mode] = MappingProxyType({}),
) -> FeatureTable:
    """Features of every example from every source, all stages, through the cache.

    Args:
        tapped: the sources, and whatever else gives features.
        data: the examples.
        store: the cache.
        progress: told how far it is.
        modes: by source, how its features are computed; eager float32 where nothing is said.

    Returns:
        A lookup by source, stage and example.
    """
    jobs = [Job.of(one, modes.get(one.name, FLOAT32), data, store) for one in tapped]
    for keys, together in shared(jobs, data, store).items():
        _fill(together, keys, data, store, progress)
    store.trim()
    return FeatureTable({job.source.name: Layout(job.kept, job.columns) for job in jobs}, store)


def table(source: Tappable, mode: Mode, data: Dataset, store: Store) -> Table:
    """Where the features of a source are kept that were computed in a mode."""
    modality = data.modality
    key = (source.identity, modality.name, modality.version, source.input.model_dump_json(), str(mode), mode.disk)
    return store.table("features", *key)


@dataclass(frozen=True)
class Job:
    """The features of one source that are wanted.

    Attributes:
        source: that gives them.
        mode: how they are computed.
        kept: the table that they go into.
        columns: stage -> its columns there.
    """

    source: Tappable
    mode: Mode
    kept: Table
    columns: Mapping[str, slice]

    @staticmethod
    def of(source: Tappable, mode: Mode, data: Dataset, store: Store) -> "Job":
        """For the examples of a data set."""
        return Job(source, mode, table(source, mode, data, store), _columns(source.widths))

    def tap(self, store: Store) -> Tap:
        """What computes them."""
        one = self.source
        return frugal(tap(one, self.mode, store.root) if isinstance(one, Source) else one.tapper())

    def packed(self, rows: np.ndarray) -> np.ndarray:
        """(k, D) rows as they go to disk: float16 if the mode says so and every stage keeps its values in it."""
        if self.mode.disk == "float32":
            return rows
        with np.errstate(over="ignore"):
            small = rows.astype(np.float16)
        lost = np.abs(small.astype(np.float32) - rows)
        kept = (lost[:, at].max() <= LOST * np.abs(rows[:, at]).max() for at in self.columns.values())
        return small if all(kept) else rows


def shared(jobs: Iterable[Job], data: Dataset, store: Store) -> dict[tuple[str, ...], list[Job]]:
    """Jobs that miss the same examples, which are then decoded once for all of them; jobs without work are left out."""
    found: dict[tuple[str, ...], list[Job]] = {}
    unique = dict.fromkeys(data.keys)
    for job in {job.kept.folder: job for job in jobs}.values():  # two names of one source have one table
        missing = tuple(job.kept.missing(unique))
        store.counters["features_read"] += len(unique) - len(missing)
        if missing:
            found.setdefault(missing, []).append(job)
    return found


def _fill(jobs: Sequence[Job], keys: Sequence[str], data: Dataset, store: Store, progress: Progress) -> None:
    """Compute what is missing and append it to the tables, a shard at a time; examples of like size go together."""
    by_key = {item.key: item for item in data.items}
    todo = sorted((by_key[key] for key in keys), key=data.modality.size, reverse=True)
    inputs = list(dict.fromkeys(job.source.input for job in jobs))
    with progress.step(f"features {', '.join(job.source.name for job in jobs)}", len(todo)) as step:
        keep_blocks()
        taps = [job.tap(store) for job in jobs]
        rows: list[list[np.ndarray]] = [[] for _ in jobs]
        done: list[str] = []
        for part, prepared in batches(todo, BATCH, data.modality, inputs, store):
            for job, run, own in zip(jobs, taps, rows, strict=True):
                found = run(torch.from_numpy(prepared[inputs.index(job.source.input)]))
                own.append(np.hstack([found[name].float().numpy() for name in job.columns]))
            done += [item.key for item in part]
            if len(done) >= SHARD or done[-1] == todo[-1].key:
                for job, own in zip(jobs, rows, strict=True):
                    job.kept.append(done, job.packed(np.vstack(own)))
                    own.clear()
                done.clear()
            step.advance(len(part))
    store.counters["features_computed"] += len(todo) * len(jobs)


def frugal(run: Tap) -> Tap:
    """The same, which halves its batches for good when the memory is not enough for them.

    Raises:
        HeadstartError: not even one example fits.
    """
    limit = BATCH

    def halving(pixels: Tensor) -> dict[str, Tensor]:
        nonlocal limit
        found: list[dict[str, Tensor]] = []
        while (done := sum(len(next(iter(one.values()))) for one in found)) < len(pixels):
            part = pixels[done : done + limit]
            try:
                found.append(run(part))
            except RuntimeError as error:  # torch's own class for it exists for accelerators only
                if not OUT_OF_MEMORY.search(str(error)):
                    raise
                if len(part) == 1:
                    raise HeadstartError("the memory is not enough for one example; choose a smaller source") from None
                limit = len(part) // 2
        return {name: torch.cat([one[name] for one in found]) for name in found[0]}

    return halving


def _columns(widths: Mapping[str, int]) -> dict[str, slice]:
    """Which columns of a row belong to which stage."""
    ends = np.cumsum(list(widths.values())).tolist()
    return {name: slice(start, end) for name, start, end in zip(widths, [0, *ends[:-1]], ends, strict=True)}


def time_batches(source: Tappable, examples: Tensor, count: int = 2) -> float:
    """Seconds to extract the features of one prepared example: the mean of `count` timed batches after a warm-up."""
    keep_blocks()
    run = source.tapper()
    run(examples)
    started = time.perf_counter()
    for _ in range(count):
        run(examples)
    return (time.perf_counter() - started) / (count * len(examples))


def sample(taken: Input, data: Dataset, count: int = BATCH) -> Tensor:
    """A prepared batch of so many examples to time a net with, such as the data would give."""
    return torch.from_numpy(data.modality.sample(data.items, taken, count))
