"""Outcome calibration: fits `headstart.selection.outlook` to measured gains, and says how it does on unseen targets.

    .venv/bin/python benchmarks/calibrate.py [--refit]        # or: make calibrate

The bank was fixed before anything was fitted. Its tasks are the sets of `bank`, as they are (with every source) and
changed in three ways (with two sources), and of each, for every number of labels in `SIZES`, three label maps: all
classes, the classes merged into two random groups, three classes alone; and once 100 examples whose labels are
shuffled, on which nothing helps. What is impossible (fewer than half of the examples left, a map that changes nothing)
is left out.

For each task and source: the signs, from the labelled examples; the transfer arm (of `linear`, `earlier` and
`all-stages` the one with the least leave-one-out error) and the control (of raw input, random features and majority,
likewise); both fitted on the labelled examples and judged on all others. Transfer helped if it gained more than the
margin of 0.01. Which examples were right is kept in benchmarks/results/outlook.parquet.

Where labels are shuffled the gain is known to be none, whatever a test part says.

The model is a logistic regression (C = 1) on standardised signs; every target weighs the same. Everything said of it
comes from models that have seen no task of the target in question; "by family" leaves out all targets of a family
(the digits, the two drawings of the same emoji, the clip art). One arm is enough where at most a tenth of the tasks
lose more than the margin by it: transfer alone above a bound, the control alone below another, both arms between them.
The bounds are chosen on held-out probabilities, in steps of 0.05, and judged on targets that had no part in choosing.

Two things were changed after the first fit: the outcome of shuffled tasks, which was measured (noise: a quarter of them
"helped"); and the bounds, which counted as wrong whatever was not foretold, ties included. With both as they were, AUC
was .81, Brier .168, and 63 % of tasks lay between the bounds.
"""

import argparse
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from bank import CHANGES, SOURCES, TARGETS, TAUGHT, dataset
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

import headstart.selection.outlook as fitted
from headstart.advisor.arms import RANDOM_FEATURES
from headstart.core.plan import Solve
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.features.engine import choose
from headstart.features.extract import extract
from headstart.features.table import FeatureTable
from headstart.linear.heads import Ridge
from headstart.modalities.image.baselines import RAW
from headstart.selection.loo import Floor, curve
from headstart.selection.outlook import SIGNS, Signs, chances
from headstart.sources.access import EVERYTHING
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.strategies.catalog import plan
from headstart.training.solve import Fits, Solved, error, solve

RESULTS = Path(__file__).parent / "results"
MODEL = Path(fitted.__file__).with_name("outlook.json")
SIZES = (25, 60, 130, 300)
SHUFFLED = 100
MARGIN = 0.01
TRANSFER = ("linear", "earlier", "all-stages")
CONTROLS = {"raw": RAW.name, "random-features": RANDOM_FEATURES, "majority": RAW.name}  # and what they read
ON_CHANGED = ("wheel:efficientnet-lite0", "wheel:mobilenet-v2")
FAMILIES = {"optdigits": "digits", "mfeat": "digits", "mnist": "digits", "clipart-things": "clipart"}
FAMILIES |= {"emoji-3d": "emoji", "emoji-flat": "emoji"}
LOSES = 0.1  # of the tasks on which one arm alone is run, at most
STEPS = np.arange(0.0, 1.01, 0.05)
BINS = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class Trial:
    """One task of the bank: a few labelled examples, and the others."""

    name: str
    few: Dataset
    rest: Dataset


# --- the bank


def trials(data: Dataset, name: str) -> Iterator[Trial]:
    """All tasks of a set."""
    for size in SIZES:
        for kind, mapped in maps(data, np.random.default_rng(zlib.crc32(f"{name} {size}".encode()))):
            if size <= len(mapped) / 2 and size >= 2 * mapped.task.outputs:
                yield trial(mapped, f"{name}, {kind}, {size}", size)
    chance = np.random.default_rng(zlib.crc32(name.encode()))
    yield trial(replace(data, targets=chance.permutation(data.targets)), f"{name}, shuffled", SHUFFLED)


def maps(data: Dataset, chance: np.random.Generator) -> Iterator[tuple[str, Dataset]]:
    """The label maps that change something."""
    count = data.task.outputs
    yield "all", data
    if count > 2:
        group = chance.permutation(np.arange(count) % 2)
        two = replace(data.task, classes=("one", "other"))
        yield "two groups", replace(data, targets=group[data.targets], task=two)
    if count > 3:
        three = chance.permutation(count)[:3]
        task = replace(data.task, classes=tuple(data.task.classes[code] for code in three))
        part = data.take(np.flatnonzero(np.isin(data.targets, three)))
        codes = np.full(count, -1)
        codes[three] = np.arange(3)
        yield "three classes", replace(part, targets=codes[part.targets], task=task)


def trial(data: Dataset, name: str, size: int) -> Trial:
    """`size` examples with labels, by lot, every class among them."""
    seed = zlib.crc32(name.encode())
    few, rest = train_test_split(np.arange(len(data)), train_size=size, stratify=data.targets, random_state=seed)
    return Trial(name, data.take(np.sort(few)), data.take(np.sort(rest)))


# --- what happens on it


def best(names: Sequence[str], source: str, few: Dataset, features: FeatureTable, fits: Fits) -> Solved:
    """Of these arms the one with the least leave-one-out error."""
    phases = [phase for name in names for phase in plan(name).phases if isinstance(phase, Solve)]
    return min((solve(phase, (source,), few, features, fits) for phase in phases), key=error)


def floor(controls: Sequence[Solved], few: Dataset) -> Floor:
    """As `headstart.selection.loo.floor`, from what is fitted already."""
    raw, untrained, _ = (float((one.head.loo.argmax(axis=1) == few.targets).mean()) for one in controls)
    return Floor(raw, untrained, float(np.bincount(few.targets).max() / len(few)))


def seen(name: str, few: Dataset, features: FeatureTable, fits: Fits, ground: Floor) -> Signs:
    """What leave-one-out shows of a source."""

    def fitted(source: str, stage: str) -> Ridge:
        return cast(Ridge, fits.get(Solve("ridge"), ((source, stage),), few, features).head)

    return Signs.of(few, curve((name,), features, few.targets, few.task, fitted), ground)


def outcomes(target: str, change: str) -> list[dict[str, object]]:
    """Signs and measured gain of every source on every task of a set."""
    store = Store()
    data = dataset(target, store, change)
    names = SOURCES if change == "plain" else ON_CHANGED
    mine = [name for name in names if TAUGHT.get(name) != target]
    tapped = [RAW, *map(source, (RANDOM_FEATURES, *mine))]
    modes = {one.name: choose(one, data, store, Silent()) for one in tapped if isinstance(one, Source)}
    features = extract(tapped, data, store, Silent(), modes)
    rows = []
    for one in trials(data, f"{target} {change}"):
        few, rest, fits = one.few, one.rest, Fits()
        controls = [best([name], source, few, features, fits) for name, source in CONTROLS.items()]
        control = hits(min(controls, key=error), rest, features)
        ground = floor(controls, few)
        for name in mine:
            signs = seen(name, few, features, fits, ground)
            right = hits(best(TRANSFER, name, few, features, fits), rest, features)
            rows.append(
                {"target": target, "change": change, "task": one.name, "source": name, "n": len(rest)}
                | {sign: of(signs) for sign, of in SIGNS.items()}
                | {"gain measured": right.mean() - control.mean(), "transfer": np.packbits(right).tobytes()}
                | {"control": np.packbits(control).tobytes()}
            )  # fmt: skip
    return rows


def hits(solved: Solved, rest: Dataset, features: FeatureTable) -> np.ndarray:
    """Which of the others are right."""
    return solved.predict(rest, features).argmax(axis=1) == rest.targets


@cache
def source(name: str) -> Source:
    """Loaded once in each process."""
    return load(name, EVERYTHING)


def measured(workers: int) -> pd.DataFrame:
    """The whole bank: small problems, so processes of one thread each are quicker than threads."""
    rows: list[dict[str, object]] = []
    jobs = [(target, change) for change in CHANGES for target in TARGETS]
    with ProcessPoolExecutor(workers, get_context("spawn"), threadpool_limits, (1, "blas")) as pool:
        for (target, change), found in zip(jobs, pool.map(outcomes, *zip(*jobs, strict=True)), strict=True):
            rows += found
            print(f"{target} {change}: {len(rows)} outcomes", flush=True)
    return pd.DataFrame(rows)


# --- the model, and how it does


def fit(signs: np.ndarray, helped: np.ndarray, targets: np.ndarray) -> dict[str, object]:
    """Logistic regression on standardised signs, every target weighing the same."""
    _, at, counts = np.unique(targets, return_inverse=True, return_counts=True)
    weights = len(targets) / (len(counts) * counts[at])
    mean, scale = signs.mean(axis=0), np.maximum(signs.std(axis=0), 1e-9)
    found = LogisticRegression(C=1.0, max_iter=1000).fit((signs - mean) / scale, helped, sample_weight=weights)
    parts = {"mean": mean, "scale": scale, "weights": found.coef_[0]}
    return {name: values.tolist() for name, values in parts.items()} | {"bias": float(found.intercept_[0])}


def held_out(signs: np.ndarray, helped: np.ndarray, targets: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(n,) probabilities by models that have not seen the task's group."""
    said = np.empty(len(helped))
    for group in np.unique(groups):
        out = groups == group
        said[out] = chances(fit(signs[~out], helped[~out], targets[~out]), signs[out])
    return said


def base_rate(helped: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(n,) how often transfer helped on the other targets."""
    return np.array([helped[groups != group].mean() for group in groups])


FIGURES = ("AUC", "Brier", "skill over base rate", "skill over labels a class", "both arms", "loses with one arm")


def figures(
    said: np.ndarray, helped: np.ndarray, rivals: Sequence[np.ndarray], acts: np.ndarray, lost: np.ndarray
) -> np.ndarray:
    """What `FIGURES` names, in that order."""
    brier, *others = (float(np.mean((one - helped) ** 2)) for one in (said, *rivals))
    alone = acts != BOTH
    area = roc_auc_score(helped, said) if 0 < helped.mean() < 1 else np.nan
    skills = [1 - brier / other for other in others]
    return np.array([area, brier, *skills, 1 - alone.mean(), (lost[alone] > MARGIN).mean() if alone.any() else 0.0])


CONTROL, BOTH, BY_TRANSFER = -1, 0, 1


def bounds(said: np.ndarray, gain: np.ndarray) -> tuple[float, float]:
    """Below the first the control alone is enough, above the second transfer alone."""
    low = max((t for t in STEPS if np.mean(gain[said <= t] > MARGIN) <= LOSES and (said <= t).any()), default=0.0)
    high = min((t for t in STEPS if np.mean(gain[said >= t] < -MARGIN) <= LOSES and (said >= t).any()), default=1.0)
    return round(float(min(low, high)), 2), round(float(high), 2)


def acted(said: np.ndarray, gain: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(n,) which arms are run, by bounds from other groups."""
    acts = np.full(len(said), BOTH)
    for group in np.unique(groups):
        mine = groups == group
        low, high = bounds(said[~mine], gain[~mine])
        acts[mine] = np.where(said[mine] >= high, BY_TRANSFER, np.where(said[mine] <= low, CONTROL, BOTH))
    return acts


def losses(acts: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """(n,) against the better of the two."""
    return np.where(acts == BOTH, 0.0, np.maximum(gain, 0) - np.where(acts == BY_TRANSFER, gain, 0))


def judged(rows: pd.DataFrame, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, object]]:
    """Held-out probabilities, the arms that would be run, and figures with intervals over targets."""
    signs, targets, gain = rows[list(SIGNS)].to_numpy(float), rows.target.to_numpy(), truth(rows)
    helped = gain > MARGIN
    said = held_out(signs, helped, targets, groups)
    size = signs[:, [list(SIGNS).index("labels a class, log10")]]
    rivals = base_rate(helped, groups), held_out(size, helped, targets, groups)
    acts = acted(said, gain, groups)
    lost = losses(acts, gain)
    chance, names, draws = np.random.default_rng(0), np.unique(targets), []
    of = {name: np.flatnonzero(targets == name) for name in names}
    for _ in range(1000):
        at = np.concatenate([of[name] for name in chance.choice(names, len(names))])
        draws.append(figures(said[at], helped[at], [rival[at] for rival in rivals], acts[at], lost[at]))
    ends = np.nanquantile(draws, [0.05, 0.95], axis=0)
    three = np.stack([figures(said, helped, rivals, acts, lost), *ends], axis=1).round(3).tolist()
    return said, acts, dict(zip(FIGURES, three, strict=True))


def truth(rows: pd.DataFrame) -> np.ndarray:
    """(n,) measured gain; none where it is known that there is none."""
    return np.where(rows.task.str.endswith(", shuffled"), 0.0, rows["gain measured"])


def policies(rows: pd.DataFrame, said: np.ndarray, acts: np.ndarray) -> dict[str, dict[str, float]]:
    """What one would get by acting on it: accuracy lost, in points, against the better of the two arms."""
    gain, signs = truth(rows), rows[list(SIGNS)]
    similar = (signs["last over earlier"] >= -MARGIN) & (signs["last over random"] > 0)
    named = {
        "always transfer": np.ones(len(gain), bool),
        "never transfer": np.zeros(len(gain), bool),
        "textbook: transfer if similar": similar.to_numpy(),
        "leave-one-out gain above 0": (signs["gain"] > 0).to_numpy(),
        "outlook above 0.25": said > 0.25,
    }
    found = {name: 100 * losses(np.where(act, BY_TRANSFER, CONTROL), gain) for name, act in named.items()}
    found["outlook, both arms between the bounds"] = 100 * losses(acts, gain)
    return {
        name: {"mean regret, points": round(float(lost.mean()), 2), "worst": round(float(lost.max()), 1),
               "share that loses over 1 point": round(float((lost > 1).mean()), 3)}
        for name, lost in found.items()
    }  # fmt: skip


def reliability(said: np.ndarray, helped: np.ndarray, targets: np.ndarray) -> list[list[float]]:
    """For each bin: mean probability, share that helped, its interval over targets, number of tasks."""
    found = []
    for low, high in pairwise(BINS):
        mine = (said >= low) & ((said < high) | (high == 1))
        if not mine.any():
            continue
        names, chance = np.unique(targets[mine]), np.random.default_rng(0)
        of = {name: helped[mine & (targets == name)] for name in names}
        draws = [np.concatenate([of[n] for n in chance.choice(names, len(names))]).mean() for _ in range(1000)]
        ends = np.quantile(draws, [0.05, 0.95])
        found.append([round(float(v), 3) for v in (said[mine].mean(), helped[mine].mean(), *ends)] + [int(mine.sum())])
    return found


def draw(bins: list[list[float]], both: tuple[float, float], path: Path) -> None:
    """The reliability curve as a picture."""
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.subplots()
    mean, share, least, most, count = np.array(bins).T
    axes.axvspan(*both, color="0.92", label="run both arms")
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    axes.errorbar(mean, share, yerr=[share - least, most - share], fmt="o-", capsize=3, label="held-out targets")
    for x, y, n in zip(mean, share, count, strict=True):
        axes.annotate(f"{n:.0f}", (x, y), textcoords="offset points", xytext=(6, -11), fontsize=8, color="0.35")
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="probability that transfer helps, as foretold")
    axes.set(ylabel="share of tasks on which it did", title="Outlook on targets that it had not seen")
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=130)


def main() -> None:
    """Measure, or take what was measured; fit; judge; keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--refit", action="store_true", help="from outlook.parquet, nothing is measured again")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    asked, table = parser.parse_args(), RESULTS / "outlook.parquet"
    if not asked.refit:
        measured(asked.workers).to_parquet(table, compression="zstd")
    rows = pd.read_parquet(table)
    targets, gain = rows.target.to_numpy(), truth(rows)
    helped, families = gain > MARGIN, np.array([FAMILIES.get(name, name) for name in targets])
    said, acts, by_target = judged(rows, targets)
    by_family = judged(rows, families)[2]
    bins, both = reliability(said, helped, targets), bounds(said, gain)
    draw(bins, both, RESULTS / "outlook.png")
    model = {"modalities": ["image"], "signs": list(SIGNS), **fit(rows[list(SIGNS)].to_numpy(float), helped, targets)}
    bank = {"outcomes": len(rows), "tasks": rows.task.nunique(), "targets": list(TARGETS), "sources": list(SOURCES)}
    bank |= {"changes": list(CHANGES), "sizes": SIZES, "margin": MARGIN, "helped": round(float(helped.mean()), 3)}
    held = {"by target": by_target, "by family": by_family, "policies": policies(rows, said, acts)}
    said_of = {"bank": bank, "held out": held, "reliability": bins}
    MODEL.write_text(json.dumps({**model, "both": both, **said_of}, indent=1) + "\n")
    print(json.dumps({**said_of, "weights": dict(zip(SIGNS, model["weights"], strict=True)), "both": both}, indent=1))


if __name__ == "__main__":
    main()
