"""Multinomial logistic regression with an L2 penalty, by L-BFGS (Liu and Nocedal 1989) in an eigenbasis.

The Gram matrix of features gives, with uniform probabilities, the exact Hessian at the start: (1/C)(I - 11'/C) for
classes times F'F for features. In its eigenbasis, scaled by its diagonal, the problem is well conditioned whatever the
features' spectrum is; Boehning (1992) bounds the Hessian by the same product all the way. Neither changes the optimum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from headstart.core.predictions import Floats, Ints
from headstart.linear.path import Array, normalised
from headstart.linear.ridge import standardise_stages
from headstart.linear.streamed import Rows, eigenbasis, moments, numbered, scores, side_by_side
from headstart.metrics.calibration import softmax

GRADIENT = 1e-5  # stop there; of a standard error, which is about one in these coordinates
LONGEST = 1000  # iterations; tens are usual
RANK = 1e-12  # of the largest eigenvalue; below is rounding


@dataclass(frozen=True)
class Logistic:
    """A fitted linear classifier.

    Exact leave-one-out has no closed form here, so that it is no `Head`: choose the penalty on folds.

    Attributes:
        weight: (D, C) on raw features of all blocks side by side.
        bias: (C,); -inf for a class without an example.
        passes: how often the data was gone through.
        gradient: the largest component that is left of the gradient; above `GRADIENT` where rounding stopped it.
    """

    weight: Array
    bias: Array
    passes: int
    gradient: float

    def predict(self, blocks: Sequence[Floats]) -> Floats:
        """(n, C) probabilities."""
        return softmax(scores(side_by_side(blocks), self.weight, self.bias, len(blocks[0])))


@dataclass(frozen=True)
class _Problem:
    """Loss and gradient over (k + 1, C) coordinates: k eigenvectors and the intercept.

    Attributes:
        basis: (D, k) from coordinates to weights on raw features.
        decay: (k,) penalty of the square of a coordinate.
        unit: of the intercept's coordinate.
    """

    rows: Rows
    codes: Ints
    mass: Array
    mean: Array
    basis: Array
    decay: Array
    unit: float

    def layer(self, at: Array) -> tuple[Array, Array]:
        """(D, C) weight and (C,) bias of (k + 1, C) coordinates."""
        weight = self.basis @ at[:-1]
        return weight, self.unit * at[-1] - self.mean @ weight

    def __call__(self, flat: Array) -> tuple[float, Array]:
        at = flat.reshape(len(self.decay) + 1, -1)
        weight, bias = self.layer(at)
        loss, cross, total = 0.0, np.zeros_like(weight), np.zeros_like(bias)
        for part, block in numbered(self.rows, len(self.codes)):
            features, mine = block.astype(np.float64), (np.arange(len(block)), self.codes[part])
            logits = features @ weight + bias
            logits -= logits.max(axis=1, keepdims=True)
            pull = np.exp(logits)
            sums = pull.sum(axis=1)
            loss += float(self.mass[part] @ (np.log(sums) - logits[mine]))
            pull /= sums[:, None]
            pull[mine] -= 1.0
            pull *= self.mass[part][:, None]
            cross += features.T @ pull
            total += pull.sum(axis=0)
        inner = self.basis.T @ (cross - np.outer(self.mean, total)) + self.decay[:, None] * at[:-1]
        loss += 0.5 * float(self.decay @ (at[:-1] ** 2).sum(axis=1))
        return loss, np.vstack([inner, self.unit * total]).ravel()


def fit_logistic(
    blocks: Sequence[Floats], targets: Ints, classes: int, penalty: float, weights: Floats | None = None
) -> Logistic:
    """Minimise sum_i w_i log loss_i + penalty / 2 |W|^2 over features that are standardised as ridge does it.

    The intercept is free. Where examples outnumber features, float64 copies are made of a few thousand rows at a time.

    Args:
        blocks: (n, D) features of each stage, of any float type, in memory or mapped; stages get equal total variance.
        targets: (n,) label codes.
        classes: C; those without an example get probability 0.
        penalty: of the same unit as ridge's; above 0, or separable classes would have no optimum.
        weights: (n,) positive, such as `path.balanced`; only their ratios matter.

    Raises:
        ValueError: the penalty is not positive, or the weights do not fit the examples.
    """
    if not penalty > 0:
        raise ValueError(f"expected a penalty above 0, got {penalty}")
    present, codes = np.unique(targets, return_inverse=True)
    mass = normalised(weights, len(codes))
    mean, basis, values = _spectrum(blocks, mass)
    unit = 1.0 / np.sqrt(values / len(present) + penalty)
    problem = _Problem(
        side_by_side(blocks), codes, mass, mean, basis * unit, penalty * unit**2, np.sqrt(len(present) / len(codes))
    )
    found = minimize(
        problem,
        np.zeros((len(values) + 1) * len(present)),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": LONGEST, "maxcor": 20, "gtol": GRADIENT, "ftol": 1e-15},
    )
    weight, bias = np.zeros((len(mean), classes)), np.full(classes, -np.inf)
    weight[:, present], bias[present] = problem.layer(found.x.reshape(-1, len(present)))
    return Logistic(weight, bias, int(found.nfev), float(np.abs(found.jac).max()))


def _spectrum(blocks: Sequence[Floats], mass: Array) -> tuple[Array, Array, Array]:
    """(D,) mean, (D, k) from centred raw features to the eigenbasis, (k,) eigenvalues; k is D, or n where that is less.

    The penalised optimum lies in the span of the examples, so that with few of them nothing is lost.
    """
    widths = [block.shape[1] for block in blocks]
    if sum(widths) < len(mass):
        found = moments(side_by_side(blocks), np.empty((len(mass), 0)), mass)
        values, basis = eigenbasis(found, len(mass), widths)
        return found.mean, basis, values
    scaler, root = standardise_stages(blocks, mass), np.sqrt(mass)[:, None]
    features = scaler(np.hstack(blocks)) * root
    values, basis = np.linalg.eigh(features @ features.T)
    alive = values > RANK * values[-1]
    values, basis = values[alive], basis[:, alive]
    lifted = features.T @ (basis / np.sqrt(values)) / scaler.scale[:, None]
    return np.asarray(scaler.mean, np.float64), np.asarray(lifted, np.float64), values
