"""Feature extraction from an earlier stage: the textbook's choice for little data unlike the source's.

Last-stage features of a dissimilar source can be worse than raw pixels while the middle of the same net is the best
there is (Yosinski et al. 2014), so the stage is chosen by leave-one-out.
"""

from headstart.core.plan import Plan, Solve


def earlier() -> Plan:
    """Ridge on the one best stage before the last."""
    return Plan("earlier", phases=(Solve("ridge", stages=("..-2",)),))
