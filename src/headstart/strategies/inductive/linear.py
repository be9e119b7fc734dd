"""Feature extraction from the last stage: the textbook's choice for little data that resembles the source's."""

from headstart.core.plan import Plan, Solve


def linear() -> Plan:
    """Ridge on the frozen last stage."""
    return Plan("linear", phases=(Solve("ridge", stages=("last",)),))
