"""The rules that decide between the best transfer arm and the strongest control, each by one number and a threshold.

All see the same two arms, on the same labels. `ours` is not among them: it is the shipped `decide`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from headstart.data.split import FOLDS
from headstart.metrics.intervals import group_weights


@dataclass(frozen=True)
class Pair:
    """What a rule may look at.

    Attributes:
        right: (2, R, n) out-of-fold hits of transfer and of the control.
        maps: (R, n) their folds.
        held: (2,) accuracies on a 30 % hold-out.
        helps: the outlook; None where there is none.
        seed: of the bootstrap.
    """

    right: np.ndarray
    maps: np.ndarray
    held: np.ndarray
    helps: float | None
    seed: int

    @property
    def ahead(self) -> np.ndarray:
        """(R, n) 1 where only transfer is right, -1 where only the control is."""
        return self.right[0].astype(float) - self.right[1]


def holdout(pair: Pair) -> float:
    """Difference on a 30 % hold-out."""
    return float(pair.held[0] - pair.held[1])


def mean(pair: Pair) -> float:
    """Mean difference of repeated cross-validation."""
    return float(pair.ahead.mean())


def nadeau_bengio(pair: Pair) -> float:
    """One minus the one-sided p of the corrected resampled t (Nadeau and Bengio 2003)."""
    parts = [
        ahead[folds == fold].mean() for ahead, folds in zip(pair.ahead, pair.maps, strict=True) for fold in range(FOLDS)
    ]
    spread = (1 / len(parts) + 1 / (FOLDS - 1)) * np.var(parts, ddof=1)
    middle = float(np.mean(parts))
    return float(student.cdf(middle / np.sqrt(spread), len(parts) - 1)) if spread > 0 else float(middle > 0)


def bootstrap(pair: Pair) -> float:
    """Share of bootstrap draws, as they are, in which transfer is better."""
    each = pair.ahead.mean(axis=0)
    weights = group_weights(np.arange(len(each)), pair.seed)
    return float((weights @ each > 0).mean())


def foretold(pair: Pair) -> float:
    """The outlook alone."""
    return 0.0 if pair.helps is None else pair.helps


RULES: Mapping[str, Callable[[Pair], float]] = {
    "30 % hold-out difference": holdout, "repeated CV mean": mean, "Nadeau-Bengio": nadeau_bengio,
    "bootstrap": bootstrap, "outlook alone": foretold,
}  # fmt: skip
AS_USED = {
    "30 % hold-out difference": {"> 0": 0.0}, "repeated CV mean": {"> 0": 0.0},
    "Nadeau-Bengio": {"p < 0.05": 0.95, "p < 0.2": 0.8}, "bootstrap": {"p < 0.05": 0.95, "p < 0.2": 0.8},
    "outlook alone": {"> 0.5": 0.5},
}  # fmt: skip


def curve(scores: np.ndarray, gain: np.ndarray, margin: float) -> np.ndarray:
    """(T, 3) harm, gain kept and threshold of a rule, from the strictest threshold to the laxest.

    Args:
        scores: (k,) of tasks; transfer is delivered where they are above the threshold.
        gain: (k,) true gain of transfer.
        margin: a loss beyond it is harm.
    """
    thresholds = np.concatenate([[np.inf], np.unique(scores)[::-1], [-np.inf]])
    taken = scores > thresholds[:, None]
    harm = (taken & (gain < -margin)).mean(axis=1)
    return np.stack([harm, taken @ gain / np.maximum(gain, 0).sum(), thresholds], axis=1)


def kept_at(rule: np.ndarray, harm: float) -> float:
    """The most that any threshold of the rule keeps with at most that harm."""
    return float(rule[rule[:, 0] <= harm, 1].max())
