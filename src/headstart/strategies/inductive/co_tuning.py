"""Co-Tuning (You et al. 2020, NeurIPS 33): the source's classifier is kept beside the new head, and both learn.

Fine-tuning throws the source's last layer away, though it holds much of what the source knows. Here it goes on being
asked: of each example for what the source took its class for before training. It is for targets whose classes resemble
the source's. Where they do not, what is asked for is noise: on a draw of solar cells, 100 to learn from and 300 held
out, it cost ten points. The paper starts from a random head; ours is solved in closed form, as for L2-SP.
"""

from headstart.core.plan import Plan, Rule, Solve, Train

WEIGHT = 2.3  # the paper's code


def co_tuning(weight: float = WEIGHT) -> Plan:
    """Ridge head, then the whole net and the source's classifier at one rate; statistics stay the source's.

    Args:
        weight: of the source's classes in the loss.
    """
    return Plan("co-tuning", phases=(Solve("ridge"), Train(rules=(Rule("*", 1.0),), co_tune=weight)))
