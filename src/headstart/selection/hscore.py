"""Regularised H-score: how much of the features' variance lies between the classes."""

import numpy as np

from headstart.core.predictions import Floats, Ints
from headstart.linear.path import one_hot
from headstart.selection.spectrum import Array, finite, spectrum


def h_score(features: Floats, targets: Ints, outputs: int) -> float:
    """tr(S_a^-1 (1 - a) B): B the covariance of the class means, S_a that of the features after Ledoit and Wolf.

    Bao et al. 2019 (H-score, tr(S^-1 B)), Ibrahim, Ponomareva and Mazumder 2021, arXiv 2110.06893 (regularised). From 0
    to one less than the number of classes. O(n D min(n, D)): with fewer examples than features the inverse is taken
    among the examples, and no (D, D) matrix is made.

    Good at being free of any choice, and at telling noise from signal in features of one kind. Bad at stages of real
    nets, which it all but ranks by width, and without the shrinkage useless at few examples: any features wider than
    the examples are many separate them (benchmarks/bench_logme.py has both). It knows nothing of what a classifier
    would do between the class means.

    Args:
        features: (n, D).
        targets: (n,) label codes.
        outputs: how many classes there are.

    Raises:
        ValueError: the features are not finite.
    """
    shifted = finite(features) - features[0]  # first, so that rounding makes no variance of a constant feature
    centred = shifted - shifted.mean(axis=0)
    members = one_hot(targets, outputs)
    counts = np.maximum(members.sum(axis=0), 1)  # an empty class has no mean, and no weight
    known = spectrum(centred, members)
    variances = known.values / known.n
    if not variances.any():
        return 0.0  # all features are constant
    shrinkage = ledoit_wolf(variances, (centred**2).sum(axis=1), centred.shape[1])
    kept = (1 - shrinkage) * variances
    shrunk = kept + shrinkage * variances.sum() / centred.shape[1]
    share = np.divide(kept, shrunk, out=np.zeros_like(kept), where=kept > 0)
    return float((share @ known.squares / counts).sum())


def ledoit_wolf(variances: Array, lengths: Array, dim: int) -> float:
    """How far the covariance is best drawn towards a multiple of the identity, 0 to 1.

    Ledoit and Wolf 2004, doi:10.1016/S0047-259X(03)00096-4; here from the spectrum.

    Args:
        variances: non-zero eigenvalues of the covariance of centred examples; zeros do no harm.
        lengths: (n,) squared lengths of the centred examples.
        dim: features.
    """
    squared = (variances**2).sum()
    distance = squared - variances.sum() ** 2 / dim  # to the nearest multiple of the identity
    noise = ((lengths**2).mean() - squared) / len(lengths)
    return float(min(noise / distance, 1.0)) if distance > 0 else 0.0
