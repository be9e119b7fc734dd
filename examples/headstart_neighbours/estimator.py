"""A closed form is a class with `fit`, `predict`, `state` and `restore`: see `headstart.linear.heads.Head`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.core.predictions import Floats, Targets
from headstart.core.problem import Kind
from headstart.core.protocols import State
from headstart.linear.heads import calibrated
from headstart.metrics.kinds import KINDS

NEAREST = 5


@dataclass(frozen=True)
class Neighbours:
    """What the five examples have on average whose features point most nearly the same way.

    Attributes:
        directions: (n, D) of the features that it was fitted on, from their mean.
        mean: (D,) of them.
        wanted: (n, K) what each of them has.
        sharpness: multiplies scores into logits.
        loo: (n, K) leave-one-out predictions.
        error: mean squared error of the leave-one-out scores.
        kind: of task.
    """

    directions: Floats
    mean: Floats
    wanted: Floats
    sharpness: float
    loo: Floats
    error: float
    kind: Kind

    @classmethod
    def fit(
        cls,
        blocks: Sequence[Floats],
        targets: Targets,
        outputs: int,
        penalty: float | None,  # noqa: ARG003 - there is none
        *,
        kind: Kind = "classification",
    ) -> "Neighbours":
        """Keep the directions; nothing is learned but how far the votes may be believed."""
        rows, wanted = np.hstack(blocks), KINDS[kind].wanted(targets, outputs)
        mean = rows.mean(axis=0)
        directions = _directions(rows - mean)
        alike = directions @ directions.T
        np.fill_diagonal(alike, -np.inf)  # nobody votes for himself
        scores = _votes(alike, wanted)
        sharpness, loo = calibrated(scores, targets, kind)
        return cls(directions, mean, wanted, sharpness, loo, float(((scores - wanted) ** 2).mean()), kind)

    def predict(self, blocks: Sequence[Floats]) -> Floats:
        """(n, K) probabilities, or numbers."""
        alike = _directions(np.hstack(blocks) - self.mean) @ self.directions.T
        return KINDS[self.kind].stated(_votes(alike, self.wanted) * self.sharpness)

    def state(self) -> State:
        """Arrays and facts; never a pickle."""
        facts = {"sharpness": self.sharpness, "error": self.error, "kind": self.kind}
        return State({"directions": self.directions, "mean": self.mean, "wanted": self.wanted}, facts)

    @classmethod
    def restore(cls, state: State) -> "Neighbours":
        """The inverse of `state`."""
        arrays, meta = state.arrays, state.meta
        return cls(
            arrays["directions"], arrays["mean"], arrays["wanted"], meta["sharpness"], np.empty((0, 0)), meta["error"],
            meta["kind"],
        )  # fmt: skip


def _directions(rows: Floats) -> Floats:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _votes(alike: Floats, wanted: Floats) -> Floats:
    """(n, K) means over the most alike."""
    count = min(NEAREST, alike.shape[1] - 1) or 1
    nearest = np.argpartition(-alike, count - 1, axis=1)[:, :count]
    return wanted[nearest].mean(axis=1)
