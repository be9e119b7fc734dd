"""Nearest class mean on the frozen last stage, for a handful of labels a class (SimpleShot, Wang et al. 2019)."""

from headstart.core.plan import Plan, Solve


def prototype() -> Plan:
    """Centred, L2-normalised class means."""
    return Plan("prototype", phases=(Solve("prototype", stages=("last",)),))
