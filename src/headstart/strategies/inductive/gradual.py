"""Gradual unfreezing with discriminative rates, from the head down (ULMFiT, Howard and Ruder 2018, arXiv 1801.06146).

One more stage joins in each epoch, so that what is nearest to the target adapts before the rest is touched. The first
of their epochs trains the head alone; here the closed form does it, and arrives where many epochs would (Kumar et al.
2022 show that what comes after gains from it). Each phase has a one-cycle schedule of its own.
"""

from headstart.core.plan import Plan, Rule, Solve, Train

FACTOR = 2.6  # each stage learns so many times slower than the one after it, as in the paper


def gradual(steps: int = 3) -> Plan:
    """Ridge head, an epoch for each of the last stages as it joins, then the whole net for as long as it improves.

    Args:
        steps: stages that join one by one; those before them join together.
    """
    head = Rule("head", 1.0)
    joined = tuple(Rule(f"stage:-{at}", FACTOR**-at) for at in range(1, steps + 1))
    first = tuple(Train(rules=(head, *joined[:at], Rule("*", None)), epochs=1) for at in range(1, steps + 1))
    whole = Train(rules=(head, *joined, Rule("*", FACTOR ** -(steps + 1))))
    return Plan("gradual", phases=(Solve("ridge"), *first, whole))
