"""Scores of predictions. Each takes example weights, so that one matrix product bootstraps it.

A weighted score needs only weighted sums over examples, and (B, n) @ (n, k) gives those sums for B resamples at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from headstart.core.errors import UserError, unknown_name
from headstart.core.predictions import Floats, Ints, Targets
from headstart.core.problem import Kind
from headstart.metrics.kinds import KINDS

Sums = Callable[[Floats, Floats, Targets], Floats]


@dataclass(frozen=True)
class Score:
    """A named score between `bottom` and `top`; see `headstart.core.protocols.Metric` for the call."""

    name: str
    higher_is_better: bool
    margin: float
    judges: Literal["labels", "classes", "probabilities"]
    compute: Sums
    top: float = 1.0
    bottom: float = 0.0
    kind: Kind = "classification"
    share: bool = True  # of examples or classes: written in percent

    def __call__(self, probabilities: Floats, truth: Targets, weights: Floats | None = None) -> Floats:
        """() value, or (B,) values for (B, n) weights, of (n, K) predictions against the targets of n examples."""
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


def _average_precision(weights: Floats, probabilities: Floats, truth: Targets) -> Floats:
    """Mean over labels of the mean precision at the examples that have the label, as they are ranked; ties together."""
    found: list[Floats] = []
    for stated, true in zip(probabilities.T, truth.T, strict=True):
        order = np.argsort(-stated, kind="stable")
        has = np.flatnonzero(true[order])
        last = np.searchsorted(-stated[order], -stated[order][has], side="right") - 1
        mass = weights[:, order]
        own = mass[:, has]
        reached = np.searchsorted(has, last, side="right") - 1  # the last that has the label, of those ranked alike
        precision = _ratio(np.cumsum(own, axis=1)[:, reached], np.cumsum(mass, axis=1)[:, last])
        found.append(_ratio(np.nansum(own * precision, axis=1), own.sum(axis=1)))
    return _nanmean(np.array(found))


def _micro_f1(weights: Floats, probabilities: Floats, truth: Targets) -> Floats:
    said = probabilities >= 0.5
    both, either = (said & (truth > 0)).sum(axis=1), said.sum(axis=1) + truth.sum(axis=1)
    return np.nan_to_num(_ratio(2 * (weights @ both), weights @ either), nan=1.0)


def _label_f1(weights: Floats, probabilities: Floats, truth: Targets) -> Floats:
    said = (probabilities >= 0.5).astype(float)
    seen = weights @ truth + weights @ said
    return _nanmean(_ratio(2 * (weights @ (truth * said)), seen).T)


def _jaccard(weights: Floats, probabilities: Floats, truth: Targets) -> Floats:
    return (weights @ KINDS["multi-label"].right(probabilities, truth)) / weights.sum(axis=1)


def _exact_match(weights: Floats, probabilities: Floats, truth: Targets) -> Floats:
    return (weights @ ((probabilities >= 0.5) == (truth > 0)).all(axis=1).astype(float)) / weights.sum(axis=1)


def _label_loss(weights: Floats, probabilities: Floats, truth: Targets) -> Floats:
    of_truth = np.clip(np.where(truth > 0, probabilities, 1 - probabilities), 1e-12, 1.0)
    return (weights @ -np.log(of_truth).mean(axis=1)) / weights.sum(axis=1)


def _nanmean(rows: Floats) -> Floats:
    """(k, B) -> (B,) means over what there is; 0 where there is nothing."""
    known = ~np.isnan(rows)
    return np.where(known, rows, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def _r2(weights: Floats, probabilities: Floats, truth: Targets) -> Floats:
    off = truth - float(np.mean(truth))  # about the mean: what would cancel is gone before it is squared
    mass = weights.sum(axis=1)
    spread = weights @ off**2 - (weights @ off) ** 2 / mass
    return 1.0 - _ratio(weights @ (probabilities[:, 0] - truth) ** 2, spread)


def _mae(weights: Floats, probabilities: Floats, truth: Targets) -> Floats:
    return (weights @ np.abs(probabilities[:, 0] - truth)) / weights.sum(axis=1)


def _rmse(weights: Floats, probabilities: Floats, truth: Targets) -> Floats:
    return np.sqrt((weights @ (probabilities[:, 0] - truth) ** 2) / weights.sum(axis=1))


_LABELS: Kind = "multi-label"
_NUMBERS: Kind = "regression"
# In the units of the target nobody knows what would matter: any loss counts as harm there.
_ALL = (
    Score("accuracy", True, 0.01, "labels", _accuracy),
    Score("balanced_accuracy", True, 0.01, "classes", _balanced_accuracy),
    Score("macro_f1", True, 0.01, "classes", _macro_f1),
    Score("log_loss", False, 0.01, "probabilities", _log_loss, top=np.inf, share=False),
    Score("mean_average_precision", True, 0.01, "probabilities", _average_precision, kind=_LABELS),
    Score("micro_f1", True, 0.01, "labels", _micro_f1, kind=_LABELS),
    Score("label_f1", True, 0.01, "labels", _label_f1, kind=_LABELS),
    Score("jaccard", True, 0.01, "labels", _jaccard, kind=_LABELS),
    Score("exact_match", True, 0.01, "labels", _exact_match, kind=_LABELS),
    Score("label_loss", False, 0.01, "probabilities", _label_loss, top=np.inf, kind=_LABELS, share=False),
    Score("r2", True, 0.01, "probabilities", _r2, bottom=-np.inf, kind=_NUMBERS, share=False),
    Score("mae", False, 0.0, "probabilities", _mae, top=np.inf, kind=_NUMBERS, share=False),
    Score("rmse", False, 0.0, "probabilities", _rmse, top=np.inf, kind=_NUMBERS, share=False),
)
METRICS: Mapping[str, Score] = MappingProxyType({score.name: score for score in _ALL})
DEFAULT: Mapping[Kind, str] = MappingProxyType(
    {"classification": "accuracy", _LABELS: "mean_average_precision", _NUMBERS: "r2"}
)
RIGHT: Mapping[Kind, str] = MappingProxyType({"classification": "accuracy", _LABELS: "jaccard", _NUMBERS: "r2"})
"""The score that is the mean of `Answers.right`."""


def metric(name: str) -> Score:
    """The score of that name.

    Raises:
        UserError: there is none of that name.
    """
    if name not in METRICS:
        raise unknown_name("metric", name, METRICS)
    return METRICS[name]


def of_kind(kind: Kind) -> tuple[Score, ...]:
    """All scores of a kind of task."""
    return tuple(score for score in METRICS.values() if score.kind == kind)


def deciding(name: str | None, kind: Kind) -> Score:
    """The score that was asked for, or the one that decides where none was.

    Raises:
        UserError: it judges another kind of task.
    """
    found = metric(name or DEFAULT[kind])
    if found.kind != kind:
        known = ", ".join(score.name for score in of_kind(kind))
        raise UserError(f"a metric of {kind}", f"{found.name}, one of {found.kind}", f"Choose among {known}.")
    return found
