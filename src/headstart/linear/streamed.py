"""Ridge with exact leave-one-out from blocks of rows: a million examples never stand in memory.

Pass one gathers means, Gram matrix and X'Y (2 n D^2 operations, half of them saved by symmetry); one eigendecomposition
follows (about 9 D^3). Pass two turns each block into the eigenbasis (2 n D^2) and sums the leave-one-out errors of all
penalties (2 n D P (C + 1)). Pass three predicts (2 n D C), which gives the leave-one-out predictions of the best one.
Memory: a few D x D matrices, a few blocks, and P + 2 C numbers an example. All in float64, whatever the features are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.core.predictions import Floats
from headstart.linear.path import FLOOR, PENALTIES, Array, Solution, normalised, sweep

Rows = Callable[[], Iterable[Floats]]
"""Every call is a new pass over the same (b, D) blocks in the same order; the last axis has all stages side by side."""

BLOCK = 2048  # rows: matrix products at full speed, and 20 MB of float64 at 1,280 features
CONSTANT = 1e-7  # a deviation below this share of the largest feature is rounding of float32


def side_by_side(stages: Sequence[Floats], block: int = BLOCK) -> Rows:
    """(n, D) arrays of the same examples, in memory or mapped from disk, as passes over blocks of rows."""

    def one_pass() -> Iterator[Floats]:
        for at in range(0, len(stages[0]), block):
            yield np.hstack([stage[at : at + block] for stage in stages])

    return one_pass


def scales(mean: Array, variance: Array, share: float = 1.0) -> Array:
    """(D,) divisors to one deviation and a total variance of `share`; infinite for constant features.

    No feature is blown up more than the median one. A nearly dead unit of a pre-trained net, divided by its own tiny
    deviation, would weigh as much as the best and be noise on new examples, which leave-one-out, with its scales held
    fixed, does not see. The last layer of an EfficientNet has hundreds of them on data that is unlike its own.
    """
    deviation = np.sqrt(variance)
    magnitude = float(np.sqrt((mean**2 + variance).max(initial=0.0)))
    alive = deviation > CONSTANT * max(magnitude, 1e-12)
    if not alive.any():
        return np.full_like(deviation, np.inf)
    floored = np.maximum(deviation, np.median(deviation[alive]))
    total = float(((deviation[alive] / floored[alive]) ** 2).sum())
    return np.where(alive, floored * np.sqrt(total / share), np.inf)


@dataclass(frozen=True)
class Moments:
    """Weighted means and centred second moments of features and targets.

    Attributes:
        mean: (D,) of the features.
        offset: (C,) mean of the targets.
        gram: (D, D) sum of weighted products of centred features.
        cross: (D, C) the same of features with targets.
    """

    mean: Array
    offset: Array
    gram: Array
    cross: Array


def moments(rows: Rows, targets: Array, mass: Array) -> Moments:
    """One pass; (n, C) targets and (n,) weights.

    Every block is centred by its own mean and joined with what came before as Chan, Golub and LeVeque (1983) do: one
    more row a block stands for the distance of the means, so that nothing is lost where means are large.

    Raises:
        ValueError: the blocks do not have as many rows as there are targets.
    """
    mean, offset, gram, cross, total = np.zeros(0), np.zeros(targets.shape[1]), np.zeros(0), np.zeros(0), 0.0
    for part, block in numbered(rows, len(targets)):
        if not total:
            mean, dim = np.zeros(block.shape[1]), block.shape[1]
            gram, cross = np.zeros((dim, dim)), np.zeros((dim, len(offset)))
        own = float(mass[part].sum())
        joint = np.sqrt(total * own / (total + own))
        features, mean = _joined(block, mass[part], mean, joint, own / (total + own))
        wanted, offset = _joined(targets[part], mass[part], offset, joint, own / (total + own))
        gram += features.T @ features  # numpy knows the product as symmetric and makes half of it
        cross += features.T @ wanted
        total += own
    return Moments(mean, offset, gram, cross)


def _joined(block: Floats, mass: Array, mean: Array, joint: float, share: float) -> tuple[Array, Array]:
    """(b + 1, D) rows whose products update the centred second moments, and the mean of all rows so far."""
    out = np.empty((len(block) + 1, block.shape[1]))
    out[:-1] = block
    own = mass @ out[:-1] / mass.sum()
    out[:-1] -= own
    out[:-1] *= np.sqrt(mass)[:, None]
    out[-1] = joint * (own - mean)
    return out, mean + share * (own - mean)


def solve_rows(
    rows: Rows,
    targets: Array,
    penalties: Array = PENALTIES,
    weights: Floats | None = None,
    widths: Sequence[int] | None = None,
) -> Solution:
    """The best ridge on features that come in blocks of rows, standardised; three passes.

    Args:
        rows: starts a pass over (b, D) blocks of any float type, as `side_by_side` makes of mapped arrays. For a table
            of the cache: `lambda: (table.get(keys[at : at + 2048]) for at in range(0, len(keys), 2048))`.
        targets: (n, C), in the order of the rows.
        penalties: (P,) times the mean eigenvalue of the Gram matrix.
        weights: (n,) positive; only their ratios matter. None counts every example once.
        widths: how many features each stage has; stages get equal total variance. None is one stage.

    Raises:
        ValueError: the rows or the weights are not as many as the targets, or a weight is not positive.
    """
    mass = normalised(weights, len(targets))
    found = moments(rows, targets, mass)
    values, basis = eigenbasis(found, len(targets), widths)
    absolute = np.asarray(penalties) * max(float(values.sum()) / len(targets), FLOOR)
    filters = 1.0 / (values + absolute[:, None])
    projected = basis.T @ found.cross

    left, errors = np.empty((len(targets), len(absolute))), np.zeros(len(absolute))
    for part, block in numbered(rows, len(targets)):
        root = np.sqrt(mass[part])[:, None]
        rotated = np.subtract(block, found.mean, dtype=np.float64) @ basis
        rotated *= root
        wanted = root * (targets[part] - found.offset)
        left[part], squares = sweep(rotated, filters, projected, wanted, mass[part] / len(targets))
        errors += squares / targets.size

    at = int(errors.argmin())
    weight = basis @ (filters[at][:, None] * projected)
    bias = found.offset - found.mean @ weight
    loo = targets - (targets - scores(rows, weight, bias, len(targets))) / left[:, at, None]
    return Solution(weight, bias, loo, absolute, errors)


def scores(rows: Rows, weight: Floats, bias: Floats, examples: int) -> Array:
    """(n, C) of a linear layer; one pass.

    Raises:
        ValueError: the blocks do not have as many rows as there are examples.
    """
    out = np.empty((examples, len(bias)))
    for part, block in numbered(rows, examples):
        out[part] = block.astype(np.float64) @ weight + bias
    return out


def eigenbasis(found: Moments, examples: int, widths: Sequence[int] | None = None) -> tuple[Array, Array]:
    """(D,) eigenvalues of the Gram matrix of standardised features, and (D, D) from centred raw features to its basis.

    `widths` says how many features each stage has; stages get equal total variance. None is one stage.
    """
    variance, ends = np.diag(found.gram) / examples, np.cumsum(widths or [len(found.mean)])
    stages = zip(np.split(found.mean, ends[:-1]), np.split(variance, ends[:-1]), strict=True)
    inverse = 1.0 / np.concatenate([scales(mean, own, 1.0 / len(ends)) for mean, own in stages])
    values, basis = np.linalg.eigh(found.gram * inverse[:, None] * inverse)
    return np.maximum(values, 0.0), basis * inverse[:, None]


def numbered(rows: Rows, examples: int) -> Iterator[tuple[slice, Floats]]:
    """Blocks and where they stand among the examples."""
    at = 0
    for block in rows():
        part = slice(at, at + len(block))
        at = part.stop
        if at > examples:
            break
        yield part, block
    if at != examples:
        raise ValueError(f"expected blocks of {examples} rows in all, one for each target, got at least {at}")
