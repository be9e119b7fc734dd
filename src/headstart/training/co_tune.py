"""The source's own classifier goes on learning beside the new head: Co-Tuning (You et al. 2020, NeurIPS 33).

What a source takes the examples of a class for says how its classes relate to the target's, p(y_s | y_t). The relation
is taken once, before anything has moved, and then the classifier is asked for it while everything learns, so that what
it knows is used and not thrown away. Of the paper's two ways to the relation this is the direct one, the mean of the
source's probabilities over each class; the other fits p(y_t | y_s) to a few examples and inverts it.

The paper calibrates the classifier on pictures of its own task. Those are not here, and of others it can be sure for no
reason: on 120 cliparts at 96 pixels the cross-entropy of EfficientNet-Lite0 with the relation began at 15.4 nats, where
the relation's own entropy is 3.5, and drowned that of the task. So it is calibrated on the target's examples, against
the relation, and begins at 6.4.
"""

from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.core.errors import UserError
from headstart.core.predictions import Floats, Ints
from headstart.core.protocols import Features, View
from headstart.metrics.calibration import softmax, temperature
from headstart.sources.card import Card
from headstart.sources.source import Source

NAME = "own"  # of the classifier, as a part of the net


class OwnHead(nn.Linear):
    """The source's classifier, and what it is to go on saying of each target class.

    Args:
        weight: (K, D).
        bias: (K,).
        relation: (C, K) p(y_s | y_t), see `relate`.
    """

    def __init__(self, weight: Floats, bias: Floats, relation: Floats) -> None:
        super().__init__(weight.shape[1], len(weight))
        with torch.no_grad():
            self.weight.copy_(torch.from_numpy(weight))
            self.bias.copy_(torch.from_numpy(bias))
        self.relation = nn.Buffer(torch.from_numpy(relation).float())
        self.read = torch.empty(0)

    def loss(self, targets: Tensor) -> Tensor:
        """Mean cross-entropy between what it says of the batch that the head read last and the relation.

        Args:
            targets: (b,) label codes of that batch.
        """
        return functional.cross_entropy(self(self.read), self.relation[targets])


def own_head(source: Source, view: View, features: Features) -> OwnHead | None:
    """The source's classifier, calibrated, and what it takes the classes of these examples for.

    Args:
        source: None comes back where it has no linear classifier whose classes have names.
        view: the examples to learn from.
        features: of its last stage.
    """
    own = source.own_head()
    if own is None:
        return None
    weight, bias = own
    logits = features.of(source.name, source.card.stage_names()[-1], view) @ weight.T + bias
    relation = relate(logits, view.targets, view.task.outputs)
    cooler = 1 / temperature(logits, relation[view.targets])
    return OwnHead(cooler * weight, cooler * bias, relation)


def relate(logits: Floats, targets: Ints, outputs: int) -> Floats:
    """(C, K) p(y_s | y_t): the source's mean probabilities over the examples of each class; zeros for one without.

    Args:
        logits: (n, K) of the source's classifier.
        targets: (n,) label codes.
        outputs: C.
    """
    members = np.eye(outputs)[targets]
    return (members / np.maximum(members.sum(axis=0), 1)).T @ softmax(logits)


@contextmanager
def beside(net: nn.Module, card: Card, weight: float, own: OwnHead | None) -> Generator[None]:
    """The source's classifier as a part of the net, reading what the head reads; at the end it is gone again.

    It learns under the rule "*", and a checkpoint holds it like any other part.

    Args:
        net: with a part `head`.
        card: of its source.
        weight: 0 adds nothing.
        own: the classifier; None where the source has none.

    Raises:
        UserError: there is no classifier.
    """
    if not weight:
        yield
        return
    if own is None:
        do = "Name a source with one, or leave co-tuning out."
        raise UserError("a source with a linear classifier whose classes have names", card.name, do)

    def read(_head: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        own.read = inputs[0]

    net.add_module(NAME, own)
    handle = net.get_submodule("head").register_forward_pre_hook(read)
    try:
        yield
    finally:
        handle.remove()
        delattr(net, NAME)
