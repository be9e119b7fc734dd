"""Are the intervals of the learning curve honest? The shipped curves on simulated small tasks whose truth is known.

    .venv/bin/python benchmarks/bench_measures.py [--tasks 60] [--out benchmarks/results/measures.json]

Tasks are those of `bench_intervals` (bank "coverage"). Truth is what the same two arms score on average when they learn
from as many labels, drawn anew from the whole pool `DRAWN` times, and are tested on all the rest: the gain with the
fewest labels and with all, the worth of the last doubling, and the labels that one side saves.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_intervals import ACCURACY, View, draw

from headstart.advisor.ladder import Bench, tier0
from headstart.advisor.learning_curve import learning_curves
from headstart.advisor.ledger import Ledger
from headstart.core.progress import Silent
from headstart.core.record import Span
from headstart.evaluation.evidence import Evidence, Examples
from headstart.evaluation.folds import OutOfFold, fold_maps
from headstart.evaluation.transfer_measures import Rise, measures, saved
from headstart.evaluation.verdict import compare
from headstart.training.plan_learner import PlanLearner

DRAWN = 8


def true_score(arm: PlanLearner, pool: View, features: object, labels: int, seed: int) -> float:
    """What an arm scores with so many labels, on average over draws of them."""
    found = []
    for number in range(DRAWN):
        order = np.random.default_rng(seed * 1000 + number).permutation(len(pool))
        train, rest = pool.take(order[:labels]), pool.take(order[labels:])
        fitted = arm.fit(train, seed=seed, features=features)
        found.append(float(ACCURACY(fitted.predict(rest, features).probabilities, rest.targets)))
    return float(np.mean(found))


def run(seed: int) -> dict[str, object] | None:
    """One task: what is measured, and what is true; None where no curve can be had."""
    train, rest, features, arms = draw(seed, "coverage")
    roles = {arm.name: arm.role for arm in arms}
    with tempfile.TemporaryDirectory() as folder:
        maps = fold_maps(train.targets, train.groups, seed)
        bench = Bench(train, None, maps, features, Ledger(Path(folder)), Silent(), seed)
        oof = OutOfFold(maps, train.task.outputs)
        started = time.process_time()
        done = tier0(bench, arms, oof)
        of_tier0 = time.process_time() - started
        judged = compare(roles, oof, train.targets, train.groups, ACCURACY, seed)
        assert judged is not None
        started = time.process_time()
        curves = learning_curves(bench, arms, done, oof, ACCURACY, judged, judged.transfer)
        of_curves = time.process_time() - started
    who = Examples(train.keys, train.keys, train.targets, train.groups)
    evidence = Evidence(train.task.classes, roles, who, oof, None, {}, curves.partly)
    found = measures(evidence, ACCURACY, seed, [], curves.why_none, curves.seconds)
    if found.curve is None:
        return None
    pool = View(train.keys + rest.keys, np.concatenate([train.targets, rest.targets]),
                np.concatenate([train.groups, rest.groups]), train.task)  # fmt: skip
    sizes = np.array([point.labels for point in found.curve.points])
    sides = {arm.role: arm for arm in arms if arm.name in (judged.transfer, judged.control)}
    ours, theirs = (
        np.array([true_score(sides[role], pool, features, int(size), seed) for size in sizes])
        for role in ("transfer", "control")
    )
    ratio = saved(sizes.astype(float), *(Rise(one, one[:, None]) for one in (ours, theirs)), ACCURACY).ratio.value
    doubling = None
    if found.prices and found.priced == judged.transfer:
        half = true_score(sides["transfer"], pool, features, int(sizes[-1] / 2), seed)
        doubling = judge(found.prices[0].worth, ours[-1] - half)
    return {
        "seed": seed, "n": len(train), "of_tier0": of_tier0, "of_curves": of_curves,
        "jumpstart": judge(found.curve.jumpstart, ours[0] - theirs[0]),
        "at all labels": judge(found.curve.at_all, ours[-1] - theirs[-1]),
        "labels saved": judge(found.curve.saved.ratio, ratio),
        "last doubling": doubling,
    }  # fmt: skip


def judge(span: Span, true: float) -> dict[str, float | bool]:
    """An interval beside the truth."""
    return {"value": span.value, "low": span.low, "high": span.high, "true": float(true),
            "covered": bool(span.low - 1e-9 <= true <= span.high + 1e-9)}  # fmt: skip


def summary(rows: list[dict]) -> dict[str, object]:
    """Coverage, width and bias of every measure."""
    out: dict[str, object] = {"tasks": len(rows)}
    for name in ("jumpstart", "at all labels", "labels saved", "last doubling"):
        these = [row[name] for row in rows if row[name] is not None]
        out[name] = {
            "tasks": len(these),
            "covered": round(float(np.mean([one["covered"] for one in these])), 3),
            "median width": round(float(np.median([one["high"] - one["low"] for one in these])), 3),
            "mean error": round(float(np.mean([one["value"] - one["true"] for one in these])), 3),
        }
    shares = [row["of_curves"] / row["of_tier0"] for row in rows]
    out["processor time as a share of tier 0"] = round(float(np.median(shares)), 3)
    return out


def main() -> None:
    """Run the tasks and write the rows with their summary."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "measures.json")
    asked = parser.parse_args()
    rows = [row for seed in range(asked.tasks) if (row := run(seed)) is not None]
    found = {"summary": summary(rows), "rows": rows}
    asked.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found["summary"], indent=1))


if __name__ == "__main__":
    main()
