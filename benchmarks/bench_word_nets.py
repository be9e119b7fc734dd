"""Word vectors with something on top: means, a convolution, a GRU; the table frozen or tuned.

    .venv/bin/python benchmarks/bench_word_nets.py [--draws 3] [--sets tweets r8]

The table is wheel:glove-6b-50d. In every draw 64 texts of each class are labelled (all that there are, where a class
has fewer); the rest, at most 2,000, says what is true. Rate and epochs are chosen inside the labelled texts, as `fit`
does. "random" is ridge on the untrained net; "untrained table" is the same net without GloVe's vectors. Differences to
the mean are paired over draws. What the result has is not run again.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from bench_text import accuracy, drawn, interval, whole

from headstart.advisor.budget import wish
from headstart.core.plan import Plan, Solve
from headstart.core.progress import Silent
from headstart.data.store import Store
from headstart.features.extract import extract
from headstart.modalities.text.modality import TEXT
from headstart.sources.load import load
from headstart.strategies.catalog import plan
from headstart.training.plan_learner import PlanLearner

RESULT = Path(__file__).parent / "results" / "word_nets.json"
TABLE = "wheel:glove-6b-50d"
EACH = 64


def ridge(*stages: str) -> Plan:
    """A closed form on these stages side by side."""
    return Plan("linear", phases=(Solve("ridge", stages=stages, select="concat"),))


ARMS = {
    "tf-idf": ("words", plan("tf-idf")),
    "mean": (TABLE, ridge("mean")),
    "weighted mean": (TABLE, ridge("weighted mean")),
    **{f"{top}, random": (f"{TABLE}+top:{top}", ridge("last")) for top in ("cnn", "gru")},
    **{f"{top}, table frozen": (f"{TABLE}+top:{top}", plan("lp-ft")) for top in ("cnn", "gru")},
    **{f"{top}, table tuned": (f"{TABLE}+top:{top}", plan("finetune")) for top in ("cnn", "gru")},
    "cnn, untrained table": (f"{TABLE}+top:cnn+fresh:first", plan("scratch-twin")),
}


def main() -> None:
    """Run what is not there yet, sum up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=["tweets", "r8"])
    asked, store = parser.parse_args(), Store()
    torch.set_num_threads(1)
    rows = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    sources = {name: load(name) for name, _ in ARMS.values() if name != "words"}
    tapped = {**sources, "words": TEXT.controls["tf-idf"]}
    for name in asked.sets:
        data = whole(name)
        for seed in range(asked.draws):
            few, rest = drawn(data, EACH, seed)
            for arm, (source, asks) in ARMS.items():
                if any((r["set"], r["seed"], r["arm"]) == (name, seed, arm) for r in rows):
                    continue
                started = time.perf_counter()
                both = [tapped[source]] if asks.closed_form or arm.endswith("frozen") else []
                features = extract(both, data, store, Silent())
                learner = PlanLearner(asks.name, "transfer", asks, {source: tapped[source]}, store)
                if asks.open:
                    learner = replace(learner, epochs=wish(learner, len(few)).wanted)
                fitted = learner.fit(few, seed=seed, features=features)
                right = accuracy(fitted.predict(rest, features).probabilities.argmax(axis=1), rest.targets)
                seconds = round(time.perf_counter() - started, 1)
                rows.append({"set": name, "seed": seed, "arm": arm, "accuracy": right, "seconds": seconds})
                print(rows[-1], flush=True)
                RESULT.write_text(json.dumps({"summary": summary(rows), "rows": rows}, indent=1) + "\n")
    for line in summary(rows):
        print(json.dumps(line))


def summary(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Mean accuracy and seconds of each arm, and its paired difference to the mean with a 90 % interval."""
    found: list[dict[str, object]] = []
    for name in dict.fromkeys(str(row["set"]) for row in rows):
        mine = {(row["arm"], row["seed"]): row for row in rows if row["set"] == name}
        for arm in ARMS:
            seeds = [seed for at, seed in mine if at == arm and ("mean", seed) in mine]
            if not seeds:
                continue
            right = np.array([mine[arm, seed]["accuracy"] for seed in seeds], dtype=float)
            plain = np.array([mine["mean", seed]["accuracy"] for seed in seeds], dtype=float)
            seconds = np.mean([float(str(mine[arm, seed]["seconds"])) for seed in seeds])
            line: dict[str, object] = {"set": name, "arm": arm, "draws": len(seeds)}
            line |= {"accuracy": round(float(right.mean()), 1), "- mean": interval(right - plain)}
            found.append(line | {"seconds": round(float(seconds), 1)})
    return found


if __name__ == "__main__":
    main()
