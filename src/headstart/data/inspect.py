"""What should be known of the data before anything is learned: near-duplicates and small classes."""

import numpy as np
from numpy.typing import NDArray

from headstart.core.predictions import Floats
from headstart.data.dataset import Dataset

# Measured on the 1,968 training photos of ELPV (solar cells: as alike a data set as there is) with efficientnet-lite0,
# and on copies of 60 of them. Found: JPEG at quality 60 100 %, resized to 80 % 100 %, 2 of 300 pixels cropped off each
# side 78 %; 92 % of all copies when all three are there. Of the cells themselves 1.6 % are grouped, in 14 groups of at
# most 3 (by eye: sister wafers with the same grain, and pictures that are all black).
SAME_PIXELS = 0.993  # cosine of raw inputs above which two are the same picture, whatever the source says
FEATURES_ALIKE = 0.86  # cosine of whitened features above which, with ...
PIXELS_ALIKE = 0.75  # ... this cosine of raw inputs, they are too
SHRINKAGE = 1.0  # of the features' covariance towards its mean variance
SMALL = 5  # members up to which a group may be a chain
CHUNK = 1024
FEW = 5
GROUPED = "in the same group as an example of the test part"  # likewise, where it is no copy of one
LEAK = "nearly the same as an example of the test part"  # why it is left out


def near_duplicates(features: Floats, raw: Floats) -> tuple[NDArray[np.int64], tuple[tuple[int, ...], ...]]:
    """Group examples that are nearly the same: equal in the raw input, or alike in it and to the source.

    Both are measured as cosines after what the whole data set has in common is taken out: the mean picture, and the
    directions in which all features vary together. A group of up to five grows by any link, a larger one by complete
    linkage - a new member must be alike to every one that is in - so that chains cannot swallow half of a homogeneous
    data set.

    Args:
        features: (n, D) last-stage features.
        raw: (n, P) raw inputs.

    Returns:
        (n,) group ids, and the members of each group of two or more.
    """
    first, same = _distinct(features, raw)
    group = np.arange(len(first))
    members: dict[int, list[int]] = {i: [i] for i in range(len(first))}
    alike = _alike(_whitened(features)[first], _directions(_without_mean(raw - raw.mean(axis=1, keepdims=True)))[first])
    for i in sorted(alike):
        for j in sorted(alike[i]):
            a, b = int(group[i]), int(group[j])
            if a != b and _belong(members[a], members[b], alike):
                members[a] += members.pop(b)
                group[members[a]] = a
    ids = first[group[same]]
    return ids, _of_several(ids)


def _belong(one: list[int], other: list[int], alike: dict[int, set[int]]) -> bool:
    """Whether two groups with a link between them are one."""
    return len(one) + len(other) <= SMALL or all(y in alike[x] for x in one for y in other)


def _distinct(features: Floats, raw: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the first of each distinct example, and (n,) which of those each is: copies are compared once."""
    seen: dict[bytes, int] = {}
    rows = zip(features, raw, strict=True)
    same = np.array([seen.setdefault(f.tobytes() + r.tobytes(), len(seen)) for f, r in rows], dtype=np.int64)
    return np.unique(same, return_index=True)[1].astype(np.int64), same


def _of_several(ids: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    """The members of each group of two or more."""
    members: dict[int, list[int]] = {}
    for position, number in enumerate(ids.tolist()):
        members.setdefault(number, []).append(position)
    return tuple(tuple(together) for together in members.values() if len(together) > 1)


def _alike(seen: NDArray[np.float32], raw: NDArray[np.float32]) -> dict[int, set[int]]:
    """Whom each example is alike to, both ways, from directions (n, D) and (n, P)."""
    alike: dict[int, set[int]] = {}
    for start in range(0, len(raw), CHUNK):
        rows = slice(start, start + CHUNK)
        pixels = raw[rows] @ raw.T
        pair = (pixels >= SAME_PIXELS) | ((pixels >= PIXELS_ALIKE) & (seen[rows] @ seen.T >= FEATURES_ALIKE))
        for i, j in zip(*np.nonzero(np.triu(pair, k=start + 1)), strict=True):
            alike.setdefault(start + int(i), set()).add(int(j))
            alike.setdefault(int(j), set()).add(start + int(i))
    return alike


def _whitened(features: Floats) -> NDArray[np.float32]:
    """(n, k) directions: features with their common variation scaled down, what is peculiar to a few brought out."""
    centred = _without_mean(_directions(features)).astype(np.float64)
    n, width = centred.shape
    values, axes = np.linalg.eigh(centred.T @ centred / n)
    spread = np.maximum(values, 0.0)
    shrunk = spread + SHRINKAGE * max(spread.sum() / min(max(n - 1, 1), width), 1e-12)
    return _directions(centred @ (axes / np.sqrt(shrunk)))


def _without_mean(rows: Floats) -> Floats:
    return rows - rows.mean(axis=0)


def _directions(rows: Floats) -> NDArray[np.float32]:
    wide = rows.astype(np.float32)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)


def class_warnings(data: Dataset) -> tuple[str, ...]:
    """Classes or labels with too few examples, and imbalance."""
    counts = data.counts()
    few = [f"{name} ({count})" for name, count in counts.items() if count < FEW]
    said: list[str] = []
    if few:
        called = "labels" if data.task.kind == "multi-label" else "classes"
        said.append(f"{called} with fewer than {FEW} examples: {', '.join(few)}")
    if data.task.kind != "classification":
        return tuple(said)
    low, high = min(counts.values()), max(counts.values())
    if high > 3 * max(low, 1):
        said.append(f"the largest class has {high} examples, the smallest {low}: consider --metric balanced_accuracy")
    return tuple(said)
