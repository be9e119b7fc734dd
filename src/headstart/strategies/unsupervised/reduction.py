"""Fewer dimensions: whitened principal components, and two of them (or of UMAP) to look at."""

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from headstart.core.extras import installed, require
from headstart.core.predictions import Floats

Map = Literal["auto", "pca", "umap"]
COMPONENTS = 16  # at most; benchmarks/bench_clusters.py measures 8 to 64
EACH = 10  # examples for a component: of fewer, whitening makes noise as loud as what tells them apart
KEPT = 0.99  # share of the variance that they carry, where fewer do
NEIGHBOURS = 15  # of UMAP


def whitened(features: Floats, components: int = COMPONENTS) -> Floats:
    """(n, k) directions: principal components scaled to one variance, then each example to length one.

    Args:
        features: (n, D), finite.
        components: at most so many; fewer where fewer carry `KEPT` of the variance.
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    values, axes = _principal(centred)
    held = np.cumsum(values) / max(values.sum(), np.finfo(float).tiny)
    enough = min(int(np.searchsorted(held, KEPT)) + 1, components, max(len(centred) // EACH, 2))
    enough = min(enough, max(int((values > 1e-10 * values[0]).sum()), 1))
    scaled = centred @ (axes[:, :enough] / np.sqrt(np.maximum(values[:enough], np.finfo(float).tiny)))
    return scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12)


def _principal(centred: Floats) -> tuple[Floats, Floats]:
    """Variances and (D, k) axes, the largest first; by the smaller of the two Gram matrices."""
    if len(centred) >= centred.shape[1]:
        values, axes = np.linalg.eigh(centred.T @ centred / len(centred))
        return np.maximum(values[::-1], 0.0), axes[:, ::-1]
    values, left = np.linalg.eigh(centred @ centred.T / len(centred))
    values, left = np.maximum(values[::-1], 0.0), left[:, ::-1]
    return values, centred.T @ left / np.maximum(np.sqrt(values * len(centred)), 1e-12)


def _pca(directions: Floats, seed: int) -> Floats:  # noqa: ARG001 - nothing is drawn
    """The two directions in which the examples differ most, each with the sign that its largest entry is positive."""
    centred = directions - directions.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    places = np.zeros((len(directions), 2))
    for at, axis in enumerate(axes[:2]):
        places[:, at] = centred @ (axis * np.sign(axis[np.abs(axis).argmax()]))
    return places


def _umap(directions: Floats, seed: int) -> Floats:
    """McInnes, Healy and Melville 2018, arXiv 1802.03426; by cosine; one thread: equal seeds, equal maps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its parametric kind, which wants TensorFlow
        umap: Any = require("umap", "explore")
    neighbours = min(NEIGHBOURS, len(directions) - 1)
    start = "spectral" if len(directions) > 4 * neighbours else "random"
    fit = umap.UMAP(n_neighbors=neighbours, metric="cosine", init=start, random_state=seed, n_jobs=1)
    return np.asarray(fit.fit_transform(directions), dtype=np.float64)


MAPS: Mapping[Map, Callable[[Floats, int], Floats]] = MappingProxyType({"pca": _pca, "umap": _umap})


def chosen(way: Map) -> Map:
    """What "auto" stands for: UMAP, which shows clusters (benchmarks/bench_clusters.py), where it is installed."""
    return ("umap" if installed("umap") else "pca") if way == "auto" else way


def flat(directions: Floats, way: Map, seed: int) -> Floats:
    """(n, 2) places on a map, within -1 .. 1 with the shape kept.

    Raises:
        UserError: the way needs a package that is not installed.
    """
    places = MAPS[way](directions, seed) if len(directions) > 3 else _pca(directions, seed)
    middle = (places.max(axis=0) + places.min(axis=0)) / 2
    return (places - middle) / max(float(np.ptp(places, axis=0).max()) / 2, 1e-12)
