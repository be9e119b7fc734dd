"""Full fine-tuning from a new random head: what most tutorials do."""

from headstart.core.plan import Plan, Rule, Train


def finetune() -> Plan:
    """Everything trains, the trunk at a tenth of the head's rate; batch-norm adapts to the target."""
    return Plan("finetune", phases=(Train(rules=(Rule("head", 1.0), Rule("*", 0.1)), lr=3e-3, norm="train"),))
