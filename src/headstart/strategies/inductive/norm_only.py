"""Only the scales and shifts of the normalisation layers, and the head (Frankle et al. 2021, arXiv 2003.00152).

Few parameters, and each of them turns a whole channel up or down. Statistics stay the source's: moving a batch-norm
layer's mean and variance does the same as moving its shift and scale, which learn anyway, and the head that was solved
in closed form goes on reading the features that it was solved for (Kumar et al. 2022 show why it should).
"""

from headstart.core.plan import Plan, Rule, Solve, Train


def norm_only() -> Plan:
    """Ridge head, then the head and the norms. Their rate is higher: a scale of one is far larger than a weight."""
    rules = (Rule("head", 1.0), Rule("norm", 10.0), Rule("*", None))
    return Plan("norm-only", phases=(Solve("ridge"), Train(rules=rules)))
