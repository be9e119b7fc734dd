"""Which way of computing features is quickest on this machine, for this much work, without changing the answer.

A few batches of the user's own examples are timed on each way that could pay. Low precision is taken only where every
stage points the way that it does in float32, and a head on the last stage scores the same.
"""

import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from headstart.core.extras import installed
from headstart.core.progress import Progress
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.features.backends import FLOAT32, Backend, Mode
from headstart.features.extract import table
from headstart.features.probe import HOPELESS, Cost, Probe, Trial
from headstart.sources.card import Card
from headstart.sources.source import Source

PAYS = 0.9  # another way must be done in this share of the time
WORTH = 10.0  # seconds of work below which nothing is tried
DEEPEST = 5  # stages that may stay in float32 while the rest is low
AGAIN = 2.0  # seconds that a backend needs at most to start again: what it has built is kept


@dataclass(frozen=True)
class Way:
    """A kind of modes to try.

    Attributes:
        backend: what runs the net.
        low: whether in bfloat16, as far as that agrees.
        start: seconds before the first example, as a rule.
        share: of eager float32's seconds an example, as a rule.
    """

    backend: Backend
    low: bool
    start: float
    share: float


WAYS = (
    Way("eager", low=True, start=0.5, share=0.6),
    Way("openvino", low=True, start=12.0, share=0.4),
    Way("openvino", low=False, start=10.0, share=0.7),
    Way("compile", low=True, start=15.0, share=0.4),
    Way("compile", low=False, start=15.0, share=0.8),
)


@dataclass(frozen=True)
class Missing:
    """How many examples have no features yet.

    Attributes:
        every: different examples there are.
        counts: of modes that some examples have features in.
    """

    every: int
    counts: Mapping[Mode, int]

    def __getitem__(self, mode: Mode) -> int:
        return self.counts.get(mode, self.every)

    @staticmethod
    def of(source: Source, data: Dataset, store: Store, modes: Iterable[Mode]) -> "Missing":
        """By looking into the cache."""
        every = len(set(data.keys))
        found = {mode: len(table(source, mode, data, store).missing(data.keys)) for mode in (FLOAT32, *modes)}
        return Missing(every, {mode: count for mode, count in found.items() if count < every})


def choose(source: Source, data: Dataset, store: Store, progress: Progress) -> Mode:
    """The quickest way that agrees with float32, for the features that the cache does not have.

    Args:
        source: frozen.
        data: the examples.
        store: the cache; it remembers what was measured on this machine.
        progress: told what was taken, and what was refused and why.
    """
    known = recall(source, store)
    missing = Missing.of(source, data, store, known)
    if there := [mode for mode, count in missing.counts.items() if not count]:
        return there[0]
    left = {mode: known[mode].of(missing[mode]) for mode in known if mode == FLOAT32 or mode in missing.counts}
    least = min(left, key=left.__getitem__, default=FLOAT32)
    if left.get(least, WORTH) < WORTH:
        return least
    with progress.step(f"engine {source.name}") as step:
        trials: list[Trial] = []
        for trial in tried(source, data, missing, store):
            step.note(str(trial.mode))
            trials.append(trial)
    best = quickest(trials, missing)
    for line in said(source, best, trials):
        progress.say(line)
    return best.mode


def quickest(trials: Sequence[Trial], missing: Missing) -> Trial:
    """The quickest of those that agree; float32 unless another is clearly quicker. What was built stays built."""

    def left(trial: Trial) -> float:
        return trial.cost.example * missing[trial.mode]

    float32, *others = trials
    good = [t for t in others if not t.refused and left(t) < PAYS * left(float32)]
    return min(good, key=left, default=float32)


def tried(source: Source, data: Dataset, missing: Missing, store: Store, *, every: bool = False) -> Iterator[Trial]:
    """Try one way after another, eager float32 first, each only if it could still pay.

    Args:
        source: frozen.
        data: a few of its examples are looked at.
        missing: examples to come.
        store: remembers what was measured.
        every: try all ways, whether they pay or not.
    """
    probe, known = Probe.of(source, data, store), recall(source, store)
    costs, seconds, exact = {FLOAT32: probe.cost}, probe.cost.of(missing[FLOAT32]), 0
    yield Trial(FLOAT32, probe.cost)
    if not every and seconds < WORTH:
        remember(source, store, costs)
        return
    slow = any(mode.exact is not None and cost.example > HOPELESS * probe.cost.example for mode, cost in known.items())
    for way in WAYS:
        if way.low and slow and not every:
            continue
        guess = Cost(way.start, way.share * probe.cost.example)
        for mode in modes(way, exact, source.card):
            if not every and known.get(mode, guess).of(missing[mode]) > PAYS * seconds:
                break
            trial = probe.attempt(source, mode, store)
            costs[mode] = trial.cost
            yield trial
            if not trial.refused:
                seconds, exact = min(seconds, missing[mode] * trial.cost.example), mode.exact or exact
            hopeless = trial.cost.example > HOPELESS * probe.cost.example
            slow = slow or (way.low and hopeless and np.isfinite(trial.cost.example))
            if not trial.refused or hopeless:
                break
    remember(source, store, costs)


def modes(way: Way, exact: int, card: Card) -> tuple[Mode, ...]:
    """The modes of a way, in the order of trying: from so many float32 stages on, as few as agree."""
    if way.backend != "eager" and not card.input.fixed:
        return ()  # compilers want shapes that stay
    if way.backend == "openvino" and not installed("openvino"):
        return ()
    if way.backend == "compile" and way.low and exact:
        return ()  # it has one precision for all stages
    if not way.low:
        return (Mode(backend=way.backend),)
    deepest = {"eager": DEEPEST, "openvino": exact + 1, "compile": 0}[way.backend]  # eager finds out, others follow
    depths = range(exact, min(deepest + 1, len(card.stages)))
    return tuple(Mode(backend=way.backend, exact=depth) for depth in depths)


def said(source: Source, best: Trial, trials: Sequence[Trial]) -> list[str]:
    """What to tell the user: what was taken, if it is not plain float32, and what was refused."""
    lines = [f"{source.name}: {t.mode} was refused, {t.refused}" for t in trials if t.refused]
    if best.mode != FLOAT32:
        rate, base = 1 / best.cost.example, 1 / trials[0].cost.example
        lines.append(f"{source.name}: features in {best.mode}, {rate:.0f} a second beside {base:.0f}")
    return lines


def recall(source: Source, store: Store) -> dict[Mode, Cost]:
    """What the ways of computing this source's features have cost on this machine."""
    rows = store.notes("engine").get(f"{machine()} {source.identity}") or []
    return {
        Mode(backend=backend, exact=exact): Cost(min(start, AGAIN), example) for backend, exact, start, example in rows
    }


def remember(source: Source, store: Store, costs: Mapping[Mode, Cost]) -> None:
    """Keep what was measured beside what was known; the least of both, for whatever disturbs a timing adds to it."""
    kept = recall(source, store)
    for mode, cost in costs.items():
        if np.isfinite(cost.example):
            kept[mode] = Cost(cost.start, min(cost.example, kept.get(mode, cost).example))
    rows = [(mode.backend, mode.exact, cost.start, cost.example) for mode, cost in kept.items()]
    store.notes("engine").put({f"{machine()} {source.identity}": rows})


def machine() -> str:
    """What a timing holds for: processors, accelerator, torch."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else ""
    return f"{platform.node()} {os.cpu_count()} {torch.get_num_threads()} {accelerator} {torch.__version__}"
