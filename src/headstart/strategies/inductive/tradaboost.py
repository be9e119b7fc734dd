"""Learning from the source's examples too, those that mislead fading from round to round (Dai et al. 2007, ICML 24).

For sources that bring the examples they were trained on, as a source table does; its first stage is the row itself.
"""

from headstart.core.plan import Plan, Solve


def tradaboost() -> Plan:
    """Small trees on the source's rows and the target's, reweighted."""
    return Plan("tradaboost", phases=(Solve("tradaboost", stages=("first",)),))
