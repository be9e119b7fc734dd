"""Which class to name where a metric counts classes alike: logit adjustment (Menon et al. 2021, arXiv 2007.07314).

A probability says how likely a class is. Under balanced accuracy or macro F1 a miss in a rare class costs more, so the
class to name is that of the largest probability x prior^-tau. With tau = 1 this is best for balanced accuracy if the
probabilities are true; a model's are nearly so at best, and macro F1 wants less. So tau is chosen by the metric itself,
on predictions out of fold, and nothing is trained again. The probabilities that are stated stay as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from headstart.core.predictions import Floats, Ints, Targets
from headstart.core.problem import Kind
from headstart.core.protocols import Metric
from headstart.data.split import folds
from headstart.evaluation.evidence import Evidence, as_kept
from headstart.evaluation.folds import OutOfFold
from headstart.metrics.calibration import scale
from headstart.metrics.kinds import KINDS

TAUS = (0.0, 0.5, 1.0, 1.5)  # two to eight values gained alike (benchmarks/bench_class_weights.py); of equals the first


@dataclass(frozen=True)
class Reading:
    """How what a model puts out is read.

    Attributes:
        temperature: what its logits are divided by; then they are stated.
        tau: how far the classes' shares are undone; 0 leaves them.
        weights: (C,) what stated probabilities are multiplied by to choose a class; the most frequent class has 1.
        kind: of task; the weights are ones but in classification.
    """

    temperature: float
    tau: float
    weights: Floats
    kind: Kind = "classification"

    def stated(self, probabilities: Floats) -> Floats:
        """(n, K) as the model puts them out -> as they are stated."""
        return KINDS[self.kind].cooled(probabilities, self.temperature)

    def weighed(self, probabilities: Floats) -> Floats:
        """(n, C) as the model puts them out -> (n, C) whose largest is the class to name; rows sum to one."""
        raised = scale(probabilities, self.temperature) * self.weights
        return raised / raised.sum(axis=1, keepdims=True)


def of_shares(truth: Ints, classes: int, tau: float) -> Floats:
    """(C,) weights prior^-tau over that of the most frequent class; a class that is absent counts as one example."""
    counts = np.bincount(truth, minlength=classes).clip(min=1)
    return (counts.max() / counts) ** tau


def choose(probabilities: Floats, temperature: float, truth: Targets, metric: Metric) -> Reading:
    """The reading whose tau gives the best score; 0 for metrics that do not count classes alike.

    Args:
        probabilities: (k, C) out of fold.
        temperature: that they are stated with.
        truth: targets of the k examples.
        metric: that decides.
    """
    classes = probabilities.shape[1]
    if metric.judges != "classes":
        return Reading(temperature, 0.0, np.ones(classes), metric.kind)
    readings = [Reading(temperature, tau, of_shares(truth, classes, tau)) for tau in TAUS]
    return max(readings, key=lambda one: float(metric(one.weighed(probabilities), truth)))


def of_arm(evidence: Evidence, arm: str, metric: Metric) -> Reading:
    """How an arm is read once it is fitted on everything: chosen on all of its out-of-fold predictions."""
    index, mean = evidence.oof.mean(arm)
    cells = evidence.oof.scored(arm)
    truth = evidence.train.truth[np.nonzero(cells)[1]]
    temperature = KINDS[evidence.kind].temperature(mean, evidence.train.truth[index])
    return choose(evidence.oof.of(arm)[cells], temperature, truth, metric)


def weighed(evidence: Evidence, metric: Metric, seed: int) -> Evidence:
    """The evidence with every arm's predictions read as they would be delivered; as it is for other metrics.

    Each part of the out-of-fold predictions is read in the way that was chosen on the other parts, so that no example
    has a say in how it is read itself. The parts are the folds; of an arm that scored one fold only, parts of that.
    """
    if metric.judges != "classes":
        return evidence
    oof = OutOfFold(evidence.oof.maps, evidence.oof.classes)
    for arm in evidence.oof.arms():
        for rounds, part, rest in _parts(evidence, arm, seed):
            table, truth = evidence.oof.of(arm)[rounds], evidence.train.truth[rest]
            temperature = KINDS[evidence.kind].temperature(table[rest], truth)
            reading = choose(table[rest], temperature, truth, metric)
            oof.fill(arm, np.full(len(part), rounds), part, reading.weighed(table[part]))
    tested = {arm: as_kept(of_arm(evidence, arm, metric).weighed(table)) for arm, table in evidence.tested.items()}
    return replace(evidence, oof=oof, tested=tested)


def _parts(evidence: Evidence, arm: str, seed: int) -> Iterator[tuple[int, Ints, Ints]]:
    """(repeat, positions of a part, positions of the others) of all that an arm has scored."""
    scored, maps = evidence.oof.scored(arm), evidence.oof.maps
    for at in np.flatnonzero(scored.any(axis=1)):
        index = np.flatnonzero(scored[at])
        of = maps[at][index]
        if len(np.unique(of)) == 1:
            of = folds(evidence.train.truth[index], evidence.train.groups[index], seed)
        for part in np.unique(of):
            yield int(at), index[of == part], index[of != part]
