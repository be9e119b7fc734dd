"""The alarm works both ways: ten small real tasks, five where the forced arm hurts and five where transfer helps.

    .venv/bin/python benchmarks/bench_alarm.py [--seed 1] [--minutes 1]

For each task the forced arm (ImageNet's last layer, `--strategy linear --stage last`) must be told `hurt` or `helped`
as the held-out pool says, never the opposite; and with default settings the delivered model is compared with the
control on that pool. The tasks were chosen with seed 0, so they are judged with another.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from digits_tasks import TaskSpec, tasks

import headstart as hs
from headstart.data.store import Store
from headstart.evaluation.verdict import paired_gain
from headstart.metrics.scores import metric
from headstart.modalities.image.read import read

RESULT = Path(__file__).parent / "results" / "alarm.json"
ACCURACY = metric("accuracy")
SOURCE = "wheel:efficientnet-lite0"


def pool_gain(run: Path, other: Path, pool: Path) -> tuple[float, float, float]:
    """Gain on the held-out pool of the model delivered in one run over the one of another, with its 90 % interval."""
    data = read(pool, store=Store())
    files = [str(item.path) for item in data.items]
    both = []
    for folder in (run, other):
        said = hs.load(folder).predict(files)
        both.append(np.array([[p.probabilities[name] for name in data.task.classes] for p in said]))
    gain = paired_gain(both[0], both[1], data.targets, np.arange(len(files)), ACCURACY, 0)
    return gain.value, gain.low, gain.high


def forced(task: TaskSpec, root: Path, out: Path, seed: int, minutes: float) -> dict[str, object]:
    """The forced arm delivered, the control delivered, and what the pool says of the two."""
    made = {}
    for deliver in ("transfer", "control"):
        made[deliver] = hs.fit(
            root / "labels", sources=[SOURCE], strategies=["linear"], stage="last", minutes=minutes, seed=seed,
            deliver=deliver, out=out / f"{task.name}-{deliver}", thumbnails=False,
        )  # fmt: skip
    record = made["transfer"].record
    gain = pool_gain(made["transfer"].run, made["control"].run, root / "pool")
    assert record.gain is not None
    assert record.control is not None
    return {
        "claim": record.verdict.claim, "gain": record.gain.value, "low": record.gain.low, "high": record.gain.high,
        "control": record.control.name, "pool gain": gain[0], "pool low": gain[1], "pool high": gain[2],
    }  # fmt: skip


def default(task: TaskSpec, root: Path, out: Path, seed: int, minutes: float) -> dict[str, object]:
    """Default settings on one source: what is delivered, against the control on the pool."""
    auto = hs.fit(
        root / "labels", sources=[SOURCE], minutes=minutes, seed=seed, out=out / f"{task.name}-auto", thumbnails=False
    )
    work = auto.run / "work.json"
    made = {"auto": auto}
    if auto.record.decision.role == "transfer":
        made["control"] = hs.fit(
            root / "labels", sources=[SOURCE], minutes=minutes, seed=seed, deliver="control", replay=work,
            out=out / f"{task.name}-auto-control", thumbnails=False,
        )  # fmt: skip
    gain = pool_gain(auto.run, made["control"].run, root / "pool") if "control" in made else (0.0, 0.0, 0.0)
    return {
        "claim": auto.record.verdict.claim, "delivered": auto.record.strategy, "role": auto.record.decision.role,
        "control": auto.record.control.name if auto.record.control else None,
        "score": auto.record.score.value, "pool gain over control": gain[0], "low": gain[1], "high": gain[2],
        "seconds": auto.record.seconds.total,
    }  # fmt: skip


def main() -> None:
    """Run all tasks, write and print what happened."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1.0)
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for task in tasks():
            started = time.perf_counter()
            root = task.build(Path(folder) / task.name, asked.seed)
            row = {"task": task.name, "expected": task.expected, "n": task.n}
            row["forced"] = forced(task, root, Path(folder), asked.seed, asked.minutes)
            row["default"] = default(task, root, Path(folder), asked.seed, asked.minutes)
            row["seconds"] = round(time.perf_counter() - started, 1)
            rows.append(row)
            print(json.dumps(row), flush=True)
            RESULT.write_text(json.dumps({"seed": asked.seed, "minutes": asked.minutes, "tasks": rows}, indent=1))


if __name__ == "__main__":
    main()
