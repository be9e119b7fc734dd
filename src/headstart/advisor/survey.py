"""Before the ladder: which sources are affordable, their features, duplicates into groups, the test part, the folds."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headstart.advisor import work as work_file
from headstart.advisor.arms import Arms, arms
from headstart.advisor.budget import affordable_sources
from headstart.advisor.clock import Clock
from headstart.advisor.ladder import Bench
from headstart.advisor.ledger import Ledger
from headstart.advisor.work import Asked, Work
from headstart.core.errors import UserError
from headstart.core.progress import Progress
from headstart.core.record import SkippedFile
from headstart.data.dataset import Dataset
from headstart.data.inspect import GROUPED, LEAK, class_warnings, near_duplicates
from headstart.data.split import FOLDS, hold_out
from headstart.data.store import Store
from headstart.evaluation.folds import fold_maps
from headstart.features.backends import FLOAT32
from headstart.features.engine import choose, recall
from headstart.features.extract import extract, sample, time_batches
from headstart.features.table import FeatureTable
from headstart.sources.card import Card
from headstart.sources.load import load
from headstart.sources.preconditions import check_readable, check_unseen, preconditions
from headstart.sources.source import Source
from headstart.sources.stages import resolve

LARGE = 1000  # examples from which a test part is split off when none was given
TEST_SHARE = 0.25


@dataclass(frozen=True)
class Question:
    """What is to be found out, and where unfinished work is kept."""

    data: Dataset
    asked: Asked
    sources: tuple[Source, ...]
    strategies: tuple[str, ...]
    folder: Path


@dataclass(frozen=True)
class Survey:
    """Everything the ladder needs; and the data as it was read, what was left out of it included."""

    data: Dataset
    bench: Bench
    arms: Arms
    work: Work
    sources: Mapping[str, Source]
    cards: Mapping[str, Card]
    store: Store
    how_tested: str
    warnings: tuple[str, ...]
    save: Callable[[Work], None]


def survey(question: Question, work: Work | None, store: Store, progress: Progress, clock: Clock) -> Survey:
    """Extract features once, group duplicates, split, fold."""
    data, asked = question.data, question.asked
    with clock.stage("extract"):
        sources = {one.name: one for one in question.sources}
        for one in question.sources:
            check_readable(one.card, data)
            check_unseen(one, data)
        check_stage(asked.stage, sources)
        work = work or plan_sources(asked, sources, data, store)
        sources = {name: sources[name] for name in work.sources}
        work = with_modes(work, sources, data, store, progress)
        work_file.write(question.folder, work)
        untrained = {name: load(name) for name in data.modality.untrained}
        raw, own = data.modality.baseline, data.modality.controls.values()
        tapped = [raw, *own, untrained[data.modality.untrained[0]], *sources.values()]
        features = extract(tapped, data, store, progress, work.modes)
    with clock.stage("select"):
        first = next(iter(sources))
        data = grouped(data, features, raw.name, first)
        train, test, how = parts(data, asked.seed)
        check_trainable(train)
        train = suited(train, features)
        maps = fold_maps(train.strata, train.groups, asked.seed)
    caveats = dict.fromkeys(w for s in sources.values() for w in data.modality.caveats(data.items, s.input))
    warnings = (*class_warnings(train), *(w for s in sources.values() for w in preconditions(s.card, train)), *caveats)
    ledger = Ledger(question.folder)
    bench = Bench(train, test, maps, features, ledger, progress, asked.seed, asked.metric)
    competitors = arms(
        question.strategies, sources=sources, modality=data.modality, untrained=untrained, task=data.task,
        stage=asked.stage, store=store,
    )  # fmt: skip
    cards = {name: source.card for name, source in sources.items()}
    return Survey(
        data, bench, competitors, work, sources, cards, store, how, warnings,
        lambda w: work_file.write(question.folder, w),
    )  # fmt: skip


def check_stage(stage: str | None, sources: Mapping[str, Source]) -> None:
    """Refuse a stage that a source does not have, before anything is computed."""
    for source in sources.values():
        if stage is not None:
            resolve((stage,), source.card.stage_names())


def plan_sources(asked: Asked, sources: Mapping[str, Source], data: Dataset, store: Store) -> Work:
    """Time a few batches of each source, unless that was done before, and keep those whose features are affordable."""
    known = {name: recall(source, store).get(FLOAT32) for name, source in sources.items()}
    forward = {name: cost.example if cost else timed(sources[name], data) for name, cost in known.items()}
    kept, out = affordable_sources(tuple(sources), len(data), forward, asked.minutes * 60)
    return Work(asked=asked, sources=kept, left_out=out, forward=forward, step={}, solve=time_solve())


def timed(source: Source, data: Dataset) -> float:
    """Seconds to extract the features of one example."""
    return time_batches(source, sample(source.input, data))


def with_modes(work: Work, sources: Mapping[str, Source], data: Dataset, store: Store, progress: Progress) -> Work:
    """The work with the way of computing each source's features, decided once."""
    chosen = {name: choose(one, data, store, progress) for name, one in sources.items() if name not in work.modes}
    return work.model_copy(update={"modes": {**work.modes, **chosen}})


def time_solve() -> float:
    """Seconds of one symmetric eigendecomposition of 1,000 rows."""
    square = np.random.default_rng(0).normal(size=(1000, 1000))
    started = time.perf_counter()
    np.linalg.eigh(square @ square.T)
    return time.perf_counter() - started


def grouped(data: Dataset, features: FeatureTable, raw: str, source: str) -> Dataset:
    """The data with near-duplicates joined into groups, the user's own groups kept whole."""
    if not data.modality.copied:
        return replace(data, duplicates=(*data.duplicates, *equal(data)))
    last = features.stages(source)[-1]
    thumbnails = features.of(raw, features.stages(raw)[0], data)
    alike, pairs = near_duplicates(features.of(source, last, data), thumbnails)
    found = tuple(tuple(data.items[i].name for i in members) for members in pairs)
    return replace(data, groups=joined(data.groups, alike), duplicates=(*data.duplicates, *found))


def equal(data: Dataset) -> tuple[tuple[str, ...], ...]:
    """Names of examples whose content is the same, group by group."""
    named: dict[str, list[str]] = {}
    for item in data.items:
        named.setdefault(item.key, []).append(item.name)
    return tuple(tuple(group) for group in named.values() if len(group) > 1)


def suited(train: Dataset, features: FeatureTable) -> Dataset:
    """The training part with an augmentation that its inputs allow."""
    raw = train.modality.baseline.name
    modality, said = train.modality.suited(features.of(raw, features.stages(raw)[0], train))
    return replace(train, modality=modality, warnings=(*train.warnings, *said))


def joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n,) ids of the finest grouping in which members of a group of either stay together."""
    parent = np.arange(len(first))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for labels in (first, second):
        seen: dict[int, int] = {}
        for i, label in enumerate(labels.tolist()):
            other = seen.setdefault(label, i)
            parent[root(i)] = root(other)
    return np.array([root(i) for i in range(len(first))])


def parts(data: Dataset, seed: int) -> tuple[Dataset, Dataset | None, str]:
    """Training and test part: as given, else split off when there is enough, else none."""
    if data.parts is not None and "test" in data.parts:
        is_test = np.array([part == "test" for part in data.parts])
        crossing = np.isin(data.groups, data.groups[is_test]) & ~is_test  # a near-copy of a test example is a leak
        train = without_leaks(data, is_test, crossing)
        return train, data.take(np.flatnonzero(is_test)), "given"
    if len(data) < LARGE:
        return data, None, "none"
    held = hold_out(data.strata, data.groups, TEST_SHARE, seed)
    return data.take(np.flatnonzero(~held)), data.take(np.flatnonzero(held)), "split"


def without_leaks(data: Dataset, is_test: np.ndarray, crossing: np.ndarray) -> Dataset:
    """The training part without near-copies of test examples and others of their groups, which are named."""
    train = data.take(np.flatnonzero(~is_test & ~crossing))
    if not crossing.any():
        return train
    tested = [data.items[i] for i in np.flatnonzero(is_test)]
    names, keys = {one.name for one in tested}, {one.key for one in tested}
    copies = {name for alike in data.duplicates if not names.isdisjoint(alike) for name in alike}
    left = tuple(
        SkippedFile(name=item.name, why=LEAK if item.name in copies or item.key in keys else GROUPED)
        for item in (data.items[i] for i in np.flatnonzero(crossing))
    )
    counts = Counter(one.why for one in left)
    said = [f"{count} training examples left out: {why}" for why, count in sorted(counts.items(), reverse=True)]
    return replace(train, skipped=(*train.skipped, *left), warnings=(*train.warnings, *said))


def check_trainable(train: Dataset) -> None:
    """Refuse data on which nothing could be both learned and scored."""
    if train.task.kind != "classification":
        different = len(np.unique(train.groups))
        if different < FOLDS:
            came = f"{different} among {len(train)}"
            raise UserError(f"at least {FOLDS} examples that are no copies of each other", came, "Add examples.")
        return
    counts = train.counts()
    enough = [name for name, count in counts.items() if count >= 2]
    if len(enough) < 2:
        raise UserError(
            "at least two classes with two examples each",
            ", ".join(f"{name}: {count}" for name, count in counts.items()),
            "Add examples, or merge classes.",
        )
