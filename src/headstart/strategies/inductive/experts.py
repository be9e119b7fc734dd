"""Several sources together: each brings its best stage, and one head reads them all.

Nets that were trained on other things see other things. Which of them help is not known beforehand (Puigcerver et al.
2021, arXiv 2009.13239, pick one expert for a target); here the best comes first, and another joins if leave-one-out
says that it adds something.
"""

from headstart.core.plan import Plan, Solve


def experts() -> Plan:
    """Ridge on the best stages of as many sources as leave-one-out wants."""
    return Plan("experts", phases=(Solve("ridge", stages=("*",), select="experts"),))
