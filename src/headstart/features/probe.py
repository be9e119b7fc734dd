"""A few of the user's own examples, to time ways of computing features on and to compare what they give."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstart.core.predictions import Floats, Targets
from headstart.core.problem import Task
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.features.allocator import keep_blocks
from headstart.features.backends import EXAMPLES, FLOAT32, Mode, Tap, tap
from headstart.features.decode import decode
from headstart.linear.heads import Ridge
from headstart.metrics.kinds import KINDS
from headstart.sources.source import Source

SIZE = 3 * EXAMPLES  # one batch to warm up, two to time, all to compare
AGREES = 0.999  # the least mean cosine to float32, over stages
ANY_AGREES = 0.99  # the least of any example
HALF = 0.5  # right enough to count as known, where an answer can be partly right
HOPELESS = 3.0  # times as slow as float32: the processor has no such arithmetic, and no depth will mend that
GLANCE = 2  # examples; enough to show that, where a way starts at once
NOISE = 1.64  # a two-sided sign test at 10 %


@dataclass(frozen=True)
class Cost:
    """Seconds that a way of computing features takes.

    Attributes:
        start: before the first example.
        example: for each.
    """

    start: float
    example: float

    def of(self, count: int) -> float:
        """For so many examples."""
        return self.start + count * self.example


@dataclass(frozen=True)
class Trial:
    """One way that was tried.

    Attributes:
        mode: backend and precision.
        cost: as measured.
        cosine: to float32, mean over examples, the least of any stage.
        worst: the least of any example at any stage.
        moved: leave-one-out accuracy of a ridge head on the last stage, minus that in float32.
        refused: why it is not used, if it is not.
    """

    mode: Mode
    cost: Cost
    cosine: float = 1.0
    worst: float = 1.0
    moved: float = 0.0
    refused: str = ""


@dataclass(frozen=True)
class Probe:
    """Examples and what float32 makes of them.

    Attributes:
        pixels: (n, H, W, C) uint8, prepared.
        targets: of the n examples; label codes are -1 where unknown.
        task: what they are.
        features: stage -> (n, D) in eager float32.
        cost: of those.
        glance: seconds that eager float32 takes for very few of them.
    """

    pixels: Tensor
    targets: Targets
    task: Task
    features: Mapping[str, Floats]
    cost: Cost
    glance: float

    @staticmethod
    def of(source: Source, data: Dataset, store: Store) -> "Probe":
        """Decode evenly spaced examples and time float32 on them; what is known to be a test example is left out."""
        keep_blocks()
        usable = [i for i in range(len(data)) if data.parts is None or data.parts[i] != "test"]
        at = np.asarray(usable)[np.linspace(0, len(usable) - 1, min(SIZE, len(usable))).astype(int)]
        pixels = torch.from_numpy(decode([data.items[i] for i in at], data.modality, source.input, store))
        run = tap(source, FLOAT32, store.root)
        features, seconds = timed(run, pixels)
        return Probe(pixels, data.targets[at], data.task, features, Cost(0.0, seconds), glance(run, pixels))

    def attempt(self, source: Source, mode: Mode, store: Store) -> Trial:
        """Build a way, time it, compare it; whatever goes wrong there refuses it."""
        started = time.perf_counter()
        try:
            run = tap(source, mode, store.root)
            if mode.backend == "eager" and (slow := glance(run, self.pixels) / self.glance) > HOPELESS:
                cost = Cost(time.perf_counter() - started, slow * self.cost.example)
                return Trial(mode, cost, refused=f"{slow:.0f} times as slow as float32")
            run(self.pixels[:EXAMPLES])
            start = time.perf_counter() - started
            features, seconds = timed(run, self.pixels)
        except Exception as error:  # noqa: BLE001 - compilers fail in their own ways, and there is always float32
            said = (str(error).splitlines() or [type(error).__name__])[0][:120]
            return Trial(mode, Cost(time.perf_counter() - started, float("inf")), refused=f"failed: {said}")
        return self.compared(Trial(mode, Cost(start, seconds)), features)

    def compared(self, trial: Trial, features: Mapping[str, Floats]) -> Trial:
        """The trial with its agreement, refused where that is not enough.

        The score may neither fall nor rise: labels say whether the features are the same, never which are better.
        """
        every = [cosines(self.features[name], features[name]) for name in self.features]
        cosine, worst = min(float(stage.mean()) for stage in every), min(float(stage.min()) for stage in every)
        before, after = self.right(self.features), self.right(features)
        moved, differ = int(after.sum()) - int(before.sum()), int((before != after).sum())
        refused = ""
        if cosine < AGREES:
            refused = f"a cosine of {cosine:.4f} to float32, below {AGREES}"
        elif worst < ANY_AGREES:
            refused = f"an example with a cosine of {worst:.4f} to float32, below {ANY_AGREES}"
        elif abs(moved) > NOISE * differ**0.5:
            refused = f"right on {moved:+d} of {len(before)} examples beside float32"
        return Trial(trial.mode, trial.cost, cosine, worst, moved / max(len(before), 1), refused)

    def right(self, features: Mapping[str, Floats]) -> NDArray[np.bool_]:
        """Whether a ridge head on the last stage knows a labelled example that it was not fitted on."""
        known = np.ones(len(self.targets), dtype=np.bool_)
        labelled = np.flatnonzero(self.targets >= 0 if self.task.kind == "classification" else known)
        targets = self.targets[labelled]
        if len(np.unique(targets)) < 2:
            return np.zeros(0, dtype=np.bool_)
        block = features[list(self.features)[-1]][labelled]
        head = Ridge.fit([block], targets, self.task.outputs, None, kind=self.task.kind)
        return KINDS[self.task.kind].right(head.loo, targets) > HALF


def timed(run: Tap, pixels: Tensor) -> tuple[dict[str, Floats], float]:
    """Features of all, and seconds an example: of the quickest batch, for all else that a machine does adds to it."""
    rows: list[dict[str, Tensor]] = []
    seconds: list[float] = []
    for part in pixels.split(EXAMPLES):
        started = time.perf_counter()
        rows.append(run(part))
        seconds.append((time.perf_counter() - started) / len(part))
    features = {name: torch.cat([row[name] for row in rows]).numpy() for name in rows[0]}
    return features, min(seconds)


def glance(run: Tap, pixels: Tensor) -> float:
    """Seconds for very few, the quicker of two looks."""
    seconds: list[float] = []
    for _ in range(2):
        started = time.perf_counter()
        run(pixels[:GLANCE])
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def cosines(wanted: Floats, found: Floats) -> NDArray[np.float64]:
    """(n,) cosines of rows; a row of zeros agrees only with zeros."""
    a, b = wanted.astype(np.float64), found.astype(np.float64)
    scale = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    same = np.where((a == b).all(axis=1), 1.0, 0.0)
    return np.where(scale > 0, (a * b).sum(axis=1) / np.where(scale > 0, scale, 1.0), same)
