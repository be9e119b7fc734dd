"""How often a run calls pictures unlike its training examples: its own test part, and pictures of other things.

    .venv/bin/python benchmarks/bench_unlike.py RUN PHOTOS [STRANGERS ...]

RUN is a finished run on the folder PHOTOS with a test part; STRANGERS are folders of other pictures, of which the first
300 are taken. Nothing was chosen by these numbers: a hundredth of the training examples is what is promised.
"""

import argparse
import json
from pathlib import Path

import pyarrow.parquet as pq

from headstart.core.progress import Silent
from headstart.core.record import SkippedFile
from headstart.saved import Saved

RESULT = Path(__file__).parent / "results" / "unlike.json"
MOST = 300


def share(saved: Saved, files: list[Path]) -> dict[str, float]:
    """Of the files that could be read, how many are called unlike."""
    found = [one for one in saved.answers(files, Silent()) if not isinstance(one, SkippedFile)]
    return {"n": len(found), "unlike": round(sum(one.unlike is True for one in found) / len(found), 4)}


def main() -> None:
    """Measure, write the row, print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("strangers", type=Path, nargs="*")
    asked = parser.parse_args()
    saved = Saved.open(asked.run)
    rows = pq.read_table(asked.run / "predictions.parquet", columns=["example", "on"]).to_pylist()
    held_out = sorted({row["example"] for row in rows if row["on"] == "test"})
    found = {"its own test part": share(saved, [asked.photos / name for name in held_out])}
    for folder in asked.strangers:
        files = sorted(path for path in folder.rglob("*") if path.is_file())[:MOST]
        found[folder.name] = share(saved, files)
    RESULT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
