"""The learning rate over the steps of a phase, as a share of its peak."""

import math
from typing import Literal


def share(kind: Literal["one-cycle", "constant"], step: int, steps: int, warmup: float) -> float:
    """What the peak rate is multiplied by in step 0 .. steps - 1; never 0, so no step is wasted.

    "one-cycle": linear over the first `warmup` of the steps, then half a cosine towards zero (Smith & Topin 2018;
    the cosine is that of Loshchilov & Hutter 2017). "constant": 1.

    >>> [round(share("one-cycle", step, 5, 0.4), 2) for step in range(5)]
    [0.5, 1.0, 1.0, 0.75, 0.25]
    """
    if kind == "constant":
        return 1.0
    rising = min(steps - 1, math.ceil(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))
