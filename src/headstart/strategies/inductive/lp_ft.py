"""Linear probing, then fine-tuning (Kumar et al. 2022).

The head is solved first, so the first steps do not wreck the features for the sake of a random head. Later stages learn
faster than earlier ones (ULMFiT, Howard and Ruder 2018); the first two, edges and colours, stay frozen. Rate and norm
policy are measured on an inner split: on 600 ELPV photos 1e-3 threw the solved head away and 1e-4 beat 3e-4; on twice
as many 3e-4 won.
"""

from headstart.core.plan import Plan, Rule, Solve, Train


def lp_ft() -> Plan:
    """Ridge head in closed form, then all but two stages with discriminative rates."""
    rules = (
        Rule("head", 1.0),
        Rule("stage:..1", None),
        Rule("stage:-1", 1.0),
        Rule("stage:-2", 0.6),
        Rule("stage:-3", 0.4),
        Rule("*", 0.2),
    )
    return Plan("lp-ft", phases=(Solve("ridge", stages=("last",)), Train(rules=rules, norm=None)))
