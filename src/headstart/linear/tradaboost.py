"""Boosting on the source's examples and the target's together; the source's lose weight where they mislead.

TrAdaBoost (Dai et al. 2007, ICML 24): a target example that is taken for another class gains weight, as in AdaBoost; a
source example that is loses some. The vote is that of the later half of the rounds, when what misleads has faded. For
more than two classes a round's say is that of SAMME (Zhu et al. 2009), which for two is AdaBoost's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats, Ints
from headstart.core.problem import Kind
from headstart.core.protocols import State
from headstart.linear.boosting import grown, summed
from headstart.linear.forest import FIELDS, Forest
from headstart.metrics.kinds import KINDS

ROUNDS = 40
LEAST = 1e-3  # of an error, so that no round says all
SMOOTH = 0.05  # of all votes, shared out among the classes
ONE = {"num_leaves": 8, "learning_rate": 1.0, "min_data_in_leaf": 2, "min_sum_hessian_in_leaf": 1e-3}
_NONE: NDArray[np.float64] = np.empty((0, 0))


@dataclass(frozen=True)
class TrAdaBoost:
    """Votes of small trees.

    Attributes:
        forest: a class's tree after the other's, round by round.
        say: (R,) of each round.
        classes: C.
        loo: (n, C) probabilities of the examples that it was fitted on, which it has seen.
        error: of those, squared.
    """

    forest: Forest
    say: Floats
    classes: int
    loo: Floats
    error: float

    @classmethod
    def fit(
        cls,
        blocks: Sequence[Floats],
        targets: Ints,
        classes: int,
        penalty: float | None,  # noqa: ARG003 - see `Head`; trees have none
        beside: tuple[Floats, Ints] | None = None,
        *,
        kind: Kind = "classification",  # noqa: ARG003 - the only one
    ) -> "TrAdaBoost":
        """Fit; see `Head`. Beside are the source's (m, D) features and (m,) label codes; without any it is AdaBoost."""
        own = np.hstack(blocks).astype(np.float64)
        others, codes = beside or (own[:0], targets[:0])
        rows, truth = np.vstack([others, own]), np.concatenate([codes, targets])
        theirs = np.arange(len(rows)) < len(others)
        fade = np.log1p(np.sqrt(2 * np.log(max(len(others), 1)) / ROUNDS))
        weights = np.ones(len(rows))
        trees: list[Mapping[str, Any]] = []
        say: list[float] = []
        for _ in range(ROUNDS):
            weights = weights / weights.mean()
            trees += (one := grown(rows, truth, classes, weights, 1, otherwise=ONE))
            wrong = summed(Forest.of(one)(rows), classes).argmax(axis=1) != truth
            missed = float(np.clip((weights * wrong)[~theirs].sum() / weights[~theirs].sum(), LEAST, 1 - LEAST))
            say.append(max(float(np.log((1 - missed) / missed) + np.log(classes - 1)), 0.0))
            weights = weights * np.exp(np.where(theirs, -fade, say[-1]) * wrong)
        half = ROUNDS // 2
        later = Forest.of(trees[half * len(trees) // ROUNDS :])
        found = cls(later, np.array(say[half:]), classes, _NONE, 0.0)
        loo = found.predict(blocks)
        return cls(later, found.say, classes, loo, float(((loo - KINDS["classification"].seen(targets, classes)) ** 2).mean()))

    def predict(self, blocks: Sequence[Floats]) -> Floats:
        """(n, C) shares of the votes."""
        leaves = self.forest(np.hstack(blocks))
        votes = np.full((len(leaves), self.classes), SMOOTH * max(float(self.say.sum()), LEAST) / self.classes)
        for at, weight in enumerate(self.say):
            named = summed(leaves[:, at * self.classes : (at + 1) * self.classes], self.classes).argmax(axis=1)
            votes[np.arange(len(leaves)), named] += weight
        return votes / votes.sum(axis=1, keepdims=True)

    def state(self) -> State:
        """Trees and what each round has to say."""
        return State({"say": self.say, **self.forest.arrays()}, {"classes": self.classes, "error": self.error})

    @classmethod
    def restore(cls, state: State) -> "TrAdaBoost":
        """The inverse of `state`."""
        a: dict[str, Any] = dict(state.arrays)
        forest = Forest(**{name: a[name] for name in FIELDS})
        return cls(forest, a["say"], state.meta["classes"], _NONE, state.meta["error"])
