"""Boosted trees on the cells of a table: what anyone would use without transfer, and so its opponent.

Grown by LightGBM (Ke et al. 2017), kept as plain arrays. How many rounds, and which categories there are, is learned
from the examples that it is fitted on, and from nothing else.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.extras import require
from headstart.core.predictions import Floats, Ints
from headstart.core.protocols import State
from headstart.linear.cells import NOTHING, NUMBER
from headstart.linear.forest import FIELDS, Forest
from headstart.linear.path import one_hot
from headstart.metrics.calibration import softmax

ROUNDS, PATIENCE, FOLDS = 300, 20, 3
MOST = 256  # categories that get a feature of their own, the most frequent first
_NONE: NDArray[np.float64] = np.empty((0, 0))


@dataclass(frozen=True)
class Indicators:
    """Categories as features: one each, 1 where it stands in its column.

    Attributes:
        column: (V,).
        category: (V,) numbers, see `headstart.linear.cells`.
    """

    column: Ints
    category: Ints

    @staticmethod
    def of(what: Floats) -> "Indicators":
        """Those of (n, D) cells that stand in two rows or more."""
        found: list[tuple[int, int, int]] = []
        for at, cells in enumerate(np.rint(what).astype(np.int64).T):
            values, counts = np.unique(cells[(cells != NOTHING) & (cells != NUMBER)], return_counts=True)
            found += [(-int(n), at, int(v)) for v, n in zip(values, counts, strict=True) if n > 1]
        kept = np.array([(at, value) for _, at, value in sorted(found)[:MOST]], dtype=np.int64).reshape(-1, 2)
        return Indicators(kept[:, 0], kept[:, 1])

    def __call__(self, numbers: Floats, what: Floats) -> NDArray[np.float64]:
        """(n, D) values and (n, D) what stands there -> (n, D + V) features, NaN where there is no number."""
        return np.hstack([numbers, np.rint(what)[:, self.column] == self.category])


@dataclass(frozen=True)
class Boosting:
    """Gradient boosting with small leaf-wise trees; the number of rounds by three folds of the examples.

    Blocks are two (n, D): values and what stands in the cells.

    Attributes:
        indicators: of the categories that were there.
        forest: a tree a class and round; of two classes one a round.
        classes: C.
        loo: (n, C) out-of-fold probabilities of the examples that it was fitted on.
        error: of those, squared.
    """

    indicators: Indicators
    forest: Forest
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
        weights: Floats | None = None,
    ) -> "Boosting":
        """Fit; see `Head`. (n,) weights count examples."""
        indicators = Indicators.of(blocks[1])
        rows = indicators(blocks[0], blocks[1])
        rounds, loo = _rounds(rows, targets, classes, weights)
        forest = Forest.of(grown(rows, targets, classes, weights, rounds)["tree_info"])
        return cls(indicators, forest, classes, loo, float(((loo - one_hot(targets, classes)) ** 2).mean()))

    def scores(self, blocks: Sequence[Floats]) -> NDArray[np.float64]:
        """(n, C) logits; of two classes the first has 0."""
        return summed(self.forest(self.indicators(blocks[0], blocks[1])), self.classes)

    def predict(self, blocks: Sequence[Floats]) -> Floats:
        """(n, C) probabilities."""
        return softmax(self.scores(blocks))

    def state(self) -> State:
        """Categories and trees."""
        own = {"column": self.indicators.column, "category": self.indicators.category}
        return State({**own, **self.forest.arrays()}, {"classes": self.classes, "error": self.error})

    @classmethod
    def restore(cls, state: State) -> "Boosting":
        """The inverse of `state`."""
        a: dict[str, Any] = dict(state.arrays)
        forest = Forest(**{name: a[name] for name in FIELDS})
        indicators = Indicators(a["column"], a["category"])
        return cls(indicators, forest, state.meta["classes"], _NONE, state.meta["error"])


def summed(leaves: Floats, classes: int) -> NDArray[np.float64]:
    """(n, T) leaf values, a tree a class in turn -> (n, C) logits."""
    if classes == 2:
        score = leaves.sum(axis=1)
        return np.stack([np.zeros_like(score), score], axis=1)
    return np.stack([leaves[:, at::classes].sum(axis=1) for at in range(classes)], axis=1)


def _rounds(rows: Floats, targets: Ints, classes: int, weights: Floats | None) -> tuple[int, NDArray[np.float64]]:
    """The number of rounds with the least out-of-fold log loss, and the (n, C) probabilities then."""
    order = np.argsort(targets, kind="stable")
    fold = np.empty(len(targets), dtype=np.int64)
    fold[order] = np.arange(len(targets)) % FOLDS
    leaves: list[tuple[NDArray[np.bool_], NDArray[np.float64]]] = []
    for at in range(FOLDS):
        held = fold == at
        part = None if weights is None else weights[~held]
        found = grown(rows[~held], targets[~held], classes, part, ROUNDS)["tree_info"]
        leaves.append((held, Forest.of(found)(rows[held])))
    each = 1 if classes == 2 else classes
    mass = np.ones(len(targets)) if weights is None else weights
    best, least, kept = 1, np.inf, np.full((len(targets), classes), 1 / classes)
    scores = np.zeros((len(targets), classes))
    for count in range(1, 1 + min(found.shape[1] for _, found in leaves) // each):
        for held, found in leaves:
            scores[held] += summed(found[:, (count - 1) * each : count * each], classes)
        probabilities = softmax(scores)
        loss = float(-(mass * np.log(probabilities[np.arange(len(targets)), targets] + 1e-12)).mean())
        if loss < least:
            best, least, kept = count, loss, probabilities
        elif count - best >= PATIENCE:
            break
    return best, kept


def grown(
    rows: Floats,
    targets: Ints,
    classes: int,
    weights: Floats | None,
    rounds: int,
    otherwise: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, Any]:
    """LightGBM's dump of so many rounds, with its settings otherwise than usual.

    Raises:
        UserError: it is not installed.
    """
    lightgbm = require("lightgbm", "table")
    several = {"objective": "multiclass", "num_class": classes}
    asked = {
        **({"objective": "binary"} if classes == 2 else several),
        "learning_rate": 0.1, "num_leaves": 15, "min_data_in_leaf": int(np.clip(len(rows) // 30, 2, 20)),
        "lambda_l2": 1.0, "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbosity": -1, "seed": 0,
        **otherwise,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = lightgbm.Dataset(rows, targets, weight=weights, params={"verbosity": -1})
        return lightgbm.train(asked, data, rounds).dump_model()
