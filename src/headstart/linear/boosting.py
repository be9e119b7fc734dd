"""Boosted trees on the cells of a table: what anyone would use without transfer, and so its opponent.

Grown by LightGBM (Ke et al. 2017), kept as plain arrays. How many rounds, and which categories there are, is learned
from the examples that it is fitted on, and from nothing else.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.extras import require
from headstart.core.predictions import Floats, Ints, Targets
from headstart.core.problem import Kind
from headstart.core.protocols import State
from headstart.linear.cells import NOTHING, NUMBER
from headstart.linear.forest import FIELDS, Forest
from headstart.metrics.kinds import KINDS

ROUNDS, PATIENCE, FOLDS = 150, 20, 3
MOST = 256  # categories that get a feature of their own, the most frequent first
LEAST = 1e-12  # added to probabilities under a logarithm
NO_TREE: Mapping[str, Any] = MappingProxyType({"tree_structure": {"leaf_value": 0.0}})
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
        found = np.rint(what)[:, self.column] == self.category
        return np.hstack([numbers, found]).astype(np.float64)


@dataclass(frozen=True)
class Beside:
    """Other examples to learn from, which nothing is measured on.

    Attributes:
        rows: (m, D) features.
        targets: of the same task.
        weight: of each, where one's own count 1.
    """

    rows: Floats
    targets: Targets
    weight: float = 1.0

    def weighing(self, weight: float) -> "Beside":
        """The same, counting so much."""
        return replace(self, weight=weight)

    def joined(self, rows: Floats, targets: Targets, weights: Floats | None) -> tuple[Floats, Targets, Floats]:
        """All together, one's own first, and what each counts."""
        own = np.ones(len(rows)) if weights is None else weights
        counts = np.concatenate([own, np.full(len(self.rows), self.weight)])
        return np.vstack([rows, self.rows]), np.concatenate([targets, self.targets]), counts


@dataclass(frozen=True)
class Boosting:
    """Gradient boosting with small leaf-wise trees; the number of rounds by three folds of the examples.

    Blocks are two (n, D): values and what stands in the cells; or one, of values alone.

    Attributes:
        indicators: of the categories that were there.
        forest: an output's tree after the other's, round by round; the first of two classes has trees of nothing.
        outputs: K.
        loo: (n, K) out-of-fold predictions of the examples that it was fitted on.
        error: of those, squared.
    """

    indicators: Indicators
    forest: Forest
    outputs: int
    loo: Floats
    error: float
    kind: Kind = "classification"

    @classmethod
    def fit(
        cls,
        blocks: Sequence[Floats],
        targets: Targets,
        outputs: int,
        penalty: float | None,  # noqa: ARG003 - see `Head`; trees have none
        weights: Floats | None = None,
        beside: Beside | None = None,
        *,
        kind: Kind = "classification",
    ) -> "Boosting":
        """Fit; see `Head`. (n,) weights count examples; those beside are learned from in every fold."""
        indicators = Indicators.of(_what(blocks))
        rows = indicators(blocks[0], _what(blocks))
        rounds, scores = _rounds(rows, targets, outputs, weights, beside, kind)
        every = beside.joined(rows, targets, weights) if beside else (rows, targets, weights)
        forest = Forest.of(_grown(*every, outputs, rounds, kind))
        loo = KINDS[kind].stated(scores)
        error = float(((loo - KINDS[kind].seen(targets, outputs)) ** 2).mean())
        return cls(indicators, forest, outputs, loo, error, kind)

    def predict(self, blocks: Sequence[Floats]) -> Floats:
        """(n, K) probabilities, or numbers."""
        leaves = self.forest(self.indicators(blocks[0], _what(blocks)))
        return KINDS[self.kind].stated(summed(leaves, self.outputs))

    def state(self) -> State:
        """Categories and trees."""
        own: dict[str, Any] = {"column": self.indicators.column, "category": self.indicators.category}
        facts = {"outputs": self.outputs, "error": self.error, "kind": self.kind}
        return State({**own, **self.forest.arrays()}, facts)

    @classmethod
    def restore(cls, state: State) -> "Boosting":
        """The inverse of `state`."""
        a: dict[str, Any] = dict(state.arrays)
        forest = Forest(**{name: a[name] for name in FIELDS})
        meta = state.meta
        return cls(Indicators(a["column"], a["category"]), forest, meta["outputs"], _NONE, meta["error"], meta["kind"])


def _what(blocks: Sequence[Floats]) -> Floats:
    """(n, D) what stands in the cells; without a second block, numbers everywhere."""
    return blocks[1] if len(blocks) > 1 else np.full(blocks[0].shape, NUMBER)


def summed(leaves: Floats, outputs: int) -> NDArray[np.float64]:
    """(n, T) leaf values, an output after the other -> (n, K) scores."""
    return np.asarray(leaves, dtype=np.float64).reshape(len(leaves), -1, outputs).sum(axis=1)


def _rounds(
    rows: Floats, targets: Targets, outputs: int, weights: Floats | None, beside: Beside | None, kind: Kind
) -> tuple[int, NDArray[np.float64]]:
    """The number of rounds with the least out-of-fold loss, and the (n, K) out-of-fold scores then."""
    order = np.argsort(KINDS[kind].strata(targets), kind="stable")
    fold = np.empty(len(targets), dtype=np.int64)
    fold[order] = np.arange(len(targets)) % FOLDS
    leaves: list[tuple[NDArray[np.bool_], NDArray[np.float64]]] = []
    for at in range(FOLDS):
        held = fold == at
        part = None if weights is None else weights[~held]
        own = rows[~held], targets[~held], part
        every = beside.joined(*own) if beside else own
        trees = _grown(*every, outputs, ROUNDS, kind, until=(rows[held], targets[held]))
        leaves.append((held, Forest.of(trees)(rows[held])))
    mass = np.ones(len(targets)) if weights is None else weights
    best, least, kept = 1, np.inf, np.zeros((len(targets), outputs))
    scores = np.zeros((len(targets), outputs))
    for count in range(1, 1 + min(found.shape[1] for _, found in leaves) // outputs):
        for held, found in leaves:
            scores[held] += found[:, (count - 1) * outputs : count * outputs]
        loss = float((mass * LOSSES[kind](KINDS[kind].stated(scores), targets)).mean())
        if loss < least:
            best, least, kept = count, loss, scores.copy()
        elif count - best >= PATIENCE:
            break
    return best, kept


def _of_class(stated: Floats, targets: Targets) -> Floats:
    return -np.log(stated[np.arange(len(targets)), targets] + LEAST)


def _of_labels(stated: Floats, targets: Targets) -> Floats:
    return -np.log(np.where(targets > 0, stated, 1 - stated) + LEAST).mean(axis=1)


def _of_number(stated: Floats, targets: Targets) -> Floats:
    return (stated[:, 0] - targets) ** 2


LOSSES: Mapping[Kind, Callable[[Floats, Targets], Floats]] = {
    "classification": _of_class,
    "multi-label": _of_labels,
    "regression": _of_number,
}


def _grown(
    rows: Floats,
    targets: Targets,
    weights: Floats | None,
    outputs: int,
    rounds: int,
    kind: Kind,
    until: tuple[Floats, Targets] | None = None,
) -> list[Mapping[str, Any]]:
    """LightGBM's trees of so many rounds, an output after the other; fewer where held-out rows have had enough.

    Raises:
        UserError: it is not installed.
    """

    def run(column: int | None, objective: str, several: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        def wanted(values: Targets) -> Targets:
            return values if column is None else values[:, column]

        held = None if until is None else (until[0], wanted(until[1]))
        return _run(rows, wanted(targets), weights, rounds, {"objective": objective, **several}, held)

    if kind == "regression":
        return run(None, "regression", {})
    if kind == "classification" and outputs > 2:
        return run(None, "multiclass", {"num_class": outputs})
    if kind == "classification":
        return [tree for one in run(None, "binary", {}) for tree in (NO_TREE, one)]
    columns = [run(at, "binary", {}) for at in range(outputs)]
    most = max(len(trees) for trees in columns)
    filled = [[*trees, *[NO_TREE] * (most - len(trees))] for trees in columns]
    return [tree for one in zip(*filled, strict=True) for tree in one]


def _run(
    rows: Floats,
    wanted: Targets,
    weights: Floats | None,
    rounds: int,
    otherwise: Mapping[str, Any],
    held: tuple[Floats, Targets] | None,
) -> list[Mapping[str, Any]]:
    lightgbm = require("lightgbm", "table")
    asked = {
        "learning_rate": 0.1, "num_leaves": 15, "min_data_in_leaf": int(np.clip(len(rows) // 30, 2, 20)),
        "lambda_l2": 1.0, "max_bin": 63, "deterministic": True, "force_row_wise": True, "num_threads": 1,
        "verbosity": -1, "seed": 0, **otherwise,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quiet = {"verbosity": -1}
        data = lightgbm.Dataset(rows, wanted, weight=weights, params=quiet)
        watched = [] if held is None else [lightgbm.Dataset(*held, reference=data, params=quiet)]
        stops = [lightgbm.early_stopping(PATIENCE, verbose=False)] if watched else []
        grown = lightgbm.train(asked, data, rounds, valid_sets=watched, callbacks=stops)
        trees = grown.dump_model(num_iteration=-1)["tree_info"]
    return trees or [NO_TREE] * int(otherwise.get("num_class", 1))  # where nothing can be split
