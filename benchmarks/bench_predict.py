"""`headstart predict` on 10,000 JPEGs, twenty of them damaged: memory, order, rate beside the loop a user would write.

    .venv/bin/python benchmarks/bench_predict.py RUN [--count 10000] [--beside 640]

RUN is any finished run on pictures. The usual loop is a `DataLoader` over PIL and timm's transform, and the delivered
run's own source in eager float32 without a head; its rate is of as many files as --beside says, a warm-up taken off.
Anonymous memory of the command's process is looked at every 100 ms.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_extract import jpegs, plain, spread

from headstart.core.record import Record

RESULT = Path(__file__).parent / "results" / "predict.json"
DAMAGED = 20


def laid_out(all_of_them: Path, folder: Path, count: int) -> list[Path]:
    """So many pictures as links; of every so many-th only the first 20,000 bytes."""
    paths: list[Path] = []
    for at, path in enumerate(sorted(all_of_them.rglob("*.jpg"))[:count]):
        to = folder / path.name
        if at % (count // DAMAGED) == 7:
            to.write_bytes(path.read_bytes()[:20_000])
        else:
            os.link(path, to)
        paths.append(to)
    return sorted(paths)


def anonymous(pid: int) -> float:
    """Megabytes that stand for no file."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(row.split()[1]) / 1024 for row in lines if row.startswith("RssAnon")), 0.0)


def command(run: Path, folder: Path, out: Path) -> dict[str, object]:
    """One run of the command in a process of its own, and how its memory went."""
    started, memory = time.perf_counter(), []
    process = subprocess.Popen(
        [sys.executable, "-m", "headstart", "predict", str(run), str(folder), "--out", str(out), "--json", "--quiet"],
        stdout=subprocess.PIPE,
        text=True,
    )
    part = out.with_name(out.name + ".part")
    began = 0.0
    while process.poll() is None:
        began = began or (time.perf_counter() - started if part.exists() and part.stat().st_size > 1000 else 0.0)
        memory.append(anonymous(process.pid))
        time.sleep(0.1)
    said = json.loads(process.communicate()[0])
    last = memory[len(memory) // 4 :]
    quarter = max(1, len(last) // 3)
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "first rows after": round(began, 1),
        "status": process.returncode,
        "answers": said["n"],
        "damaged": len(said["skipped"]),
        "MB at most": round(max(memory)),
        "MB in the second, third and last quarter": [round(max(last[i * quarter :][:quarter])) for i in range(3)],
    }


def main() -> None:
    """Measure, write the row, print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--beside", type=int, default=640)
    asked = parser.parse_args()
    source = Record.from_json((asked.run / "record.json").read_text()).sources[0].name
    all_of_them = jpegs(Path(".bench/jpegs"))
    with tempfile.TemporaryDirectory(dir=all_of_them.parent) as scratch:
        (folder := Path(scratch) / "new").mkdir()
        paths = laid_out(all_of_them, folder, asked.count)
        row = command(asked.run, folder, Path(scratch) / "said.csv")
        with (Path(scratch) / "said.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        row["in order"] = [one["file"] for one in rows] == [str(path) for path in paths]
        row["rows without an answer"] = sum(bool(one["error"]) for one in rows)
    row["files a second"] = round(asked.count / float(str(row["seconds"])), 1)
    whole = sorted(all_of_them.rglob("*.jpg"))
    few, many = plain(source, spread(whole, asked.beside + 64, 0), (64, asked.beside))
    row["files a second of the usual loop"] = round((asked.beside - 64) / (many - few), 1)
    row |= {"source": source, "count": asked.count}
    RESULT.write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(row, indent=2))


if __name__ == "__main__":
    main()
