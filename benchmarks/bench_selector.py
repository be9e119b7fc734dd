"""Does measuring choose better than any fixed recipe? Cells of source, target and labels, everything judged on a pool.

    .venv/bin/python benchmarks/bench_selector.py [--cells small large] [--minutes 1] [--draws 0 1 2] [--only NAME ...]

In every cell (see transfer_cells.py) the shipped ladder has so many minutes; what it delivers, every other arm, and the
fixed recipes are fitted on the same labels and judged on the pool. The oracle is the arm that is best on half A of the
pool; it, and everything else, is scored on half B. Regret is oracle minus delivered; the control is the best control of
half A. Beside headstart: always linear, always LP-FT, always fine-tune, always from scratch (the source's own
architecture where it is small, else the small control net), and the textbook's rule: by labels a class (20 and more
are many) and by leave-one-out similarity, linear, LP-FT, the best earlier stage, or LP-FT again. Fixed recipes choose
rate and epochs as the shipped arms do, unhurried. A cell may be drawn several times: two or five labels a class are a
lottery, so that what a cell says is the mean over its draws.
Finished cells are kept under .bench/selector and not run again.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from transfer_cells import LARGE, SMALL, Cell, drawn, one_thread, results, source

from headstart.advisor import work as work_file
from headstart.advisor.arms import of_source, strategies
from headstart.advisor.budget import wish
from headstart.advisor.clock import Clock
from headstart.advisor.ladder import Bench
from headstart.advisor.study import Study, conclude, first_tier, settled
from headstart.advisor.survey import Question, Survey, survey
from headstart.advisor.work import Asked
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.strategies.catalog import CONTROLS, fingerprint, plan
from headstart.training.plan_learner import PlanLearner

FOLDER = Path(".bench/selector")
RECIPES = {"always linear": "linear", "always lp-ft": "lp-ft", "always finetune": "finetune"}
SCRATCH = {"imagenet": "scratch"}  # what from scratch means: a small net beside a large source, else the source's own
TEXTBOOK = {
    "small and similar": "linear", "large and similar": "lp-ft", "small and different": "earlier",
    "large and different": "lp-ft",
}  # fmt: skip
CHOICES = 4  # of rate, for fixed recipes


def surveyed(cell: Cell, few: Dataset, minutes: float, clock: Clock) -> Survey:
    """The shipped survey on the labels of a cell."""
    net = source(cell.source)
    asked = Asked(
        fingerprint=few.fingerprint, target=None, sources=(net.name,), identities=(net.identity,),
        strategies=strategies(()), stage=None, minutes=minutes, metric="accuracy", deliver="auto", seed=cell.seed,
        plans=fingerprint(),
    )  # fmt: skip
    folder = FOLDER / "work" / f"{cell.name}-{minutes:g}"
    folder.mkdir(parents=True, exist_ok=True)
    begun = work_file.read(folder / work_file.NAME) if (folder / work_file.NAME).exists() else None
    work = begun if begun is not None and begun.asked == asked else None
    return survey(Question(few, asked, (net,), asked.strategies, folder), work, Store(), Silent(), clock)


def shipped(found: Survey, clock: Clock) -> Study:
    """What `fit` does after the survey."""
    seconds = found.work.asked.minutes * 60
    work, tier = first_tier(found.work, found.bench, found.arms, lambda: seconds - clock.total)
    work = settled(work, found.bench, found.arms, tier, lambda: seconds - clock.total)
    found.save(work)
    return conclude(found.bench, found.arms, work, tier, clock, found.save)


def judged(fitted: Any, pool: Dataset, bench: Bench) -> np.ndarray:
    """(n,) whether each example of the pool is recognised."""
    return fitted.predict(pool, bench.features).probabilities.argmax(axis=1) == pool.targets


def unhurried(one: PlanLearner, n: int) -> PlanLearner:
    """A fixed recipe with all the epochs that it wants."""
    return one if one.plan.closed_form else replace(one, epochs=wish(one, n).wanted, most=CHOICES)


def run(cell: Cell, minutes: float) -> dict[str, Any]:
    """One cell: what is delivered and what everything else would have given."""
    few, pool = drawn(cell)
    clock, started = Clock(), time.perf_counter()
    found = surveyed(cell, few, minutes, clock)
    study = shipped(found, clock)
    seconds = time.perf_counter() - started
    bench, data = with_pool(found, pool), found.bench.data
    right = {name: judged(fitted, pool, bench) for name, fitted in study.fitted.items()}
    fixed, spent = recipes(cell, found, bench, pool)
    right |= {f"{name}, unhurried": values for name, values in fixed.items()}
    half = np.arange(len(pool)) % 2 == 0
    comparison = study.figures.comparison
    assert comparison is not None
    return {
        "cell": cell.name, "source": cell.source, "target": cell.target, "each": cell.each, "n": len(data),
        "pool": len(pool), "minutes": minutes, "delivered": study.decision.delivered, "rule": study.decision.rule,
        "transfer": comparison.transfer, "against": comparison.control, "claim": comparison.claim,
        "p_gain": comparison.p_gain, "p_harm": comparison.p_harm, "gain": vars(comparison.gain),
        "quadrant": study.advice.quadrant,
        "p_helps": study.advice.p_helps, "seconds": seconds, "seconds of recipes": spent,
        "roles": {name: "control" if name in CONTROLS.builtin else "transfer" for name in map(_plain, right)},
        "candidates": {name: list(why) for name, why in study.out.items()},
        "pruned": dict(study.work.pruned), "left out": [one.name for one in study.work.not_climbed],
        "climbs": [one.model_dump() for one in study.work.climbs or ()],
        "A": {name: 100 * float(values[half].mean()) for name, values in right.items()},
        "B": {name: 100 * float(values[~half].mean()) for name, values in right.items()},
    }  # fmt: skip


def recipes(cell: Cell, found: Survey, bench: Bench, pool: Dataset) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """(n,) whether each fixed recipe is right on the pool, and the seconds that it took; kept, whatever the minutes."""
    path = FOLDER / "recipes" / f"{cell.name}.npz"
    if path.exists():
        with np.load(path) as kept:
            arms = [name for name in kept.files if not name.startswith("seconds ")]
            return {name: kept[name] for name in arms}, {name: float(kept[f"seconds {name}"]) for name in arms}
    unwanted = {"scratch", "scratch-twin"} - {from_scratch(cell.source)}
    bound = (of_source(one, source(cell.source).name) for one in found.arms.gradient if one.name not in unwanted)
    right, spent = dict[str, np.ndarray](), dict[str, float]()
    sources = {one.name: one for one in (source(cell.source),)}
    prototype = PlanLearner(
        "prototype", "transfer", plan("prototype"), sources, found.store
    )  # it competes when named only
    for one in (*found.arms.closed, prototype, *bound):
        started = time.perf_counter()
        fitted = unhurried(one, len(bench.data)).fit(bench.data, seed=cell.seed, features=bench.features)
        spent[one.name] = time.perf_counter() - started
        right[one.name] = judged(fitted, pool, bench)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **right, **{f"seconds {name}": value for name, value in spent.items()})
    return right, spent


def with_pool(found: Survey, pool: Dataset) -> Bench:
    """The bench, with features of the pool too."""
    from headstart.features.extract import extract

    bench = found.bench
    tapped = {name: one for arm in found.arms.closed for name, one in arm.sources.items()}
    everyone = replace(pool, items=(*bench.data.items, *pool.items), parts=None)
    features = extract(list(tapped.values()), everyone, found.store, Silent(), found.work.modes)
    return replace(bench, features=features)


def from_scratch(source: str) -> str:
    """The control that a recipe without transfer would train."""
    return SCRATCH.get(source, "scratch-twin")


def policies(row: Mapping[str, Any]) -> dict[str, str]:
    """Policy -> the arm that it takes in that cell."""
    recipes = {**RECIPES, "always scratch": from_scratch(row["source"])}
    chosen = {name: f"{arm}, unhurried" for name, arm in recipes.items()}
    book = f"{TEXTBOOK[row['quadrant']]}, unhurried"
    return {"headstart": row["delivered"], **chosen, "textbook": book}


def best(row: Mapping[str, Any], role: str | None = None) -> str:
    """The arm that is best on half A, of all or of one side."""
    arms = [name for name in row["A"] if role in (None, row["roles"][_plain(name)])]
    return max(arms, key=lambda name: row["A"][name])


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """For every policy: mean and worst regret, share of cells over a point below the control, seconds."""
    found: dict[str, dict[str, Any]] = {}
    for policy in policies(rows[0]):
        taken = [(row, policies(row)[policy]) for row in rows]
        regrets = of_cells(rows, [row["B"][best(row)] - row["B"][arm] for row, arm in taken])
        below = of_cells(rows, [row["B"][best(row, "control")] - row["B"][arm] for row, arm in taken])
        draws = np.random.default_rng(0).choice(regrets, (2000, len(regrets))).mean(axis=1)
        found[policy] = {
            "cells": len(regrets), "runs": len(rows), "mean regret": round(float(regrets.mean()), 2),
            "interval": [round(float(q), 2) for q in np.quantile(draws, [0.05, 0.95])],
            "worst regret": round(float(regrets.max()), 2),
            "share over a point below the control": round(float((below > 1).mean()), 3),
            "accuracy": round(float(np.mean([row["B"][arm] for row, arm in taken])), 2),
            "seconds": round(float(np.mean([_seconds(row, arm) for row, arm in taken])), 1),
        }  # fmt: skip
    return found


def of_cells(rows: Sequence[Mapping[str, Any]], values: Sequence[float]) -> np.ndarray:
    """(cells,) means over the draws of each cell."""
    cells: dict[tuple[str, str, int], list[float]] = {}
    for row, value in zip(rows, values, strict=True):
        cells.setdefault((row["source"], row["target"], row["each"]), []).append(value)
    return np.array([np.mean(found) for found in cells.values()])


def _plain(name: str) -> str:
    return name.removesuffix(", unhurried")


def _seconds(row: Mapping[str, Any], arm: str) -> float:
    return row["seconds of recipes"][_plain(arm)] if arm.endswith("unhurried") else row["seconds"]


def main() -> None:
    """Run what is not there yet, then sum up."""
    parser = argparse.ArgumentParser(description="The ladder against fixed recipes.")
    parser.add_argument("--cells", nargs="+", choices=["small", "large"], default=["small", "large"])
    parser.add_argument(
        "--minutes", type=float, default=None, help="1 for small nets and 5 for large ones, if not said"
    )
    parser.add_argument("--draws", nargs="+", type=int, default=[0], help="which draws of every cell")
    parser.add_argument("--only", nargs="*", default=[])
    asked = parser.parse_args()
    for kind in asked.cells:
        minutes = asked.minutes or {"small": 1.0, "large": 5.0}[kind]
        if kind == "small":
            one_thread()
        cells = {"small": SMALL, "large": LARGE}[kind]
        for cell in (replace(cell, seed=draw) for draw in asked.draws for cell in cells):
            path = FOLDER / f"{cell.name}-{minutes:g}.json"
            if path.exists() or (asked.only and cell.name not in asked.only):
                continue
            row = run(cell, minutes)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(row, indent=1))
            arms = {name: round(value, 1) for name, value in row["B"].items()}
            print(cell.name, row["delivered"], f"{row['seconds']:.0f} s", json.dumps(arms), flush=True)
    rows = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]
    groups = {"all": rows, "small": [r for r in rows if r["source"] != "imagenet"]}
    groups["large"] = [r for r in rows if r["source"] == "imagenet"]
    said = {
        f"{name}, {minutes:g} min": summary([row for row in group if row["minutes"] == minutes])
        for name, group in groups.items()
        for minutes in sorted({row["minutes"] for row in group})
    }
    results("selector.json").write_text(json.dumps({"summary": said, "accuracy of all": _table(rows)}, indent=1) + "\n")
    print(json.dumps(said, indent=1))


def _table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    keep = ("n", "pool", "minutes", "delivered", "claim", "quadrant", "p_helps", "seconds")
    return {
        f"{row['cell']}, {row['minutes']:g} min": {
            **{key: row[key] for key in keep}, "oracle": best(row), "control": best(row, "control"),
            "B": {name: round(value, 2) for name, value in row["B"].items()},
        }
        for row in rows
    }  # fmt: skip


if __name__ == "__main__":
    main()
