"""Transferability scores that headstart does not have, to see whether they would add anything: GBC, PARC, NLEEP.

LEEP itself needs the probabilities of the source's own classifier, which half of the sources here do not have; NLEEP
is LEEP on clusters instead.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.mixture import GaussianMixture

Array = NDArray[np.float64]


def principal(features: NDArray[np.floating], most: int, energy: float = 1.0) -> Array:
    """(n, k) scores on the first principal components: at most `most`, no more than hold that share of the variance."""
    centred = features.astype(np.float64) - features.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    share = np.cumsum(values**2) / (values**2).sum()
    kept = min(most, int(np.searchsorted(share, energy)) + 1, len(features) - 1)
    return left[:, :kept] * values[:kept]


def gbc(features: NDArray[np.floating], targets: NDArray[np.integer], outputs: int) -> float:
    """Gaussian Bhattacharyya coefficient (Pandy et al. 2022, arXiv 2111.12780): spherical, on 64 components."""
    rows = principal(features, 64)
    present = [code for code in range(outputs) if (targets == code).any()]
    means = np.array([rows[targets == code].mean(axis=0) for code in present])
    spread = np.array([max(rows[targets == code].var(axis=0).mean(), 1e-9) for code in present])
    joint = (spread[:, None] + spread) / 2
    squared = ((means[:, None] - means) ** 2).sum(axis=2)
    distance = squared / (8 * joint) + rows.shape[1] / 2 * np.log(joint / np.sqrt(spread[:, None] * spread))
    return float(-(np.exp(-distance).sum() - len(present)))


def parc(features: NDArray[np.floating], targets: NDArray[np.integer], outputs: int) -> float:  # noqa: ARG001 - as the others
    """Rank correlation of the pairwise distances in features and in labels (Bolya et al. 2021, arXiv 2111.06977)."""
    lower = np.tril_indices(len(targets), -1)
    apart = 1 - np.corrcoef(principal(features, 32))[lower]
    other = (targets[:, None] != targets)[lower]
    return float(spearmanr(apart, other).statistic)


def nleep(features: NDArray[np.floating], targets: NDArray[np.integer], outputs: int) -> float:
    """LEEP on the posteriors of a Gaussian mixture (Li et al. 2021), five components a class where examples allow."""
    rows = principal(features, 64, 0.8)
    mixture = GaussianMixture(min(5 * outputs, len(rows) // 3), covariance_type="diag", max_iter=20, random_state=0)
    posterior = mixture.set_params(reg_covar=1e-3 * float(rows.var())).fit(rows).predict_proba(rows)
    joint = np.stack([posterior[targets == code].sum(axis=0) for code in range(outputs)]) / len(rows)
    conditional = joint / np.maximum(joint.sum(axis=0), 1e-12)
    return float(np.log(np.maximum((posterior @ conditional.T)[np.arange(len(rows)), targets], 1e-12)).mean())


RIVALS = {"gbc": gbc, "parc": parc, "nleep": nleep}
