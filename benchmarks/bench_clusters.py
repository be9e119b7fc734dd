"""Clusters of digits that nobody has labelled, in features that were learned on others, beside their pixels.

    .venv/bin/python benchmarks/bench_clusters.py [--minutes 6]

A small net is trained by `headstart fit` on 5,000 digits of MNIST, cut to their boxes and averaged to 8 x 8 as those
of optdigits are. Then the 1,797 digits of optdigits are clustered without their labels: k-means with k = 10 on
pixels, on whitened pixels, on features of an ImageNet net and on those of the MNIST net, with 8 to 64 whitened
components. Scores against the labels are adjusted Rand index, normalised mutual information and accuracy under the
best matching of clusters to classes, means over starts, with 90 % bootstrap intervals over examples. Beside them:
what `explore` does with k unknown, and how well the classes are kept apart on its maps (5 nearest neighbours in two
dimensions).
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from picture_sets import mnist, optdigits
from PIL import Image
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

import headstart as hs
from headstart.core.progress import Silent
from headstart.data.labelled import Where
from headstart.data.store import Store
from headstart.features.extract import extract
from headstart.modalities.catalog import read
from headstart.sources.load import load
from headstart.strategies.unsupervised.clustering import cluster
from headstart.strategies.unsupervised.reduction import MAPS, flat, whitened

HERE = Path(__file__).parent
RESULT, WORK = HERE / "results" / "clusters.json", HERE.parent / ".bench" / "clusters"
STARTS, DRAWS, CLASSES = 5, 400, 10


def boxed(picture: Image.Image) -> Image.Image:
    """A digit of MNIST as optdigits has its own: cut to its box, 32 pixels on the longer side, averaged to 8 x 8."""
    there = np.argwhere(np.asarray(picture) > 32)
    (top, left), (bottom, right) = there.min(axis=0), there.max(axis=0) + 1
    cut = picture.crop((int(left), int(top), int(right), int(bottom)))
    share = 32 / max(cut.size)
    cut = cut.resize((max(1, round(cut.width * share)), max(1, round(cut.height * share))), Image.Resampling.BILINEAR)
    paper = Image.new("L", (32, 32))
    paper.paste(cut, ((32 - cut.width) // 2, (32 - cut.height) // 2))
    return paper.reduce(4)


def laid_out() -> None:
    """Both sets as a folder a class."""
    for name, (pictures, labels) in {"mnist8": mnist(), "optdigits": optdigits()}.items():
        if (WORK / name).exists():
            continue
        for at, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            path = WORK / name / label / f"{at:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            (boxed(picture) if name == "mnist8" else picture).save(path)


def net(minutes: float) -> str:
    """The source: trained once."""
    if not (WORK / "net" / "record.json").exists():
        hs.fit(
            WORK / "mnist8", sources=["random:resnet10t@32"], strategies=["finetune"], deliver="transfer",
            minutes=minutes, out=WORK / "net",
        )  # fmt: skip
    return f"run:{WORK / 'net'}"


def accuracy(truth: np.ndarray, codes: np.ndarray) -> float:
    """Under the best matching of clusters to classes."""
    table = np.zeros((truth.max() + 1, codes.max() + 1))
    np.add.at(table, (truth, codes), 1)
    return float(table[linear_sum_assignment(-table)].sum() / len(truth))


SCORES = {"ari": adjusted_rand_score, "nmi": normalized_mutual_info_score, "accuracy": accuracy}


def scored(truth: np.ndarray, found: list[np.ndarray], seed: int = 0) -> dict[str, list[float]]:
    """Mean over starts, and its bootstrap interval."""
    rng = np.random.default_rng(seed)
    draws = [rng.integers(0, len(truth), len(truth)) for _ in range(DRAWS)]
    result = {}
    for name, score in SCORES.items():
        value = np.mean([score(truth, codes) for codes in found])
        again = [np.mean([score(truth[at], codes[at]) for codes in found]) for at in draws]
        result[name] = [round(float(v), 4) for v in (value, *np.quantile(again, [0.05, 0.95]))]
    return result


def means(rows: np.ndarray) -> list[np.ndarray]:
    """k-means from several starts."""
    return [KMeans(CLASSES, n_init=4, random_state=seed).fit_predict(rows) for seed in range(STARTS)]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=6.0, help="for the net on MNIST")
    asked = parser.parse_args()
    laid_out()
    data, store = read(Where(WORK / "optdigits", bare=True), Store(), Silent()), Store()
    sources = {"pixels": data.modality.baseline, "imagenet": load("wheel:efficientnet-lite0")}
    sources["mnist"] = load(net(asked.minutes))
    table = extract(sources.values(), data, store, Silent())
    truth = data.targets
    features = {name: table.of(one.name, table.stages(one.name)[-1], data) for name, one in sources.items()}
    rows: list[dict[str, Any]] = []
    for name, values in features.items():
        ways = {"as they are": values, **{f"whitened to {k}": whitened(values, k) for k in (8, 16, 32, 64)}}
        for way, directions in ways.items():
            rows.append({"features": name, "way": way, "k": CLASSES, **scored(truth, means(directions))})
            print(rows[-1], flush=True)
    maps: list[dict[str, Any]] = []
    for name, values in features.items():
        directions = whitened(values)
        found = cluster(directions, "auto", 0)
        told = scored(truth, [found.codes]) if found.clear else {}
        rows.append({"features": name, "way": "explore", "k": len(found.centres), "clear": found.clear, **told})
        print(rows[-1], flush=True)
        for way in MAPS:
            started = time.process_time()
            places = flat(directions, way, 0)
            spent = time.process_time() - started
            right = cross_val_score(KNeighborsClassifier(5), places, truth, cv=5).mean()
            maps.append({"features": name, "map": way, "knn": round(float(right), 4), "cpu_seconds": round(spent, 1)})
            print(maps[-1], flush=True)
    RESULT.write_text(json.dumps({"rows": rows, "maps": maps}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
