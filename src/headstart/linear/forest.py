"""Boosted trees as plain arrays: grown elsewhere, read here, put to rest without a pickle.

A tree is a row of nodes; a leaf leads to itself. All trees are walked at once, one level a step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats

Ints64 = NDArray[np.int64]
ROWS = 4096  # walked at once


@dataclass(frozen=True)
class Forest:
    """T trees of at most N nodes.

    Attributes:
        feature: (T, N) that a node looks at; 0 in leaves.
        threshold: (T, N); values up to it go left.
        left, right: (T, N) nodes.
        gap: (T, N) 1 where a missing value goes left.
        value: (T, N) of leaves; 0 elsewhere.
    """

    feature: Ints64
    threshold: NDArray[np.float64]
    left: Ints64
    right: Ints64
    gap: Ints64
    value: NDArray[np.float64]

    @staticmethod
    def of(trees: Sequence[Mapping[str, Any]]) -> "Forest":
        """From the nested nodes of LightGBM's `dump_model`."""
        rows = [_nodes(tree) for tree in trees]
        most = max((len(nodes) for nodes in rows), default=1)
        table = np.zeros((6, len(rows), most))
        table[2:4] = np.arange(most)
        for at, nodes in enumerate(rows):
            table[:, at, : len(nodes)] = np.array(nodes).T
        whole = table[[0, 2, 3, 4]].astype(np.int64)
        return Forest(whole[0], table[1], whole[1], whole[2], whole[3], table[5])

    def __call__(self, rows: Floats) -> NDArray[np.float64]:
        """(n, E) features, NaN where there is none -> (n, T) the leaf value of each tree."""
        if len(rows) > ROWS:
            return np.vstack([self(rows[at : at + ROWS]) for at in range(0, len(rows), ROWS)])
        tree = np.arange(len(self.feature))
        node = np.zeros((len(rows), len(tree)), dtype=np.int64)
        wide = rows.astype(np.float64)
        example = np.arange(len(rows))[:, None]
        while True:
            seen = wide[example, self.feature[tree, node]]
            goes = np.where(np.isnan(seen), self.gap[tree, node] == 1, seen <= self.threshold[tree, node])
            after = np.where(goes, self.left[tree, node], self.right[tree, node])
            if np.array_equal(after, node):
                return self.value[tree, node]
            node = after

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By name; `Forest(**arrays)` is the inverse."""
        return {name: np.asarray(getattr(self, name)) for name in FIELDS}


FIELDS = ("feature", "threshold", "left", "right", "gap", "value")


def _nodes(tree: Mapping[str, Any]) -> list[tuple[float, ...]]:
    """(feature, threshold, left, right, gap, value) of every node, the root first."""
    found: list[tuple[float, ...]] = []

    def grow(node: Mapping[str, Any]) -> int:
        at = len(found)
        found.append(())
        if "left_child" not in node:
            found[at] = (0.0, 0.0, at, at, 0.0, float(node["leaf_value"]))
            return at
        bound = float(node["threshold"])
        # Where no value was missing when the tree grew, a missing one counts as zero: LightGBM's own rule.
        gap = node["default_left"] if node["missing_type"] == "NaN" else bound >= 0
        left, right = grow(node["left_child"]), grow(node["right_child"])
        found[at] = (float(node["split_feature"]), bound, left, right, float(gap), 0.0)
        return at

    grow(tree["tree_structure"])
    return found
