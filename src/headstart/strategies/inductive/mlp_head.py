"""A head with a hidden layer on the frozen trunk: for classes that no plane through the features separates.

No closed form exists for it, so its plan has no `Solve`: the last layer starts at zero, the hidden one by chance. The
trunk never changes, so what it puts out is computed once for each of a few fixed views, and epochs are nearly free.
"""

from headstart.core.plan import Plan, Rule, Train


def mlp_head(width: int = 256) -> Plan:
    """One hidden layer, trained at the head's usual rate; the trunk and its statistics stay.

    Args:
        width: of the hidden layer.
    """
    rules = (Rule("head", 1.0), Rule("*", None))
    return Plan("mlp-head", phases=(Train(rules=rules, lr=3e-3, views=3),), hidden=(width,))
