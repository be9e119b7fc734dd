"""The textbook's rule of size x similarity, on measured quantities. A prior, never the decision.

Small means fewer than 100 labels a class: where a frozen head, in small experiments on digits, still competed with
fine-tuning.
Similar means that the last stage is, within the margin, at least as good as every earlier one, and better than random
features: a source that saw something alike keeps getting better towards its output.
"""

from headstart.core.record import Advice
from headstart.selection.outlook import Outlook, Signs

SMALL = 100.0
MARGIN = 0.01  # of accuracy: a smaller difference between stages is nobody's
QUADRANTS = {
    (True, True): ("small and similar", "a linear head on the last stage"),
    (True, False): ("small and different", "a head on an earlier stage"),
    (False, True): ("large and similar", "fine-tuning everything"),
    (False, False): ("large and different", "fine-tuning, or training from scratch; pre-trained weights still help"),
}


def advice(signs: Signs, outlook: Outlook | None) -> Advice:
    """Size from the labels, similarity from the source whose last stage is best, the chance from the bank.

    Args:
        signs: what leave-one-out has shown.
        outlook: what the bank makes of it, if it has tasks of this kind.
    """
    over_earlier = 0.0 if signs.earlier is None else signs.last - signs.earlier
    over_random, n_per_class = signs.last - signs.random, signs.examples / signs.classes
    name, _ = QUADRANTS[n_per_class < SMALL, over_earlier >= -MARGIN and over_random > 0]
    return Advice(
        n_per_class=n_per_class,
        similarity=over_earlier,
        over_random=over_random,
        quadrant=name,
        p_helps=outlook.helps if outlook else None,
        settled=outlook.settled if outlook else None,
    )


def says(quadrant: str) -> str:
    """What the textbook would do in a quadrant."""
    return next(what for name, what in QUADRANTS.values() if name == quadrant)
