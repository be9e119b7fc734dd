"""Fine-tuning that is pulled to where it started: L2-SP (Li, Grandvalet, Davoine 2018, arXiv 1802.01483).

Plain weight decay pulls a trained net to zero, which is to say away from what it knows. Here the trunk is pulled to the
source's weights, and only the head to zero. The paper starts from a random head; ours is solved in closed form, since a
random one moves the trunk away first and leaves it to the penalty to bring it back (Kumar et al. 2022).
"""

from headstart.core.plan import Plan, Rule, Solve, Train

PULL = 0.1  # a usual strength; not tuned here


def l2_sp(pull: float = PULL) -> Plan:
    """Ridge head, then the whole net at one rate, which the penalty may afford; statistics stay the source's.

    Args:
        pull: strength of the penalty.
    """
    return Plan("l2-sp", phases=(Solve("ridge"), Train(rules=(Rule("*", 1.0),), pull=pull)))
