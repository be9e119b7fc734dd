"""The controls: what can be had without transfer. Fair opponents, each the simplest good thing of its kind."""

from headstart.core.plan import Plan, Rule, Solve, Train


def majority() -> Plan:
    """The class shares, whatever the input."""
    return Plan("majority", start="random", phases=(Solve("majority"),))


def raw() -> Plan:
    """Linear or Gaussian kernel ridge on the raw input; kernel, bandwidth and penalty by leave-one-out."""
    return Plan("raw", start="random", phases=(Solve("kernel-ridge"),))


def tf_idf() -> Plan:
    """Ridge on words and pairs of words, weighted by their rarity: the opponent of every text encoder."""
    return Plan("tf-idf", start="random", phases=(Solve("tf-idf"),))


def boosting() -> Plan:
    """Boosted trees on the cells of a table: the opponent of every source table."""
    return Plan("boosting", start="random", phases=(Solve("boosting", stages=("*",), select="concat"),))


def minirocket() -> Plan:
    """Ridge on how often fixed convolutions exceed their quantiles: the opponent of every encoder of series."""
    return Plan("minirocket", start="random", phases=(Solve("minirocket", stages=("*",), select="concat"),))


def dtw() -> Plan:
    """The nearest neighbour under dynamic time warping, for a few hundred series."""
    return Plan("dtw", start="random", phases=(Solve("dtw", stages=("*",), select="concat"),))


def random_features() -> Plan:
    """Ridge on all stages of an untrained net: what the architecture alone gives."""
    return Plan("random-features", start="random", phases=(Solve("ridge", stages=("*",), select="concat"),))


def scratch() -> Plan:
    """A net trained from random weights, batch-norm in training mode."""
    return Plan("scratch", start="random", phases=(Train(rules=(Rule("*", 1.0),), lr=3e-3, norm="train"),))


def scratch_twin() -> Plan:
    """The source's own architecture from random weights: the same net, without what it has learned."""
    return Plan("scratch-twin", start="random", phases=(Train(rules=(Rule("*", 1.0),), lr=3e-3, norm="train"),))
