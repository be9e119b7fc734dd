"""A linear model of a table that is shrunk towards the source's coefficients instead of towards zero.

Of a source table the first stage is the row itself, the second what the source's linear model makes of it.

Few rows move it little, many rows as far as they say; how strongly, and whether the source counts at all, is by exact
leave-one-out.
"""

from headstart.core.plan import Plan, Solve


def shrunk() -> Plan:
    """Ridge on the row's own columns, the penalty on the distance to the source's weights."""
    return Plan("shrunk", phases=(Solve("shrunk-ridge", stages=("..1",), select="concat"),))
