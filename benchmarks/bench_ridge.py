"""Ridge with exact leave-one-out over a path of penalties: beside scikit-learn's, and on a million rows from disk.

    .venv/bin/python benchmarks/bench_ridge.py [--runs 5] [--rows 1000000] [--out benchmarks/results/ridge.json]

- compared: 20,000 x 1,280 features, 10 classes, 30 penalties. The two take turns in one process, on the same array,
  which is standardised already (ours does it again); `RidgeClassifierCV` has its own efficient leave-one-out.
- streamed: the head that learners use, fitted on a float32 file that is mapped; the peak of anonymous memory (RssAnon,
  which leaves out pages of the file) is sampled every 20 ms. `--rows` makes it smaller; 0 leaves it out.
"""

import argparse
import json
import re
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from threadpoolctl import threadpool_info

from headstart.linear.heads import Ridge
from headstart.linear.path import Solution, one_hot
from headstart.linear.ridge import solve_features, standardise

N, FRESH, DIM, CLASSES, BLOCK = 20_000, 5_000, 1_280, 10, 4_096
PATH = np.logspace(-5, 2, 30)
Made = TypeVar("Made")


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, DIM) float32 features whose deviations decay, and codes: overlapping classes, a tenth of the labels wrong."""
    rng = np.random.default_rng(seed)
    decay = (np.arange(1, DIM + 1) ** -0.5).astype(np.float32)
    centres = 0.25 * np.random.default_rng(7).standard_normal((CLASSES, DIM), dtype=np.float32) * decay
    codes = rng.integers(0, CLASSES, n)
    features = rng.standard_normal((n, DIM), dtype=np.float32) * decay + centres[codes]
    wrong = rng.random(n) < 0.1
    return features, np.where(wrong, rng.integers(0, CLASSES, n), codes)


def timed(work: Callable[[], Made]) -> tuple[float, Made]:
    """Seconds, and what came out."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def compared(runs: int) -> dict[str, object]:
    """Both sides in turn, after one untimed run of ours on a part."""
    raw, codes = drawn(N + FRESH, 0)
    scale = standardise(raw[:N])
    features, fresh, codes = scale(raw[:N]), scale(raw[N:]), codes[:N]
    penalties = solve_features([features[:4000]], one_hot(codes[:4000], CLASSES), PATH).penalties
    ways: dict[str, Callable[[], Solution | RidgeClassifierCV]] = {
        "headstart": lambda: solve_features([features], one_hot(codes, CLASSES), PATH),
        "RidgeClassifierCV": lambda: RidgeClassifierCV(penalties).fit(features, codes),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    fitted: dict[str, Solution | RidgeClassifierCV] = {}
    for run in range(runs):
        for name, way in ways.items():
            spent, fitted[name] = timed(way)
            seconds[name].append(round(spent, 3))
            print(run, name, seconds[name][-1], flush=True)
    middle = {name: median(spent) for name, spent in seconds.items()}
    return {
        "n": N, "dim": DIM, "classes": CLASSES, "penalties": len(PATH), "runs": runs,
        "seconds": seconds, "median": middle,
        "times faster": {name: round(spent / middle["headstart"], 1) for name, spent in middle.items()},
        **agreement(fitted["headstart"], fitted["RidgeClassifierCV"], fresh),
    }  # fmt: skip


def agreement(ours: Solution, theirs: RidgeClassifierCV, fresh: np.ndarray) -> dict[str, object]:
    """The penalty, its error and the decisions on fresh examples; scikit-learn learns -1 and 1."""
    decision = 2 * (fresh @ ours.weight + ours.bias) - 1
    other = theirs.decision_function(fresh)
    return {
        "penalty": float(ours.penalties[ours.best]),
        "penalty of scikit-learn": float(theirs.alpha_),
        "number of the penalty": ours.best,
        "relative difference of the error": abs(-theirs.best_score_ / 4 / ours.error - 1),
        "largest difference of a decision": float(np.abs(decision - other).max()),
        "same class": float((decision.argmax(axis=1) == other.argmax(axis=1)).mean()),
    }


class AnonymousPeak:
    """The most anonymous memory of this process while the block runs, MB."""

    def __enter__(self) -> "AnonymousPeak":
        self.before = self.megabytes = self.now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @staticmethod
    def now() -> float:
        """Of this moment."""
        found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) / 1024 if found else float("nan")

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self.megabytes = max(self.megabytes, self.now())


def streamed(rows: int) -> dict[str, object]:
    """Write a file of features block by block, map it, fit the ridge head on it."""
    with tempfile.TemporaryDirectory() as folder:
        path, codes = Path(folder) / "features.npy", np.empty(rows, dtype=int)
        file = np.lib.format.open_memmap(path, "w+", np.float32, (rows, DIM))
        for at in range(0, rows, BLOCK):
            part = slice(at, min(at + BLOCK, rows))
            file[part], codes[part] = drawn(part.stop - at, 1 + at)
        file.flush()
        del file
        print("written", flush=True)
        mapped = np.load(path, mmap_mode="r")
        with AnonymousPeak() as peak:
            seconds, head = timed(lambda: Ridge.fit([mapped], codes, CLASSES, None))
    return {
        "n": rows, "dim": DIM, "classes": CLASSES, "gigabytes on disk": round(rows * DIM * 4 / 1e9, 2),
        "seconds": round(seconds, 1),
        "anonymous MB before": round(peak.before), "anonymous MB peak": round(peak.megabytes),
        "leave-one-out accuracy": float((head.loo.argmax(axis=1) == codes).mean()),
    }  # fmt: skip


def main() -> None:
    """Streamed first, so that its memory is its own; then the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "ridge.json")
    asked = parser.parse_args()
    blas = [{key: one[key] for key in ("internal_api", "version", "num_threads")} for one in threadpool_info()]
    found: dict[str, object] = {"libraries": blas}
    if asked.rows:
        found["streamed"] = streamed(asked.rows)
        print(found["streamed"], flush=True)
    if asked.runs:
        found["compared"] = compared(asked.runs)
        print(found["compared"], flush=True)
    asked.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
