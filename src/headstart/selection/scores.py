"""The transferability scores by name: each says how well features would serve a target before anything is trained.

GBC, PARC and NLEEP were tried and left out: between eleven sources on eleven targets their top picks lost 3.5, 1.3 and
0.4 points against the best in hindsight, leave-one-out accuracy 0.0 (benchmarks/bench_rank.py). LEEP needs a classifier
of the source's own, which half of the packaged sources do not have.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headstart.core.predictions import Floats, Ints
from headstart.linear.heads import Ridge
from headstart.selection.hscore import h_score
from headstart.selection.knn import knn_accuracy
from headstart.selection.logme import logme


@dataclass(frozen=True)
class Score:
    """One way to judge features; more is better, on the same examples only.

    Attributes:
        name: as it is asked for.
        of: (n, D) features, (n,) label codes and the number of classes -> the score.
        cost: how its time grows.
        paper: where it comes from.
        doc: what it is, and when to believe it.
    """

    name: str
    of: Callable[[Floats, Ints, int], float]
    cost: str
    paper: str
    doc: str


def ridge_accuracy(features: Floats, targets: Ints, outputs: int) -> float:
    """Exact leave-one-out accuracy of the linear head that a closed-form arm would fit: see `headstart.linear.ridge`.

    Golub, Heath and Wahba 1979. O(n D min(n, D)), once for all classes and penalties.

    Good at being what it predicts: frozen features under a linear head. Bad at close candidates, between which its
    steps of 1/n decide, and at features that fine-tuning would change.
    """
    loo = Ridge.fit([features], targets, outputs, None).loo
    return float((loo.argmax(axis=1) == targets).mean())


SCORES: Mapping[str, Score] = {
    score.name: score
    for score in (
        Score(
            "ridge-loo", ridge_accuracy, "O(n D min(n, D))", "Golub, Heath and Wahba 1979, doi:10.2307/1268518",
            "Leave-one-out accuracy of a linear head; an estimate of what frozen features reach.",
        ),
        Score(
            "knn-loo", knn_accuracy, "O(n^2 D)", "Sorkhei et al. 2025, arXiv 2503.18528",
            "Leave-one-out accuracy of the nearest neighbour by cosine; sees what is not linear, counts duplicates.",
        ),
        Score(
            "logme", logme, "O(n D min(n, D))", "You et al. 2021, arXiv 2102.11005",
            "Log evidence of the labels under a Bayesian linear model; for few examples, partial to wide features.",
        ),
        Score(
            "h-score", h_score, "O(n D min(n, D))", "Bao et al. 2019; Ibrahim et al. 2021, arXiv 2110.06893",
            "Variance between classes over shrunk total variance; cheap, and partial to wide features.",
        ),
    )
}  # fmt: skip
