"""A question, from what the user said to what is computed: names are checked, data is found, sources are loaded."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.advisor import work as work_file
from headstart.advisor.arms import strategies as known_strategies
from headstart.advisor.banner import NO_BUDGET
from headstart.advisor.clock import Clock
from headstart.advisor.work import Asked, Work
from headstart.core.progress import Progress
from headstart.core.record import AskedRecord
from headstart.data.dataset import Dataset
from headstart.data.handed import Given, handed
from headstart.data.labelled import Where
from headstart.data.store import Store
from headstart.metrics.scores import deciding
from headstart.metrics.scores import metric as metric_named
from headstart.modalities.catalog import Reader, kind_of, reader
from headstart.modalities.image.encode import png
from headstart.sources.access import Access
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.strategies.catalog import fingerprint

Names = tuple[tuple[str, ...], tuple[str, ...]]
"""Of sources, and of strategies."""


def permitted(access: Access) -> dict[str, Any]:
    """What the user allowed, as a record says it."""
    given = {"offline": access.offline, "trust": access.trust, "allow_missing": access.allow_missing}
    return {**given, "licence": "any" if access.any_licence else None}


def as_before(replay: str | Path | None, said: AskedRecord) -> tuple[Work | None, AskedRecord]:
    """The work to replay, if any, and what was asked: what is not said again is as it was."""
    if replay is None:
        return None, said
    was = (work := work_file.read(Path(replay))).asked
    before = {
        "sources": said.sources or was.sources,
        "strategies": said.strategies or was.strategies,
        "stage": said.stage or was.stage,
        "minutes": was.minutes,
    }
    return work, said.model_copy(update=before)


def given(data: Given, target: str | None, test: Given | None, store: Store) -> tuple[Path, str | None, str | None]:
    """Where the data lies, its target, and where the test part lies; what is no path is written into the cache.

    Raises:
        UserError: it is nothing that can be handed in.
    """
    path, target = handed(data, target, store.root, png)
    return path, target, None if test is None else str(handed(test, target, store.root, png)[0])


def lies(path: str | Path, said: AskedRecord) -> tuple[Reader, Where]:
    """Who reads the data, and where it lies; beside a source table it is a table."""
    test = None if said.test is None else Path(said.test)
    where = Where(Path(path), said.target, said.group, test, said.text, said.kind)
    table = any(name.startswith("table:") for name in said.sources)
    return reader("table" if table else kind_of(where)), where


def minutes(said: AskedRecord) -> float:
    """The time; without end where nobody named one."""
    return NO_BUDGET if said.minutes is None else said.minutes


def checked(said: AskedRecord, sources: Sequence[str], strategies: Sequence[str]) -> Names:
    """Names and numbers that can be refused before anything is read.

    Args:
        said: what was asked.
        sources: those, or the defaults.
        strategies: those, or the defaults.

    Raises:
        UserError: one of them is wrong.
    """
    if said.metric is not None:
        metric_named(said.metric)
    if said.minutes is not None:
        work_file.check_minutes(said.minutes)
    return tuple(sources), known_strategies(strategies)


def loaded(names: Sequence[str], access: Access, progress: Progress, clock: Clock) -> dict[str, Source]:
    """The sources by the names that they were asked by: an alias, such as +cut:-2, stands for what it means."""
    with clock.stage("extract"):
        return {name: load(name, access, progress) for name in names}


def settled(data: Dataset, said: AskedRecord, sources: Mapping[str, Source], strategies: tuple[str, ...]) -> Asked:
    """The question with all that was left open filled in: equal ones have equal answers."""
    return Asked(
        fingerprint=data.fingerprint, target=said.target, text=data.column, sources=tuple(sources),
        identities=tuple(one.identity for one in sources.values()), strategies=strategies, stage=said.stage,
        minutes=minutes(said), metric=deciding(said.metric, data.task.kind).name, kind=data.task.kind,
        deliver=said.deliver, seed=said.seed, plans=fingerprint(),
    )  # fmt: skip


def digest(asked: Asked) -> str:
    """A short name of a question."""
    return hashlib.sha256(asked.model_dump_json().encode()).hexdigest()[:16]
