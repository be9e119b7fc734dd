"""Surgical fine-tuning of the first stages (Lee et al. 2023, arXiv 2210.11466): for other inputs, not other meanings.

Where pictures differ from the source's in blur, noise or colour, the first block is what no longer fits; tuning it
alone matched or beat tuning everything on such shifts. Their classes were the source's, so their head could stay. Here
it is new: it is solved in closed form first, so that the first block adapts to the task and not to a random head.
"""

from headstart.core.plan import Plan, Rule, Solve, Train


def first_block() -> Plan:
    """Ridge head, then the head and the first two stages (stem and first block); what lies between stays."""
    rules = (Rule("head", 1.0), Rule("stage:..1", 1.0), Rule("*", None))
    return Plan("first-block", phases=(Solve("ridge"), Train(rules=rules)))
