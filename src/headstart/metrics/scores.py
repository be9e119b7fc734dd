"""Scores of class probabilities. Each takes example weights, so that one matrix product bootstraps it.

A weighted score needs only weighted sums over examples, and (B, n) @ (n, k) gives those sums for B resamples at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from headstart.core.errors import unknown_name
from headstart.core.predictions import Floats, Ints

Sums = Callable[[Floats, Floats, Ints], Floats]


@dataclass(frozen=True)
class Score:
    """A named score between 0 and `top`; see `headstart.core.protocols.Metric` for the call."""

    name: str
    higher_is_better: bool
    margin: float
    judges: Literal["labels", "classes", "probabilities"]
    compute: Sums
    top: float = 1.0

    def __call__(self, probabilities: Floats, truth: Ints, weights: Floats | None = None) -> Floats:
        """() value, or (B,) values for (B, n) weights, of (n, C) probabilities against (n,) label codes."""
        rows = np.ones((1, len(truth))) if weights is None else np.atleast_2d(weights)
        values = self.compute(rows, probabilities, truth)
        return values[0] if weights is None else values


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _accuracy(weights: Floats, probabilities: Floats, truth: Ints) -> Floats:
    correct = (probabilities.argmax(axis=1) == truth).astype(float)
    return (weights @ correct) / weights.sum(axis=1)


def _balanced_accuracy(weights: Floats, probabilities: Floats, truth: Ints) -> Floats:
    is_class = np.eye(probabilities.shape[1])[truth]
    correct = (probabilities.argmax(axis=1) == truth)[:, None] * is_class
    return np.nanmean(
        _ratio(weights @ correct, weights @ is_class), axis=1
    )  # a class absent from a resample is left out


def _macro_f1(weights: Floats, probabilities: Floats, truth: Ints) -> Floats:
    eye = np.eye(probabilities.shape[1])
    is_class, said = eye[truth], eye[probabilities.argmax(axis=1)]
    seen = weights @ is_class + weights @ said
    return np.nanmean(_ratio(2 * (weights @ (is_class * said)), seen), axis=1)


def _log_loss(weights: Floats, probabilities: Floats, truth: Ints) -> Floats:
    of_truth = np.clip(probabilities[np.arange(len(truth)), truth], 1e-12, 1.0)
    return (weights @ -np.log(of_truth)) / weights.sum(axis=1)


_ALL = (
    Score("accuracy", True, 0.01, "labels", _accuracy),
    Score("balanced_accuracy", True, 0.01, "classes", _balanced_accuracy),
    Score("macro_f1", True, 0.01, "classes", _macro_f1),
    Score("log_loss", False, 0.01, "probabilities", _log_loss, top=np.inf),
)
METRICS = {score.name: score for score in _ALL}


def metric(name: str) -> Score:
    """The score of that name.

    Raises:
        UserError: there is none of that name.
    """
    if name not in METRICS:
        raise unknown_name("metric", name, METRICS)
    return METRICS[name]
