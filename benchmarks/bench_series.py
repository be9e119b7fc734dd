"""Series with their official splits: TimeNet trained on other sets, beside what needs no training and no transfer.

    .venv/bin/python benchmarks/bench_series.py [--minutes 8] [--sets GunPoint ...]

TimeNet is trained three times by `headstart pretrain`, each time without labels on the training parts of the sets that
are not in a group, and on 10,000 made series; each set is then judged with the encoder that has seen nothing of its
group. (One training a set would be eleven; a group's other sets are left out too, so no set gains by the sharing.)

Everything is fitted on a set's training part; its test part is scored once. `delivered` is what the shipped tier 0
delivers with the shipped source: arm, stage and penalty chosen by leave-one-out and folds inside the training part.
"dtw" reads series with their levels, as shipped; "dtw z" scales each by itself, as the archive's own figures do and
TimeNet does. "last" reads TimeNet's last states alone, as published; what is shipped reads the moments of all states.

Differences are means over sets with the exact p of a sign-flip test over sets. What the result has is not run again.
"""

import argparse
import json
import os
import time
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import torch
from bench_text import Memory, accuracy
from elpv_data import cache_folder
from series_sets import SETS, UNIVARIATE, folder

from headstart.advisor.arms import arms
from headstart.advisor.ladder import Bench, tier0
from headstart.advisor.survey import parts
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.labelled import Where
from headstart.data.store import Store
from headstart.evaluation.delivery import decide
from headstart.evaluation.folds import OutOfFold, fold_maps
from headstart.evaluation.verdict import compare
from headstart.features.extract import extract
from headstart.metrics.scores import metric
from headstart.modalities.series.baselines import SHAPES, Whole
from headstart.modalities.series.reader import SeriesReader
from headstart.pretraining.run import pretrain
from headstart.sources.card import SeriesInput
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.strategies.catalog import plan
from headstart.training.plan_learner import PlanLearner

RESULT = Path(__file__).parent / "results" / "series.json"
GROUPS = (
    ("ArrowHead", "Coffee", "GunPoint", "OSULeaf"),
    ("ACSF1", "PLAID", "PigCVP", "BasicMotions"),
    ("ItalyPowerDemand", "PickupGestureWiimoteZ", "JapaneseVowels"),
)
UNLEVELLED = Whole(
    "whole z", "series-whole-z-1", SeriesInput(channels=None, length=2048)
)  # each channel scaled by itself
PAIRS = (
    ("timenet", "untrained"),
    ("timenet", "raw"),
    ("timenet", "dtw"),
    ("timenet", "dtw z"),
    ("timenet last", "untrained last"),
    ("delivered", "minirocket"),
    ("fracast all-stages", "minirocket"),
    ("fracast all-stages", "dtw"),
)
Row = dict[str, object]


def trained(group: int, minutes: float) -> str:
    """The name of TimeNet trained without the sets of a group; trained once, gone on with after a kill."""
    out = cache_folder().parent / "bench-series" / f"without-{group}"
    if not (out / "card.json").is_file():
        others = [folder(name) for name in SETS if name not in GROUPS[group]]
        pretrain(others, out=out, minutes=minutes, generated=10_000, seed=0)
    return f"file:{out}"


def encoders(name: str, data: Dataset, minutes: float) -> dict[str, Source]:
    """By what it is called here: TimeNet, the same net untrained, and the shipped source."""
    group = next(at for at, sets in enumerate(GROUPS) if name in sets)
    asked = {"timenet": trained(group, minutes), "untrained": "random:timenet", "fracast": SeriesReader.sources[0]}
    asked |= {f"{one} last": f"{asked[one]}+pool:last" for one in ("timenet", "untrained")}
    return {called: load(*data.modality.fitting((one,))) for called, one in asked.items()}


def run(name: str, minutes: float, store: Store) -> Row:
    """The test accuracy of every arm on a set."""
    started = time.perf_counter()
    reader = SeriesReader()
    data = reader.read(Where(folder(name)), store, Silent())
    train, test, _ = parts(data, 0)
    assert test is not None
    nets = encoders(name, data, minutes)
    small = {one: load(one) for one in data.modality.untrained}
    tapped = [data.modality.baseline, UNLEVELLED, *data.modality.controls.values(), *small.values(), *nets.values()]
    features = extract(tapped, data, store, Silent())
    extracted = time.perf_counter() - started
    every = {nets["fracast"].name: nets["fracast"]}
    found = arms(
        reader.strategies, sources=every, modality=data.modality, untrained=small, task=data.task, stage=None,
        store=store,
    )  # fmt: skip
    others = [PlanLearner(called, "transfer", plan("linear"), {one.name: one}, store) for called, one in nets.items()]
    others.append(PlanLearner("fracast all-stages", "transfer", plan("all-stages"), every, store))
    if "dtw" not in data.modality.controls:  # above 500 series all its folds would take too long; one fit does not
        others.append(PlanLearner("dtw", "control", plan("dtw"), {SHAPES.name: SHAPES}, store))
    others.append(PlanLearner("dtw z", "control", plan("dtw"), {UNLEVELLED.name: UNLEVELLED}, store))
    right: dict[str, float] = {}
    for one in (*found.closed, *others):
        fitted = one.fit(train, seed=0, features=features)
        right[one.name] = accuracy(fitted.predict(test, features).probabilities.argmax(axis=1), test.targets)
    maps = fold_maps(train.strata, train.groups, 0)
    oof = OutOfFold(maps, train.task.outputs)
    tier0(Bench(train, None, maps, features, Memory(), Silent(), 0), found.closed, oof)  # type: ignore[arg-type]
    roles = {one.name: one.role for one in found.closed}
    judged = compare(roles, oof, train.targets, train.groups, metric("accuracy"), 0)
    assert judged is not None
    decision = decide(judged, "auto")
    right["delivered"] = right[decision.delivered]
    return {
        "set": name, "n": len(train), "test": len(test),
        "classes": train.task.outputs, "delivered": decision.delivered, "claim": judged.claim, "accuracy": right,
        "seconds of features": round(extracted, 1), "seconds": round(time.perf_counter() - started, 1),
    }  # fmt: skip


def summary(rows: list[Row]) -> dict[str, object]:
    """Means over the sets, and the paired differences."""
    by_set: dict[str, Mapping[str, float]] = {str(row["set"]): row["accuracy"] for row in rows}  # type: ignore[misc]
    known = set.intersection(*(set(one) for one in by_set.values()))
    means = {arm: round(float(np.mean([one[arm] for one in by_set.values()])), 2) for arm in sorted(known)}
    found: dict[str, object] = {"sets": len(rows), "means": means}
    for one, other in PAIRS:
        both = {name: row[one] - row[other] for name, row in by_set.items() if {one, other} <= set(row)}
        lead = np.array(list(both.values()))
        nine = [both[name] > 0 for name in UNIVARIATE if name in both]
        found[f"{one} - {other}"] = {
            "mean": round(float(lead.mean()), 2), "p": flipped(lead), "better": int((lead > 0).sum()),
            "worse": int((lead < 0).sum()), "better of the univariate": f"{sum(nine)} of {len(nine)}",
        }  # fmt: skip
    return found


def flipped(lead: np.ndarray) -> float:
    """Two-sided p of a mean under all flips of signs: exact."""
    signs = np.array(list(product((1, -1), repeat=len(lead))))
    return round(float((np.abs(signs @ lead) >= abs(lead.sum()) - 1e-9).mean()), 4)


def main() -> None:
    """Run what is not there yet, sum up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=8.0, help="of each training")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    asked, store = parser.parse_args(), Store()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    rows: list[Row] = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    for name in asked.sets:
        if not any(row["set"] == name for row in rows):
            rows.append(run(name, asked.minutes, store))
            RESULT.write_text(json.dumps({"summary": summary(rows), "rows": rows}, indent=1) + "\n")
            print(json.dumps(rows[-1]), flush=True)
    print(json.dumps(summary(rows), indent=1))


if __name__ == "__main__":
    main()
