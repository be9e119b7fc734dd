"""Extraction of 1,000, 10,000 and 100,000 different JPEGs: peak anonymous memory and throughput should not move.

    .venv/bin/python benchmarks/bench_memory.py [--counts 1000 10000 100000]

The net is a tiny one, so that what is looked at is the pipeline: reading, decoding, waiting batches, shards. Every
count is a process of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

RESULT = Path(__file__).parent / "results" / "memory.json"
SOURCE = "random:test_resnet@64"


def pictures(root: Path, count: int) -> Path:
    """Different JPEGs of 160 x 120, two classes."""
    for name in "ab":
        (root / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for at in range(count):
        path = root / "ab"[at % 2] / f"{at:06}.jpg"
        if not path.exists():
            coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
            coarse.resize((160, 120), Image.Resampling.BICUBIC).save(path, quality=85)
    return root


def anonymous() -> float:
    """Megabytes of this process that stand for no file."""
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


class Peak(threading.Thread):
    """The most anonymous memory, looked at every 50 ms."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.over = 0.0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.05):
            self.most = max(self.most, anonymous())


def one(count: int) -> dict[str, float]:
    """Read and extract so many."""
    from headstart.core.progress import Silent
    from headstart.data.store import Store
    from headstart.features.extract import extract
    from headstart.modalities.image.read import read
    from headstart.sources.load import load

    folder = pictures(Path(".bench") / f"jpegs-{count}", count)
    with tempfile.TemporaryDirectory() as scratch:
        store, source = Store(Path(scratch)), load(SOURCE)
        started = time.perf_counter()
        data = read(folder, store=store)
        seen = time.perf_counter()
        before, peak = anonymous(), Peak()
        peak.start()
        extract([source], data, store, Silent())
        seconds = time.perf_counter() - seen
        peak.over.set()
    return {
        "pictures": len(data), "reading, a second": count / (seen - started), "extracting, a second": count / seconds,
        "megabytes before": before, "megabytes at most": peak.most,
    }  # fmt: skip


def main() -> None:
    """Measure each count in its own process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--child", type=int)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(one(asked.child)))
        return
    rows = []
    for count in asked.counts:
        command = [sys.executable, __file__, "--child", str(count)]
        said = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(said.stdout.splitlines()[-1]))
        print(json.dumps(rows[-1]), flush=True)
    RESULT.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
