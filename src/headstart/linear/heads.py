"""Closed forms: fit on blocks of features, judged by their own leave-one-out, at rest as plain arrays.

What they are fitted to, and how their scores are read, `metrics.kinds` says for each kind of task. Each class is an
estimator and, once `fit` has returned a new one, its fitted self. A block is the (n, D) matrix of one stage; several
blocks are put side by side with equal total variance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats, Targets
from headstart.core.problem import Kind
from headstart.core.protocols import State
from headstart.linear.path import PENALTIES, Solution
from headstart.linear.ridge import Standardised, solve_features, solve_gram
from headstart.linear.streamed import scores, side_by_side
from headstart.metrics.kinds import KINDS

CHOOSE_ON = 600  # examples: enough to choose a kernel, whose eigendecompositions cost the cube of them
BANDWIDTHS = (0.125, 0.25, 0.5, 1.0)  # of the median squared distance; the linear kernel competes with them


class FittedHead(Protocol):
    """A fitted closed form."""

    @property
    def loo(self) -> Floats:
        """(n, C) leave-one-out predictions of the examples that it was fitted on."""
        ...

    @property
    def error(self) -> float:
        """Mean squared leave-one-out error of the scores: smooth, and comparable between feature sets."""
        ...

    def predict(self, blocks: Sequence[Floats]) -> Floats:
        """(n, C) probabilities, or (n, 1) numbers."""
        ...

    def state(self) -> State:
        """Arrays and facts that `restore` takes."""
        ...


class Head(Protocol):
    """A closed-form estimator."""

    @classmethod
    def fit(
        cls,
        blocks: Sequence[Floats],
        targets: Targets,
        outputs: int,
        penalty: float | None,
        *,
        kind: Kind = "classification",
    ) -> FittedHead:
        """Fit on blocks of (n, D) features and the targets of a task of that kind and so many outputs."""
        ...

    @classmethod
    def restore(cls, state: State) -> FittedHead:
        """The inverse of `state`."""
        ...


_NONE: NDArray[np.float64] = np.empty((0, 0))


def calibrated(loo: Floats, targets: Targets, kind: Kind) -> tuple[float, Floats]:
    """How strongly scores are to be read, and the leave-one-out predictions that follow.

    Scores by least squares say which class, not how surely; one number fitted to leave-one-out scores does.
    """
    answers = KINDS[kind]
    sharpness = 1.0 / answers.temperature(answers.stated(loo), targets)
    return sharpness, answers.stated(loo * sharpness)


def _kind(meta: Mapping[str, Any]) -> Kind:
    """Of the task that a head was fitted on; heads of earlier versions knew one kind only."""
    return meta.get("kind", "classification")


def penalties(penalty: float | None) -> NDArray[np.float64]:
    """The path to choose from, or the one that is asked for."""
    return PENALTIES if penalty is None else np.array([penalty])


@dataclass(frozen=True)
class Ridge:
    """Linear ridge on standardised features; the penalty by exact leave-one-out.

    Attributes:
        weight: (D, C) on raw features of all blocks side by side.
        bias: (C,).
        sharpness: multiplies scores into logits.
        penalty: absolute; known of a head that was fitted, not of one that was restored.
    """

    weight: Floats
    bias: Floats
    sharpness: float
    loo: Floats
    error: float
    penalty: float = np.nan
    kind: Kind = "classification"

    @classmethod
    def fit(
        cls,
        blocks: Sequence[Floats],
        targets: Targets,
        outputs: int,
        penalty: float | None,
        weights: Floats | None = None,
        *,
        kind: Kind = "classification",
    ) -> "Ridge":
        """Fit; see `Head`. (n,) weights, such as `path.balanced`, count in the fit and in the choice of the penalty."""
        wanted = KINDS[kind].wanted(targets, outputs)
        solution = solve_features(blocks, wanted, penalties(penalty), weights)
        sharpness, loo = calibrated(solution.loo, targets, kind)
        penalty = float(solution.penalties[solution.best])
        return cls(solution.weight, solution.bias, sharpness, loo, solution.error, penalty, kind)

    def logits(self) -> tuple[Floats, Floats]:
        """(D, C) weight and (C,) bias of the same model as a linear layer."""
        return self.weight * self.sharpness, self.bias * self.sharpness

    def predict(self, blocks: Sequence[Floats]) -> Floats:
        """(n, C) probabilities, or numbers."""
        return KINDS[self.kind].stated(scores(side_by_side(blocks), *self.logits(), len(blocks[0])))

    def state(self) -> State:
        """Weight and bias."""
        facts = {"sharpness": self.sharpness, "error": self.error, "kind": self.kind}
        return State({"weight": self.weight, "bias": self.bias}, facts)

    @classmethod
    def restore(cls, state: State) -> "Ridge":
        """The inverse of `state`."""
        arrays, meta = state.arrays, state.meta
        kind = _kind(meta)
        return cls(arrays["weight"], arrays["bias"], meta["sharpness"], _NONE, meta["error"], kind=kind)


@dataclass(frozen=True)
class _Kernel:
    """A doubly centred kernel: linear (bandwidth None) or Gaussian."""

    anchors: NDArray[np.float64]
    bandwidth: float | None
    column_mean: NDArray[np.float64]
    mean: float

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        raw = _raw_kernel(rows, self.anchors, self.bandwidth)
        return raw - raw.mean(axis=1, keepdims=True) - self.column_mean + self.mean


def _raw_kernel(
    rows: NDArray[np.float64], anchors: NDArray[np.float64], bandwidth: float | None
) -> NDArray[np.float64]:
    inner = rows @ anchors.T
    if bandwidth is None:
        return inner
    distances = (rows**2).sum(axis=1)[:, None] + (anchors**2).sum(axis=1) - 2 * inner
    return np.exp(-np.maximum(distances, 0.0) / bandwidth)


def _kernel(anchors: NDArray[np.float64], bandwidth: float | None) -> _Kernel:
    raw = _raw_kernel(anchors, anchors, bandwidth)
    return _Kernel(anchors, bandwidth, raw.mean(axis=0), float(raw.mean()))


def _widths(anchors: NDArray[np.float64]) -> tuple[float | None, ...]:
    """Bandwidths to try, as shares of the median squared distance; None is the linear kernel."""
    squared = (anchors**2).sum(axis=1)
    distances = squared[:, None] + squared - 2 * (anchors @ anchors.T)
    median = float(np.median(distances[np.triu_indices(len(anchors), 1)]))
    return (None, *(share * max(median, 1e-12) for share in BANDWIDTHS))


def _solved(
    anchors: NDArray[np.float64], wanted: NDArray[np.float64], width: float | None, penalty: float | None
) -> Solution:
    return solve_gram(_kernel(anchors, width)(anchors), wanted, penalties(penalty))


@dataclass(frozen=True)
class KernelRidge:
    """Ridge in a linear or Gaussian kernel space; kernel, bandwidth and penalty by exact leave-one-out.

    It keeps its training features: meant for raw inputs of a few hundred to a few thousand examples.
    """

    kernel: _Kernel
    scaler: Standardised
    dual: Floats
    offset: Floats
    sharpness: float
    loo: Floats
    error: float
    kind: Kind = "classification"

    @classmethod
    def fit(
        cls,
        blocks: Sequence[Floats],
        targets: Targets,
        outputs: int,
        penalty: float | None,
        *,
        kind: Kind = "classification",
    ) -> "KernelRidge":
        """Fit; see `Head`."""
        features = np.hstack(blocks).astype(np.float64)
        spread = float(np.sqrt(features.var(axis=0).sum())) or 1.0
        scaler = Standardised(features.mean(axis=0), np.full(features.shape[1], spread))
        anchors, wanted = scaler(features), KINDS[kind].wanted(targets, outputs)
        few = np.linspace(0, len(anchors) - 1, min(len(anchors), CHOOSE_ON)).astype(int)
        trials = [(_solved(anchors[few], wanted[few], width, penalty).error, width) for width in _widths(anchors[few])]
        _, width = min(trials, key=lambda trial: trial[0])
        solution = _solved(anchors, wanted, width, penalty)
        sharpness, loo = calibrated(solution.loo, targets, kind)
        kernel = _kernel(anchors, width)
        return cls(kernel, scaler, solution.weight, solution.bias, sharpness, loo, solution.error, kind)

    def predict(self, blocks: Sequence[Floats]) -> Floats:
        """(n, C) probabilities, or numbers."""
        scores = self.kernel(self.scaler(np.hstack(blocks))) @ self.dual + self.offset
        return KINDS[self.kind].stated(scores * self.sharpness)

    def state(self) -> State:
        """Training features (float32), dual coefficients and the kernel's numbers."""
        arrays = {
            "anchors": self.kernel.anchors.astype(np.float32),
            "column_mean": self.kernel.column_mean,
            "mean": self.scaler.mean,
            "scale": self.scaler.scale,
            "dual": self.dual,
            "offset": self.offset,
        }
        meta = {"sharpness": self.sharpness, "error": self.error, "bandwidth": self.kernel.bandwidth}
        return State(arrays, {**meta, "kernel_mean": self.kernel.mean, "kind": self.kind})

    @classmethod
    def restore(cls, state: State) -> "KernelRidge":
        """The inverse of `state`."""
        a, meta = state.arrays, state.meta
        anchors = a["anchors"].astype(np.float64)
        kernel = _Kernel(anchors, meta["bandwidth"], a["column_mean"].astype(np.float64), meta["kernel_mean"])
        scaler = Standardised(a["mean"], a["scale"])
        return cls(kernel, scaler, a["dual"], a["offset"], meta["sharpness"], _NONE, meta["error"], _kind(meta))


@dataclass(frozen=True)
class Prototype:
    """Nearest class mean after centring and L2 normalisation (CL2N; Wang et al. 2019, SimpleShot). For classes only."""

    mean: Floats
    prototypes: Floats
    sharpness: float
    loo: Floats
    error: float

    @classmethod
    def fit(
        cls,
        blocks: Sequence[Floats],
        targets: Targets,
        outputs: int,
        penalty: float | None,  # noqa: ARG003 - there is none
        *,
        kind: Kind = "classification",
    ) -> "Prototype":
        """Fit; see `Head`."""
        mean = np.hstack(blocks).astype(np.float64).mean(axis=0)
        rows, wanted = _unit(np.hstack(blocks) - mean), KINDS[kind].wanted(targets, outputs)
        sums, counts = wanted.T @ rows, wanted.sum(axis=0)
        prototypes = sums / np.maximum(counts, 1)[:, None]
        scores = -_squared(rows, prototypes)
        mine = targets  # the own class's mean without the example itself: exact leave-one-out
        without = (sums[mine] - rows) / np.maximum(counts[mine] - 1, 1)[:, None]
        scores[np.arange(len(rows)), mine] = -((rows - without) ** 2).sum(axis=1)
        sharpness, loo = calibrated(scores, targets, kind)
        return cls(mean, prototypes, sharpness, loo, float(((loo - wanted) ** 2).mean()))

    def predict(self, blocks: Sequence[Floats]) -> Floats:
        """(n, C) probabilities."""
        scores = -_squared(_unit(np.hstack(blocks) - self.mean), self.prototypes)
        return KINDS["classification"].stated(scores * self.sharpness)

    def state(self) -> State:
        """Mean and prototypes."""
        return State(
            {"mean": self.mean, "prototypes": self.prototypes}, {"sharpness": self.sharpness, "error": self.error}
        )

    @classmethod
    def restore(cls, state: State) -> "Prototype":
        """The inverse of `state`."""
        return cls(
            state.arrays["mean"], state.arrays["prototypes"], state.meta["sharpness"], _NONE, state.meta["error"]
        )


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _squared(rows: Floats, centres: Floats) -> NDArray[np.float64]:
    return (rows**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1) - 2 * rows @ centres.T


@dataclass(frozen=True)
class Majority:
    """The class shares, or the mean, whatever the input: what anything must beat."""

    shares: Floats
    loo: Floats
    error: float

    @classmethod
    def fit(
        cls,
        blocks: Sequence[Floats],  # noqa: ARG003 - features are not looked at
        targets: Targets,
        outputs: int,
        penalty: float | None,  # noqa: ARG003
        *,
        kind: Kind = "classification",
    ) -> "Majority":
        """Fit."""
        answers, count = KINDS[kind], len(targets)
        seen = answers.seen(targets, outputs)
        sums = seen.sum(axis=0)
        loo = answers.constant(sums - seen, count - 1)
        return cls(answers.constant(sums, count), loo, float(((loo - seen) ** 2).mean()))

    def predict(self, blocks: Sequence[Floats]) -> Floats:
        """(n, C) the same row for every example."""
        return np.tile(self.shares, (len(blocks[0]), 1))

    def state(self) -> State:
        """The shares."""
        return State({"shares": self.shares}, {"error": self.error})

    @classmethod
    def restore(cls, state: State) -> "Majority":
        """The inverse of `state`."""
        return cls(state.arrays["shares"], _NONE, state.meta["error"])
