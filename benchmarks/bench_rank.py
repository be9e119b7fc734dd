"""Which score finds the best source? Every source on every target, judged by what its features then give.

    .venv/bin/python benchmarks/bench_rank.py [--seeds 5] [--targets optdigits ...]

For each target and seed 100 examples are labelled, the rest (86 to 500) are a test part in two halves. Every score
looks at the labelled examples only and picks a source by its last stage, or a stage of any source. What a pick is worth
is the accuracy of a ridge head, fitted on the labelled examples, on half B; the oracle picks the best on half A.
Features are kept in the cache, so that a run that was cut goes on. benchmarks/results/rank.parquet has, for each pair,
the scores and which examples of the test part were right.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from bank import SOURCES, TARGETS, TAUGHT, dataset
from rivals import RIVALS
from scipy.stats import weightedtau
from sklearn.model_selection import train_test_split

from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.features.engine import choose
from headstart.features.extract import extract
from headstart.features.table import FeatureTable
from headstart.linear.heads import Ridge
from headstart.selection.scores import SCORES
from headstart.sources.access import EVERYTHING
from headstart.sources.load import load
from headstart.sources.source import Source

RESULTS = Path(__file__).parent / "results"
LABELLED = 100
UNTRAINED = "random:resnet10t@96"
COMBINED = ("ridge-loo", "logme")  # equal weight of their ranks


def pairs(target: str, seeds: int, store: Store, sources: dict[str, Source]) -> list[dict[str, object]]:
    """Scores and hits of every source and stage on a target."""
    data = dataset(target, store)
    sources = {name: one for name, one in sources.items() if TAUGHT.get(name) != target}
    modes = {name: choose(one, data, store, Silent()) for name, one in sources.items()}
    features = extract(sources.values(), data, store, Silent(), modes)
    rows = []
    for seed in range(seeds):
        split = train_test_split(np.arange(len(data)), train_size=LABELLED, stratify=data.targets, random_state=seed)
        few, rest = (data.take(np.sort(part)) for part in split)
        for name, source in sources.items():
            last = source.card.stages[-1].name
            for stage in features.stages(name):
                judged = one(name, stage, few, rest, features, last=stage == last)
                rows.append({"target": target, "seed": seed, "source": name, "stage": stage, "last": stage == last}
                            | judged | {"static": source.card.benchmark, "size": source.card.parameters})  # fmt: skip
    return rows


def one(
    source: str, stage: str, few: Dataset, rest: Dataset, features: FeatureTable, *, last: bool
) -> dict[str, object]:
    """Every score of one stage's features, and what they give."""
    block, classes = features.of(source, stage, few), few.task.outputs
    head = Ridge.fit([block], few.targets, classes, None)
    hits = head.predict([features.of(source, stage, rest)]).argmax(axis=1) == rest.targets
    found = {name: score.of(block, few.targets, classes) for name, score in SCORES.items()}
    rivals = RIVALS if last else {}  # they are slow
    found |= {name: score(block, few.targets, classes) for name, score in rivals.items()}
    return {**found, "ridge-loo error": -head.error, "hits": np.packbits(hits).tobytes(), "n": len(hits)}


def accuracies(rows: pd.DataFrame) -> np.ndarray:
    """(k, 2) accuracy of each pair on both halves."""
    hits = np.stack([np.unpackbits(np.frombuffer(h, np.uint8))[:n] for h, n in zip(rows.hits, rows.n, strict=True)])
    halves = np.random.default_rng(0).permutation(hits.shape[1]) % 2 == 0
    return np.stack([hits[:, halves].mean(axis=1), hits[:, ~halves].mean(axis=1)], axis=1)


def judged(rows: pd.DataFrame, score: str) -> dict[str, float]:
    """Regret of the top pick in points, and weighted tau, on one target and seed."""
    values = combined(rows) if score == "combined" else rows[score].fillna(-np.inf).to_numpy()
    (half_a, half_b), top = accuracies(rows).T, values.argmax()
    tau = weightedtau(np.where(np.isinf(values), values[~np.isinf(values)].min() - 1, values), half_b).statistic
    return {"regret": 100 * float(half_b[half_a.argmax()] - half_b[top]), "tau": float(tau)}


def combined(rows: pd.DataFrame) -> np.ndarray:
    """The mean of the ranks by several scores."""
    return np.mean([rows[name].rank().to_numpy() for name in COMBINED], axis=0)


def interval(by_target: np.ndarray) -> tuple[float, float, float]:
    """The mean over targets with its 90 % bootstrap interval; targets are what is drawn anew."""
    draws = np.random.default_rng(0).choice(by_target, (4000, len(by_target))).mean(axis=1)
    return float(by_target.mean()), *np.quantile(draws, [0.05, 0.95]).tolist()


def table(rows: pd.DataFrame, question: str) -> dict[str, dict[str, object]]:
    """For each score: mean regret and tau with intervals over targets."""
    rows = rows[rows["last"]] if question == "sources" else rows
    out: dict[str, dict[str, object]] = {}
    rivals = RIVALS if question == "sources" else ()
    for score in ("static", "size", *SCORES, *rivals, "ridge-loo error", "combined"):
        cells = [(target, judged(part, score)) for (target, _), part in rows.groupby(["target", "seed"])]
        found = pd.DataFrame([cell for _, cell in cells]).groupby([target for target, _ in cells]).mean()
        out[score] = {
            "regret, points": interval(found.regret.to_numpy()), "weighted tau": interval(found.tau.to_numpy()),
            "worst target": f"{found.regret.idxmax()} {found.regret.max():.1f}",
        }  # fmt: skip
    return out


def main() -> None:
    """Measure what is missing, summarise, print and keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--targets", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    asked = parser.parse_args()
    store, sources = Store(), {name: load(name, EVERYTHING) for name in (*SOURCES, UNTRAINED)}
    rows = []
    for target in asked.targets:
        rows += pairs(target, asked.seeds, store, sources)
        print(f"{target}: {len(rows)} pairs", flush=True)
    frame = pd.DataFrame(rows)
    frame.to_parquet(RESULTS / "rank.parquet")
    found = {question: table(frame, question) for question in ("sources", "sources and stages")}
    asking = {"targets": asked.targets, "sources": list(sources), "seeds": asked.seeds, "labelled": LABELLED}
    (RESULTS / "rank.json").write_text(json.dumps({**asking, **found}, indent=1))
    for question, scores in found.items():
        for score, figures in scores.items():
            print(question, score, json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
