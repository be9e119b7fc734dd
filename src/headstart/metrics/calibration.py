"""Are the probabilities worth their name? Temperature scaling and expected calibration error (Guo et al. 2017)."""

from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from headstart.core.predictions import Floats, Ints

COLDEST, HOTTEST = 0.05, 20.0


def scale(probabilities: Floats, temperature: float) -> Floats:
    """(n, C) probabilities with their logits divided by the temperature."""
    logits = np.log(np.clip(probabilities, 1e-12, 1.0)) / temperature
    return softmax(logits)


def softmax(logits: Floats) -> Floats:
    """(n, C) logits -> probabilities."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def fit_temperature(probabilities: Floats, truth: Ints) -> float:
    """The temperature in 0.05 .. 20 that minimises the log loss of n out-of-fold probabilities.

    Where all of them are right the loss alone would call the model certain. So no lower one is taken than that with
    which it is sure of (n + 1) / (n + 2) on average: the rule of succession (Laplace 1814).
    """
    best = temperature(np.log(np.clip(probabilities, 1e-12, 1.0)), np.eye(probabilities.shape[1])[truth])
    most = 1 - 1 / (len(truth) + 2)

    def beyond(log_temperature: float) -> float:
        return float(scale(probabilities, np.exp(log_temperature)).max(axis=1).mean()) - most

    low, high = np.log(best), np.log(HOTTEST)
    if beyond(low) <= 0 or beyond(high) >= 0:
        return best if beyond(low) <= 0 else HOTTEST
    hotter: Any = brentq(beyond, low, high)
    return float(np.exp(hotter))


def temperature(logits: Floats, wanted: Floats) -> float:
    """What to divide (n, C) logits by, within 0.05 .. 20, for the least cross-entropy with (n, C) probabilities."""

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        top = scaled.max(axis=1)
        total = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float(np.mean(total - (wanted * scaled).sum(axis=1)))

    best = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(best.x))


def expected_calibration_error(probabilities: Floats, truth: Ints, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over `bins` equally wide bins of confidence, weighted by count."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == truth
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(which, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(truth))
