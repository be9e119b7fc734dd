"""Ridge regression on one-hot labels, every penalty at once, with exact leave-one-out: see `path` for how.

One eigendecomposition serves all penalties: of F'F, from row blocks, where examples are many (`streamed`), of FF'
where features are (here). Features are standardised first, with scales that leave-one-out holds fixed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from headstart.core.predictions import Floats
from headstart.linear.path import FLOOR, PENALTIES, Array, Solution, normalised, sweep
from headstart.linear.streamed import scales, side_by_side, solve_rows


@dataclass(frozen=True)
class Standardised:
    """Features centred and scaled by what the training part says.

    Args:
        mean: (D,) of the training features.
        scale: (D,) divisors; constant features get infinity, so that they say nothing.
    """

    mean: Floats
    scale: Floats

    def __call__(self, features: Floats) -> Array:
        """(n, D) features in the units of the fit, float64."""
        return (features.astype(np.float64) - self.mean) / self.scale


def standardise(features: Floats, share: float = 1.0, weights: Floats | None = None) -> Standardised:
    """Mean 0 and one deviation a feature (`scales` says of which), then total variance `share` over all of them.

    The share lets several stages be put side by side without the widest one drowning the others.
    """
    wide, mass = features.astype(np.float64), normalised(weights, len(features))
    mean = mass @ wide / len(wide)
    return Standardised(mean, scales(mean, mass @ (wide - mean) ** 2 / len(wide), share))


def standardise_stages(blocks: Sequence[Floats], weights: Floats | None = None) -> Standardised:
    """Stages side by side, each with the same total variance."""
    each = [standardise(block, 1.0 / len(blocks), weights) for block in blocks]
    return Standardised(np.concatenate([s.mean for s in each]), np.concatenate([s.scale for s in each]))


def solve_features(
    blocks: Sequence[Floats], targets: Array, penalties: Array = PENALTIES, weights: Floats | None = None
) -> Solution:
    """The best ridge on stages side by side, by the smaller of the two Gram matrices.

    Where examples outnumber features, float64 copies are made of a few thousand rows at a time: memory-mapped features
    stay on disk.

    Args:
        blocks: (n, D) features of each stage, of any float type; stages get equal total variance.
        targets: (n, C).
        penalties: (P,) times the mean eigenvalue of the Gram matrix.
        weights: (n,) positive; only their ratios matter. None counts every example once.

    Raises:
        ValueError: the weights do not fit the examples.
    """
    widths = [block.shape[1] for block in blocks]
    if sum(widths) < len(targets):
        return solve_rows(side_by_side(blocks), targets, penalties, weights, widths)
    scaler = standardise_stages(blocks, weights)
    features = scaler(np.hstack(blocks))
    dual = solve_gram(features @ features.T, targets, penalties, weights)
    weight = features.T @ dual.weight / scaler.scale[:, None]
    return replace(dual, weight=weight, bias=dual.bias - scaler.mean @ weight)


def solve_gram(gram: Array, targets: Array, penalties: Array = PENALTIES, weights: Floats | None = None) -> Solution:
    """The best ridge from an (n, n) Gram or kernel matrix whose rows and columns have (weighted) mean 0."""
    mass = normalised(weights, len(targets))
    root, offset = np.sqrt(mass)[:, None], mass @ targets / len(targets)
    wanted = root * (targets - offset)
    values, basis = np.linalg.eigh(gram if weights is None else root * gram * root.T)
    values[values < len(values) * np.finfo(float).eps * values[-1]] = 0.0  # the mean's direction, up to rounding
    absolute = np.asarray(penalties) * max(float(values.mean()), FLOOR)
    filters = values / (values + absolute[:, None])
    projected = basis.T @ wanted
    left, squares = sweep(basis, filters, projected, wanted, mass / len(mass))
    errors = squares / targets.size
    at = int(errors.argmin())
    residuals = wanted - basis @ (filters[at][:, None] * projected)
    dual = root * (basis @ (projected / (values + absolute[at])[:, None]))
    return Solution(dual, offset, targets - residuals / root / left[:, at, None], absolute, errors)
