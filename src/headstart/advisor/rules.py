"""The textbook's rule of size x similarity, on measured quantities. A prior, never the decision.

Small means fewer than 100 labels a class: where a frozen head, in small experiments on digits, still competed with
fine-tuning.
Similar means that the last stage is, within the margin, at least as good as every earlier one, and better than random
features: a source that saw something alike keeps getting better towards its output.
"""

from collections.abc import Sequence

from headstart.core.record import Advice, StageScore
from headstart.selection.distance.stage_gap import stage_gaps

SMALL = 100.0
MARGIN = 0.01  # of accuracy: a smaller difference between stages is nobody's
QUADRANTS = {
    (True, True): ("small and similar", "a linear head on the last stage"),
    (True, False): ("small and different", "a head on an earlier stage"),
    (False, True): ("large and similar", "fine-tuning everything"),
    (False, False): ("large and different", "fine-tuning, or training from scratch; pre-trained weights still help"),
}


def advice(n_per_class: float, curve: Sequence[StageScore], random_floor: float, p_helps: float | None) -> Advice:
    """Size from the labels, similarity from the stage curve of the source whose last stage is best.

    Args:
        n_per_class: labels divided by classes.
        curve: leave-one-out accuracy of each stage of each source.
        random_floor: the same of an untrained net's features.
        p_helps: probability that transfer helps, as the comparison has measured it.
    """
    best = max(stage_gaps(curve, random_floor), key=lambda gap: gap.last)
    similar = best.over_earlier >= -MARGIN and best.over_random > 0
    name, _ = QUADRANTS[n_per_class < SMALL, similar]
    return Advice(
        n_per_class=n_per_class,
        similarity=best.over_earlier,
        over_random=best.over_random,
        quadrant=name,
        p_helps=p_helps,
    )


def says(quadrant: str) -> str:
    """What the textbook would do in a quadrant."""
    return next(what for name, what in QUADRANTS.values() if name == quadrant)
