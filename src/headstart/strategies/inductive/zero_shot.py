"""The source's own classifier, where its classes are the target's by name. Needs no label at all."""

from headstart.core.plan import Plan, Solve


def zero_shot() -> Plan:
    """The rows of the source's head that carry the target's class names."""
    return Plan("zero-shot", phases=(Solve("own-head"),))
