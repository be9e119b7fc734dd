"""The gate: is what `fit` delivers ever worse than no transfer, and what do honest rivals of its rule keep of the gain?

    .venv/bin/python benchmarks/bench_gate.py [--workers 2] [--again]

Every task of `gate_tasks` goes through the shipped code: tier 0, the signs and their outlook, `verdict.compare`, then
`delivery.decide`. All arms are refitted; 1,000 to 5,000 examples that had no label say what each is worth, so what was
delivered is known to have gained or lost against the strongest control. Harm is a delivered arm that is truly more than
the margin below that control, by whatever route.

Rivals decide between the same two arms: by a 30 % hold-out, the mean of repeated cross-validation, Nadeau and Bengio's
corrected t, the bootstrap as it is, the outlook alone. Each has a threshold; its curve is harm and gain kept over all
thresholds, so that rules are compared at equal harm. Gain kept is the gain of what was delivered as a share of what an
oracle would have had. Constants were chosen on tasks of even number; what is said here is of those of odd number.

benchmarks/results/gate.parquet has every task: which out-of-fold predictions were right, and what was true. `--again`
judges these rows by the code of today and measures nothing. A run that was cut goes on.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from gate_rules import AS_USED, RULES, Pair, curve, kept_at
from gate_tasks import Draw, View, draw, prepare
from matplotlib.figure import Figure
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from headstart.advisor.ladder import Bench, tier0
from headstart.advisor.ledger import Ledger
from headstart.core.plan import Solve
from headstart.core.progress import Silent
from headstart.evaluation.delivery import decide
from headstart.evaluation.folds import OutOfFold, fold_maps
from headstart.evaluation.verdict import chosen_interval, compare
from headstart.linear.heads import Ridge
from headstart.metrics.scores import metric
from headstart.selection.loo import curve as stage_curve
from headstart.selection.loo import floor
from headstart.selection.outlook import Signs, outlook
from headstart.training.solve import Fits

RESULTS = Path(__file__).parent / "results"
ACCURACY = metric("accuracy")
TASKS = {"nets": (85, 85, 43), "maps": (13, 13, 7), "A/A": (32, 32, 16), "permuted": (11, 11, 5)}
SIZES = (50, 100, 400)
JUDGED = 5000  # examples at most that say what is true
HOLDOUT = 0.3
Z = 1.645  # of a 90 % interval
AFFORDABLE, MORE = 300, 10  # labels of a task that got more of them; such tasks of each size


class Forgetful(Ledger):
    """No file of what was done: a task is done as a whole or not at all."""

    def __init__(self) -> None:
        self.resumed = self.computed = 0

    def get(self, name: str) -> None:
        """Nothing is known."""

    def put(self, name: str, done: object) -> None:
        """Nothing is kept."""

    def workspace(self, name: str) -> Path:
        """Closed forms need none."""
        return Path(name)


# --- what happens on a task


def measure(bank: str, n: int, number: int, more: int = 0) -> dict[str, object]:
    """Tier 0, signs, the hold-out and the truth of a task, as a row."""
    task = draw(bank, n, number, more)
    few, rest = task.few, task.rest.take(np.arange(min(len(task.rest), JUDGED)))
    maps = fold_maps(few.targets, few.groups, number)
    oof = OutOfFold(maps, few.task.outputs)
    tier0(Bench(few, None, maps, task.tables, Forgetful(), Silent(), number), task.arms, oof)
    rows = np.arange(len(few))
    part, held = train_test_split(rows, test_size=HOLDOUT, random_state=number)
    right = np.stack([oof.of(arm.name).argmax(axis=2) == few.targets for arm in task.arms])
    true = hits(task, few, rest)
    return {
        "bank": bank, "pool": task.pool, "cell": task.cell, "n": n, "number": number, "more": more,
        "classes": few.task.outputs, "judged on": len(rest), "arms": [arm.name for arm in task.arms],
        "roles": [arm.role for arm in task.arms], "targets": few.targets.astype(np.uint8).tobytes(),
        "right": np.packbits(right).tobytes(), "helps": foreseen(task) if "pixels" in task.tables.of_source else None,
        "held out": hits(task, few.take(part), few.take(held)).mean(axis=1).tolist(),
        "true": true.mean(axis=1).tolist(), "together": (true.astype(float) @ true.T / len(rest)).ravel().tolist(),
    }  # fmt: skip


def hits(task: Draw, few: View, rest: View) -> np.ndarray:
    """(A, m) which of the rest every arm has right, fitted on the few."""
    models = [arm.fit(few, seed=0, features=task.tables) for arm in task.arms]
    return np.stack([m.predict(rest, task.tables).probabilities.argmax(axis=1) == rest.targets for m in models])


def foreseen(task: Draw) -> float:
    """The outlook of a task."""
    fits, few = Fits(), task.few
    sources = [name for arm in task.arms if arm.name == "linear" for name in arm.sources]

    def fitted(source: str, stage: str) -> Ridge:
        return cast(Ridge, fits.get(Solve("ridge"), ((source, stage),), few, task.tables).head)

    scores = stage_curve(sources, task.tables, few.targets, few.task, fitted)
    found = outlook(Signs.of(few, scores, floor("pixels", "untrained", few, task.tables)), "image")
    assert found is not None
    return found.helps


def measured(workers: int, todo: Sequence[tuple[str, int, int, int]], path: Path) -> pd.DataFrame:
    """All rows of these tasks; what is in the file is not measured again, what is new is kept on the way."""
    rows = pd.read_parquet(path) if path.exists() else pd.DataFrame(columns=[*KEY])
    known = set(rows[[*KEY]].itertuples(index=False, name=None))
    missing = [one for one in todo if one not in known]
    if not missing:
        return rows
    prepare()
    with ProcessPoolExecutor(workers, get_context("spawn"), threadpool_limits, (1,)) as pool:
        fresh = []
        for at, row in enumerate(pool.map(measure, *zip(*missing, strict=True)), 1):
            fresh.append(row)
            if at % 10 == 0 or at == len(missing):
                rows, fresh = pd.concat([rows, pd.DataFrame(fresh)], ignore_index=True), []
                rows.to_parquet(path, compression="zstd")
                print(f"{at} of {len(missing)} tasks", flush=True)
    return rows


KEY = ("bank", "n", "number", "more")


# --- what the shipped code, and its rivals, make of it


@dataclass(frozen=True)
class Evidence:
    """A row, unpacked: (A, R, n) out-of-fold hits of the arms, (R, n) their folds."""

    row: Mapping[str, object]
    right: np.ndarray
    maps: np.ndarray

    @staticmethod
    def of(row: Mapping[str, object]) -> "Evidence":
        """From a row of the file."""
        targets = np.frombuffer(row["targets"], np.uint8).astype(int)
        maps = fold_maps(targets, np.arange(len(targets)), row["number"])
        shape = len(row["arms"]), *maps.shape
        right = np.unpackbits(np.frombuffer(row["right"], np.uint8), count=int(np.prod(shape)))
        return Evidence(row, right.reshape(shape).astype(bool), maps)

    def tables(self) -> OutOfFold:
        """As probabilities of being right, on which accuracy, and all that follows from it, is the same."""
        oof = OutOfFold(self.maps, 2)
        rounds, index = (grid.ravel() for grid in np.indices(self.maps.shape))
        for arm, right in zip(self.row["arms"], self.right, strict=True):
            oof.fill(arm, rounds, index, np.eye(2)[1 - right.ravel()])
        return oof


def judged(row: Mapping[str, object]) -> dict[str, object]:
    """The verdict and the decision of the shipped code, the numbers of its rivals, and what was true."""
    seen, number = Evidence.of(row), cast(int, row["number"])
    arms, roles = list(row["arms"]), list(row["roles"])
    count = seen.maps.shape[1]
    nobody, alone = np.zeros(count, int), np.arange(count)
    found = compare(dict(zip(arms, roles, strict=True)), seen.tables(), nobody, alone, ACCURACY, number)
    assert found is not None
    helps = None if row["helps"] is None or np.isnan(row["helps"]) else row["helps"]
    decision = decide(found, "auto")
    pair = [arms.index(found.transfer), arms.index(found.control)]
    true, together = np.array(row["true"]), np.reshape(row["together"], (len(arms), -1))
    gain = float(true[pair[0]] - true[pair[1]])
    apart = true[pair[0]] + true[pair[1]] - 2 * together[pair[0], pair[1]]
    rivals = [at for at, role in enumerate(roles) if role == "transfer"]
    tables = [seen.tables().of(arms[at]) for at in rivals]
    own = chosen_interval(tables, rivals.index(pair[0]), nobody, alone, ACCURACY, number)
    looks = Pair(seen.right[pair], seen.maps, np.array(row["held out"])[pair], helps, number)
    return {key: row[key] for key in ("bank", "pool", "cell", "n", "number", "more", "judged on")} | {
        "gain": found.gain.value, "low": found.gain.low, "high": found.gain.high, "claim": found.claim,
        "p_gain": found.p_gain, "p_harm": found.p_harm, "labels": found.labels_to_decide, "helps": helps,
        "delivered": decision.role, "true gain": gain,
        "error of truth": float(np.sqrt(max(apart - gain**2, 0) / cast(int, row["judged on"]))),
        "score low": own.low, "score high": own.high, "true score": float(true[pair[0]]),
    } | {name: of(looks) for name, of in RULES.items()}  # fmt: skip


def work() -> list[tuple[str, int, int, int]]:
    """All tasks, every bank and size advancing alike."""
    shares = [
        (number / count, (bank, n, number, 0))
        for bank, counts in TASKS.items()
        for n, count in zip(SIZES, counts, strict=True)
        for number in range(count)
    ]
    return [task for _, task in sorted(shares)]


# --- figures


def share(these: pd.Series) -> float | None:
    """A mean of truths; None of nothing."""
    return round(float(these.mean()), 4) if len(these) else None


def intervals(rows: pd.DataFrame) -> dict[str, object]:
    """Coverage and claims, by bank and by size."""
    return {f"{bank} n={n}": covered(part) for bank in TASKS for n, part in sized(rows[rows.bank == bank])}


def covered(rows: pd.DataFrame) -> dict[str, float | int | None]:
    """How often the truth lies in the intervals, and how often a claim is made, or is wrong.

    The truth has an error of its own, from the examples that it was measured on. "But for it" adds that to the reach.
    """
    gain, own = rows["true gain"], Z * rows["error of truth"]
    low, high = rows.gain - np.hypot(rows.gain - rows.low, own), rows.gain + np.hypot(rows.high - rows.gain, own)
    return {
        "tasks": len(rows), "gain covered": share(gain.between(rows.low, rows.high)),
        "but for the truth's own error": share(gain.between(low, high)),
        "gain below": share(gain < rows.low), "gain above": share(gain > rows.high),
        "score covered": share(rows["true score"].between(rows["score low"], rows["score high"])),
        "helped": share(rows.claim == "helped"), "hurt": share(rows.claim == "hurt"),
        "wrong claims": share(wrong(rows)),
    }  # fmt: skip


def wrong(rows: pd.DataFrame) -> pd.Series:
    """A claim whose opposite is true."""
    gain = rows["true gain"]
    return ((rows.claim == "helped") & (gain < 0)) | ((rows.claim == "hurt") & (gain > 0))


def transfers(rows: pd.DataFrame) -> pd.DataFrame:
    """The tasks on which there is something to decide."""
    return rows[rows.bank.isin(["nets", "maps"])]


def sized(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """All rows, then those of each size."""
    yield "all", rows
    for n in SIZES:
        yield str(n), rows[rows.n == n]


def outcome(rows: pd.DataFrame, taken: np.ndarray) -> dict[str, float | None]:
    """What it means to deliver transfer on these tasks."""
    gain = rows["true gain"].to_numpy()
    got = np.where(taken, gain, 0.0)
    best = np.maximum(gain, 0).mean()
    return {
        "transfer": share(pd.Series(taken)), "harm": round(float((got < -ACCURACY.margin).mean()), 4),
        "regret, points": round(100 * float(best - got.mean()), 3),
        "gain kept": round(float(got.mean() / best), 4) if best > 0 else None,
    }  # fmt: skip


def gate(rows: pd.DataFrame) -> dict[str, object]:
    """Harm, regret and gain kept of every rule; and what each keeps with no more harm than the shipped one."""
    gain, ours = rows["true gain"].to_numpy(), rows.delivered.to_numpy() == "transfer"
    always = np.full(len(rows), True)
    found = {"tasks": len(rows), "shipped": outcome(rows, ours), "always transfer": outcome(rows, always),
             "always control": outcome(rows, ~always)}  # fmt: skip
    found |= {name: outcome(rows, rule(rows).to_numpy()) for name, rule in GATES.items()}
    for name in RULES:
        found |= {f"{name} {what}": outcome(rows, rows[name].to_numpy() > at) for what, at in AS_USED[name].items()}
    harm = float((ours & (gain < -ACCURACY.margin)).mean())
    curves = {name: curve(rows[name].to_numpy(), gain, ACCURACY.margin) for name in RULES}
    found["kept at the shipped rule's harm"] = {name: round(kept_at(one, harm), 4) for name, one in curves.items()}
    return found


def alike(tuning: pd.DataFrame, rows: pd.DataFrame) -> dict[str, object]:
    """The rivals with thresholds from the tasks that the shipped constants are from: the laxest with no more harm."""
    gain = tuning["true gain"].to_numpy()
    harm = float(((tuning.delivered == "transfer") & (gain < -ACCURACY.margin)).mean())
    found = {}
    for name in RULES:
        past = curve(tuning[name].to_numpy(), gain, ACCURACY.margin)
        at = float(past[past[:, 0] <= harm, 2].min())
        found[name] = {"threshold": round(at, 4)} | outcome(rows, rows[name].to_numpy() > at)
    return found


def strict(rows: pd.DataFrame) -> pd.Series:
    """The two conditions as they are usually set."""
    return (rows.p_gain >= 0.8) & (rows.p_harm <= 0.05)


def staying(rows: pd.DataFrame) -> pd.Series:
    """And while nothing is decided transfer stays where the outlook is not bad: what was shipped before."""
    return strict(rows) | ((rows.claim != "hurt") & (rows.helps >= 0.25))


GATES = {"gate of 0.8 and 0.05": strict, "and while undecided an outlook from 0.25": staying}


def routes(rows: pd.DataFrame) -> dict[str, object]:
    """What was delivered under which claim, and what came of it."""
    taken = rows.delivered == "transfer"
    return {
        claim: outcome(rows, (taken & (rows.claim == claim)).to_numpy()) for claim in ("helped", "undecided", "hurt")
    }


def stratified(rows: pd.DataFrame) -> dict[str, object]:
    """Apart where transfer is on average worse, equal, better: by the mean true gain of the task's cell and size."""
    mean = rows.groupby(["cell", "n"])["true gain"].transform("mean")
    kinds = {"worse": mean < -0.01, "about equal": mean.abs() <= 0.01, "better": mean > 0.01}
    taken = rows.delivered == "transfer"
    return {
        kind: {"tasks": int(mine.sum())} | outcome(rows[mine], taken[mine].to_numpy()) for kind, mine in kinds.items()
    }


def decided(rows: pd.DataFrame, again: pd.DataFrame) -> dict[str, object]:
    """Undecided tasks that got as many labels more as the verdict had asked for: are they decided then, and rightly?

    Args:
        rows: judged tasks.
        again: some of them with more labels, judged.
    """
    both = again.merge(rows, on=["bank", "n", "number"], suffixes=("", " before"))
    undecided = rows[(rows.bank == "nets") & (rows.claim == "undecided")]
    reach = (both.gain - both.low) / (both["gain before"] - both["low before"])
    return {
        "undecided tasks": len(undecided), "hopeless by their word": share(undecided.labels.isna()),
        "given more labels": len(both), "labels then, median": round(float((both.n + both.more).median())),
        "decided then": share(both.claim != "undecided"), "wrongly": share(wrong(both)),
        "reach left": round(float(reach.median()), 3),
        "gain left": round(float((both.gain / both["gain before"]).median()), 3),
    }  # fmt: skip


def more_labels(rows: pd.DataFrame) -> list[tuple[str, int, int, int]]:
    """Undecided tasks with the labels that would decide them, the cheap ones of each size."""
    asked = rows[(rows.bank == "nets") & (rows.more == 0) & (rows.n + rows.labels <= AFFORDABLE)].sort_values("number")
    return [
        ("nets", int(row.n), int(row.number), int(row.labels))
        for _, part in asked.groupby("n") for row in part.head(MORE).itertuples()
    ]  # fmt: skip


def pictured(rows: pd.DataFrame, path: Path) -> None:
    """Gain kept over harm: a line for each rule, over all its thresholds, and a point for the shipped one."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    for axes, n in zip(figure.subplots(1, len(SIZES), sharey=True), SIZES, strict=True):
        part = rows[rows.n == n]
        gain = part["true gain"].to_numpy()
        for name in RULES:
            harm, kept, _ = curve(part[name].to_numpy(), gain, ACCURACY.margin).T
            axes.plot(100 * harm, 100 * kept, label=name, linewidth=1.2)
        ours = outcome(part, (part.delivered == "transfer").to_numpy())
        axes.plot(100 * ours["harm"], 100 * ours["gain kept"], "k*", markersize=13, label="shipped", zorder=3)
        axes.axvline(3, color="0.8", linewidth=1, zorder=0)
        axes.set(title=f"{n} labels, {len(part)} tasks", xlabel="harm, % of tasks", ylim=(0, 104), xlim=(-0.3, 15))
    figure.axes[0].set_ylabel("gain kept, % of the oracle's")
    figure.axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(path, dpi=130)


def main() -> None:
    """Measure what is missing, judge, print and keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="judge the rows that are there, measure nothing")
    asked, path = parser.parse_args(), RESULTS / "gate.parquet"
    rows = measured(asked.workers, [] if asked.again else work(), path)
    said = pd.DataFrame(map(judged, rows[rows.more == 0].to_dict("records")))
    rows = measured(asked.workers, [] if asked.again else more_labels(said), path)
    again = pd.DataFrame(map(judged, rows[rows.more > 0].to_dict("records")))
    odd = said[said.number % 2 == 1]
    found = {
        "intervals": intervals(odd),
        "gate": {f"n={n}": gate(part) for n, part in sized(transfers(odd))},
        "gate, thresholds chosen alike": {
            f"n={n}": alike(transfers(said[said.number % 2 == 0]), part) for n, part in sized(transfers(odd))
        },
        "routes": {f"n={n}": routes(part) for n, part in sized(transfers(odd))},
        "by what transfer is": {f"n={n}": stratified(part) for n, part in sized(transfers(odd))},
        "labels to decide": decided(said, again) if len(again) else None,
    }
    (RESULTS / "gate.json").write_text(json.dumps(found, indent=1) + "\n")
    pictured(transfers(odd), RESULTS / "gate.png")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
