"""A linear head on the features of all stages at once, in the manner of Head2Toe (Evci et al. 2022).

Each stage gets the same total variance, so that wide late stages do not drown narrow early ones.
"""

from headstart.core.plan import Plan, Solve


def all_stages() -> Plan:
    """Ridge on all stages side by side."""
    return Plan("all-stages", phases=(Solve("ridge", stages=("*",), select="concat"),))
