"""What the delivered model's answers show on the page, for each kind of task."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from headstart.core.problem import Kind
from headstart.core.record import Record
from headstart.report import charts, tables
from headstart.report.inputs import Outputs

Shown = dict[str, Any]


def answers(found: Outputs | None, record: Record) -> Shown | None:
    """Charts and tables of the answers; None where no predictions were kept."""
    if found is None:
        return None
    empty = {"matrix": None, "scatter": None, "per_class": [], "confused": [], "calibration": None}
    return {**empty, "on": found.on, "n": len(set(found.names)), **_OF[found.kind](found, record)}


def _classes(found: Outputs, record: Record) -> Shown:
    """The confusion matrix, classes, pairs that are mixed up, calibration."""
    matrix, classes, weights = tables.counts(found), found.classes, found.weights()
    shown = tables.hardest(matrix, charts.MATRIX_CLASSES)
    right = found.probabilities.argmax(axis=1) == found.truth
    curves = [("as learned", found.probabilities), ("as delivered", found.scaled())]
    return {
        "shown": len(shown),
        "classes": len(classes),
        "matrix": charts.confusion(matrix[shown][:, shown], [classes[i] for i in shown]),
        "per_class": tables.per_class(matrix, classes, record.data.n_per_class),
        "confused": tables.confused(matrix, classes) if len(classes) > 2 else [],
        "calibration": charts.calibration([(label, p.max(axis=1), right, weights) for label, p in curves]),
    }


def _labels(found: Outputs, record: Record) -> Shown:
    """Labels one by one, and how far their probabilities may be believed."""
    weights, true = np.repeat(found.weights(), found.truth.shape[1]), found.truth.ravel() > 0
    curves = [("as learned", found.probabilities.ravel()), ("as delivered", found.scaled().ravel())]
    sides = [(label, np.maximum(p, 1 - p), (p >= 0.5) == true, weights) for label, p in curves]
    return {
        "classes": len(found.classes),
        "per_class": tables.per_label(found, record.data.n_per_class),
        "calibration": charts.calibration(sides),
    }


def _numbers(found: Outputs, record: Record) -> Shown:
    """What was said against what was true."""
    off = record.calibration.off
    return {"scatter": charts.scatter(found.truth, found.probabilities[:, 0], off, record.tasks[0].name)}


_OF: Mapping[Kind, Callable[[Outputs, Record], Shown]] = MappingProxyType(
    {"classification": _classes, "multi-label": _labels, "regression": _numbers}
)
