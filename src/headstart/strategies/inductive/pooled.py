"""Learning from the source's examples too, as much as they help the target's own.

For sources that bring the examples they were trained on, as a source table does; its first stage is the row itself.
"""

from headstart.core.plan import Plan, Solve


def pooled() -> Plan:
    """Boosted trees on the source's rows and the target's, the former weighted."""
    return Plan("pooled", phases=(Solve("pooled", stages=("first",)),))
