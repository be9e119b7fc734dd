"""What a kind of task makes of targets, and of scores: one class, any number of labels, a number.

Targets are (n,) label codes, (n, L) zeros and ones, or (n,) numbers. What a model states of n examples is (n, K): the
probabilities of classes, which sum to one; of labels, each by itself; or one number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from headstart.core.predictions import Floats, Ints, Targets
from headstart.core.problem import Kind
from headstart.metrics import calibration
from headstart.metrics.calibration import softmax

Doubles = NDArray[np.float64]

BINS = 10  # of equally many numbers, that folds are stratified by
A_BIN = 5  # examples at least


class Answers(Protocol):
    """One kind of task."""

    def wanted(self, targets: Targets, outputs: int) -> Doubles:
        """(n, K) numbers that least squares fits scores to."""
        ...

    def stated(self, scores: Floats) -> Floats:
        """(n, K) scores, or logits of a net, -> what is said."""
        ...

    def temperature(self, stated: Floats, targets: Targets) -> float:
        """What logits are divided by, so that probabilities may be believed; 1 where there are none."""
        ...

    def cooled(self, stated: Floats, temperature: float) -> Floats:
        """(n, K) what is said, with its logits divided by the temperature."""
        ...

    def right(self, stated: Floats, targets: Targets) -> Floats:
        """(n,) how right each is, whose mean is the accuracy of this kind; 1 is wholly right."""
        ...

    def seen(self, targets: Targets, outputs: int) -> Doubles:
        """(n, K) what each example adds to the sums that `constant` is made of."""
        ...

    def constant(self, sums: Floats, count: int) -> Floats:
        """What to say of any example, knowing no input: from (..., K) sums of what was seen of so many examples."""
        ...

    def strata(self, targets: Targets) -> Ints:
        """(n,) codes: folds get equal shares of each."""
        ...

    def calibration_error(self, stated: Floats, targets: Targets) -> float | None:
        """Mean gap between stated probabilities and how often they are right; None where none are stated."""
        ...


@dataclass(frozen=True)
class OneClass:
    """Each example has one class."""

    def wanted(self, targets: Targets, outputs: int) -> Doubles:
        """One-hot."""
        return self.seen(targets, outputs)

    def stated(self, scores: Floats) -> Floats:
        """Softmax."""
        return softmax(scores)

    def temperature(self, stated: Floats, targets: Targets) -> float:
        """By the log loss (Guo et al. 2017)."""
        return calibration.fit_temperature(stated, targets)

    def cooled(self, stated: Floats, temperature: float) -> Floats:
        """Rows still sum to one."""
        return calibration.scale(stated, temperature)

    def right(self, stated: Floats, targets: Targets) -> Floats:
        """Whether the most probable class is the true one: (n,) bool."""
        return stated.argmax(axis=1) == targets

    def seen(self, targets: Targets, outputs: int) -> Doubles:
        """One-hot."""
        return np.eye(outputs)[targets]

    def constant(self, sums: Floats, count: int) -> Floats:
        """The shares of the classes, as if each had been seen once more (Laplace)."""
        return (sums + 1) / (count + sums.shape[-1])

    def strata(self, targets: Targets) -> Ints:
        """The classes."""
        return targets

    def calibration_error(self, stated: Floats, targets: Targets) -> float | None:
        """Of the most probable class."""
        return calibration.expected_calibration_error(stated, targets)


@dataclass(frozen=True)
class AnyLabels:
    """Each example has any number of labels."""

    def wanted(self, targets: Targets, outputs: int) -> Doubles:
        """1 for a label that is there, -1 for one that is not."""
        return 2.0 * self.seen(targets, outputs) - 1.0

    def stated(self, scores: Floats) -> Floats:
        """Logistic, label by label."""
        return expit(scores)

    def temperature(self, stated: Floats, targets: Targets) -> float:
        """One for all labels: each is a choice between two."""
        return calibration.fit_temperature(_both(stated), np.asarray(targets).ravel())

    def cooled(self, stated: Floats, temperature: float) -> Floats:
        """Label by label."""
        return calibration.scale(_both(stated), temperature)[:, 1].reshape(stated.shape)

    def right(self, stated: Floats, targets: Targets) -> Floats:
        """Labels that are both stated (from 0.5 on) and true, among those that are either (Jaccard 1912).

        1 where there are none of either. Godbole and Sarawagi (2004) call its mean the accuracy of many labels.
        """
        said, true = stated >= 0.5, targets > 0
        either = (said | true).sum(axis=1)
        return np.where(either > 0, (said & true).sum(axis=1) / np.maximum(either, 1), 1.0)

    def seen(self, targets: Targets, outputs: int) -> Doubles:  # noqa: ARG002 - a column a label
        """The targets."""
        return np.asarray(targets, dtype=np.float64)

    def constant(self, sums: Floats, count: int) -> Floats:
        """How often each label is there, as if it had been seen and missed once more."""
        return (sums + 1) / (count + 2)

    def strata(self, targets: Targets) -> Ints:
        """The rarest label of each example, so that the rare ones get into every fold; L where there is none."""
        commonness = np.where(targets > 0, targets.sum(axis=0), np.inf)
        rarest = commonness.argmin(axis=1)
        return np.where(np.isfinite(commonness.min(axis=1)), rarest, targets.shape[1])

    def calibration_error(self, stated: Floats, targets: Targets) -> float | None:
        """Over all labels of all examples."""
        return calibration.expected_calibration_error(_both(stated), np.asarray(targets).ravel())


def _both(stated: Floats) -> Floats:
    """(n, L) probabilities -> (n L, 2): of not having the label, and of having it."""
    flat = stated.reshape(-1, 1)
    return np.hstack([1 - flat, flat])


@dataclass(frozen=True)
class Number:
    """Each example has a number."""

    def wanted(self, targets: Targets, outputs: int) -> Doubles:
        """The number."""
        return self.seen(targets, outputs)

    def stated(self, scores: Floats) -> Floats:
        """As they are."""
        return scores

    def temperature(self, stated: Floats, targets: Targets) -> float:  # noqa: ARG002 - nothing to scale
        """Nothing is divided."""
        return 1.0

    def cooled(self, stated: Floats, temperature: float) -> Floats:  # noqa: ARG002
        """As it is."""
        return stated

    def right(self, stated: Floats, targets: Targets) -> Floats:
        """1 less the squared error over the variance of these targets: the mean is R2."""
        return 1.0 - (stated[:, 0] - targets) ** 2 / max(float(np.var(targets)), np.finfo(float).tiny)

    def seen(self, targets: Targets, outputs: int) -> Doubles:  # noqa: ARG002 - one
        """The number."""
        return np.asarray(targets, dtype=np.float64)[:, None]

    def constant(self, sums: Floats, count: int) -> Floats:
        """The mean."""
        return sums / max(count, 1)

    def strata(self, targets: Targets) -> Ints:
        """Bins of equally many, from the smallest numbers to the largest."""
        bins = int(np.clip(len(targets) // A_BIN, 1, BINS))
        ranks = np.argsort(np.argsort(targets, kind="stable"), kind="stable")
        return ranks * bins // max(len(targets), 1)

    def calibration_error(self, stated: Floats, targets: Targets) -> float | None:  # noqa: ARG002
        """Numbers come without probabilities."""
        return None


KINDS: Mapping[Kind, Answers] = MappingProxyType(
    {"classification": OneClass(), "multi-label": AnyLabels(), "regression": Number()}
)
