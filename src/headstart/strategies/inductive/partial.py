"""Fine-tuning the last stages only, the rest frozen: earlier features are the more general (Yosinski et al. 2014).

The head is solved first, as in LP-FT (Kumar et al. 2022): only two stages can learn, and the gradients of a random head
would spoil just those. Two, because in some families (ConvNeXt, ViT) the last one is a mere norm.
"""

from headstart.core.plan import Plan, Rule, Solve, Train


def partial(top: int = 2) -> Plan:
    """Ridge head in closed form, then the head and the last stages at one rate.

    Args:
        top: how many stages learn, counted from the head.
    """
    rules = (Rule("head", 1.0), *(Rule(f"stage:-{at}", 1.0) for at in range(1, top + 1)), Rule("*", None))
    return Plan("partial", phases=(Solve("ridge"), Train(rules=rules)))
