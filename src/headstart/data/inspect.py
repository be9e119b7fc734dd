"""What should be known of the data before anything is learned: near-duplicates and small classes."""

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats
from headstart.data.dataset import Dataset

FEATURE_ALIKE = 0.97  # cosine of centred last-stage features
PIXELS_ALIKE = 0.97  # correlation of the raw inputs
CHUNK = 1024
FEW = 5


def near_duplicates(features: Floats, raw: Floats) -> tuple[NDArray[np.int64], tuple[tuple[int, ...], ...]]:
    """Group examples that are nearly the same: alike to the source *and* alike in the raw input.

    Two thresholds together: a homogeneous set looks all alike to one of them, seldom to both. A group grows by complete
    linkage - a new member must be alike to every one that is in - so that chains cannot swallow half of the data.

    Args:
        features: (n, D) last-stage features.
        raw: (n, P) raw inputs.

    Returns:
        (n,) group ids, and the members of each group of two or more.
    """
    group = np.arange(len(features))
    members: dict[int, list[int]] = {i: [i] for i in range(len(features))}
    left, right = _directions(features - features.mean(axis=0)), _directions(raw - raw.mean(axis=1, keepdims=True))
    alike: dict[int, set[int]] = {}
    for start in range(0, len(features), CHUNK):
        rows = slice(start, start + CHUNK)
        pair = (left[rows] @ left.T >= FEATURE_ALIKE) & (right[rows] @ right.T >= PIXELS_ALIKE)
        for i, j in zip(*np.nonzero(np.triu(pair, k=start + 1)), strict=True):
            alike.setdefault(start + int(i), set()).add(int(j))
            alike.setdefault(int(j), set()).add(start + int(i))
    for i in sorted(alike):
        for j in sorted(alike[i]):
            a, b = int(group[i]), int(group[j])
            if a != b and all(y in alike[x] for x in members[a] for y in members[b]):
                members[a] += members.pop(b)
                group[members[a]] = a
    found = tuple(tuple(sorted(m)) for m in members.values() if len(m) > 1)
    return group, found


def _directions(rows: Floats) -> NDArray[np.float32]:
    wide = rows.astype(np.float32)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)


def class_warnings(data: Dataset) -> tuple[str, ...]:
    """Classes with too few examples, and imbalance."""
    counts = data.counts()
    few = [f"{name} ({count})" for name, count in counts.items() if count < FEW]
    said: list[str] = []
    if few:
        said.append(f"classes with fewer than {FEW} examples: {', '.join(few)}")
    low, high = min(counts.values()), max(counts.values())
    if high > 3 * max(low, 1):
        said.append(f"the largest class has {high} examples, the smallest {low}: consider --metric balanced_accuracy")
    return tuple(said)
