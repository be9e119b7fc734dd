"""Low-rank adaptation: the weights stay, and to each a product of two thin matrices is added that learns (LoRA).

Hu et al. 2022, arXiv 2106.09685. The product starts at zero, so the net starts as the source's, and the head that was
solved on its features fits: the first gradients are those of a good head (Kumar et al. 2022). What was learned is added
to the weights at the end; the net that is saved has the source's own architecture and costs nothing more to run.
"""

from headstart.core.plan import Plan, Rule, Solve, Train


def lora(rank: int = 8) -> Plan:
    """Ridge head, then the head and the adapters of linear layers and convolutions.

    Adapters learn ten times as fast as weights would: with rank 8 under some hundred inputs, a step of Adam in one
    factor moves the product by about a tenth of what it would move a weight.

    Args:
        rank: of the products.
    """
    rules = (Rule("head", 1.0), Rule("extra:lora", 10.0), Rule("*", None))
    return Plan("lora", phases=(Solve("ridge"), Train(rules=rules, rank=rank)))
