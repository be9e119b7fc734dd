"""A small table beside a larger one of the same columns: what `fit --from` says and delivers, on real pairs.

    .venv/bin/python benchmarks/bench_tables.py [--draws 3] [--pairs diamonds ...]

diamonds: the cut of 53,940 diamonds (in the package plotnine), those of colours D to G are the source, of colour J the
target. shifted: the source are small diamonds (0.4 carat at most), the target large ones (1.5 at least), of which 400
are labelled. fixed: the same, but the source's net is used in the one usual way, with a new head. misled: as diamonds,
but the source's cuts are turned by one. inches: as diamonds, but the target is measured in inches. digits:
scikit-learn's, by the sums of their pixels. 60 rows are labelled where nothing else is said, 4,000 at most are the
source, 1,500 at most say what is true. Closed forms only: no net is trained but the source's own. What the result has
is not run again.
"""

import argparse
import csv
import io
import json
import tempfile
import time
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from picture_sets import Package, fetch
from sklearn.datasets import load_digits

import headstart as hs
from headstart.evaluation import evidence

RESULT = Path(__file__).parent / "results" / "tables.json"
PLOTNINE = Package(
    "pypi",
    "plotnine==0.15.9",
    "plotnine-0.15.9-py3-none-any.whl",
    "36f4526235b3ddd9ea379dd677093ea2ee1b58ab98adec1bde891930283448cd",
)
LABELLED, SOURCE, TRUTH = 60, 4000, 1500
PAIRS = ("diamonds", "shifted", "fixed", "misled", "inches", "digits")
CUTS = ("Fair", "Good", "Very Good", "Premium", "Ideal")
LENGTHS = ("x", "y", "z")
STRATEGIES = ("zero-shot", "shrunk", "pooled", "linear", "earlier", "all-stages")
SMALL, LARGE, LARGE_LABELLED = 0.4, 1.5, 400  # carat
Rows = list[dict[str, Any]]


@cache
def diamonds() -> Rows:
    """As they are, the target in "target"."""
    with zipfile.ZipFile(fetch(PLOTNINE)) as wheel, wheel.open("plotnine/data/diamonds.csv") as file:
        rows = list(csv.DictReader(io.TextIOWrapper(file, encoding="utf-8")))
    return [{**{k: v for k, v in row.items() if k != "cut"}, "target": row["cut"]} for row in rows]


def pair(name: str, seed: int) -> tuple[Rows, Rows, Rows]:
    """Labelled rows, source and truth of a draw."""
    rng = np.random.default_rng(seed)
    if name == "digits":
        found: Any = load_digits()
        rows: Rows = [
            {**{f"sum_{at}": value for at, value in enumerate(values)}, "target": f"digit {digit}"}
            for values, digit in zip(found.data, found.target, strict=True)
        ]
        mixed = [rows[at] for at in rng.permutation(len(rows))]
        return mixed[:LABELLED], mixed[LABELLED:1200], mixed[1200:]
    apart = name in ("shifted", "fixed")
    labelled = LARGE_LABELLED if apart else LABELLED
    own = [row for row in diamonds() if (float(row["carat"]) >= LARGE if apart else row["color"] == "J")]
    theirs = [row for row in diamonds() if (float(row["carat"]) <= SMALL if apart else row["color"] in "DEFG")]
    own, theirs = ([rows[at] for at in rng.permutation(len(rows))] for rows in (own, theirs))
    theirs = theirs[:SOURCE]
    if name == "misled":
        theirs = [{**row, "target": CUTS[(CUTS.index(row["target"]) + 1) % len(CUTS)]} for row in theirs]
    if name == "inches":
        own = [{**row, **{at: f"{float(row[at]) / 25.4:.5f}" for at in LENGTHS}} for row in own]
    return own[:labelled], theirs, own[labelled : labelled + TRUTH]


def saved(path: Path, rows: Rows) -> Path:
    """As CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def measured(name: str, seed: int) -> dict[str, Any]:
    """One draw."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        few, source, truth = (
            saved(Path(folder) / f"{at}.csv", rows)
            for at, rows in zip(("few", "source", "truth"), pair(name, seed), strict=True)
        )
        result = hs.fit(
            few, target="target", test=str(truth), sources=[f"table:{source}@target"], minutes=0.05, seed=seed,
            out=Path(folder) / "run", thumbnails=False,
            strategies=("linear",) if name == "fixed" else STRATEGIES,
        )  # fmt: skip
        kept = evidence.read(Path(folder) / "run" / evidence.NAME)
    record = result.record
    assert kept.test is not None, "it was given"
    truth_codes = kept.test.truth
    right = {
        arm: round(100 * float((said.argmax(axis=1) == truth_codes).mean()), 1) for arm, said in kept.tested.items()
    }
    units = [one.split("'")[1] for one in record.data.warnings if "in another unit" in one]
    return {
        "pair": name, "seed": seed, "claim": record.verdict.claim, "delivered": record.decision.delivered,
        "accuracy": right, "units named": units, "seconds": round(time.perf_counter() - started, 1),
    }  # fmt: skip


def summary(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For every pair: mean accuracies, what was claimed, what was named."""
    found: list[dict[str, Any]] = []
    for name in PAIRS:
        mine = [row for row in rows if row["pair"] == name]
        if not mine:
            continue
        arms = [arm for arm in mine[0]["accuracy"] if all(arm in row["accuracy"] for row in mine)]
        means = {arm: round(float(np.mean([row["accuracy"][arm] for row in mine])), 1) for arm in arms}
        best = round(float(np.mean([row["accuracy"][row["delivered"]] for row in mine])), 1)
        claims = {c: sum(row["claim"] == c for row in mine) for c in ("helped", "undecided", "hurt")}
        found.append(
            {"pair": name, "draws": len(mine), "delivered": best, **means, "claims": claims,
             "delivered arms": [row["delivered"] for row in mine], "units named": mine[0]["units named"]}
        )  # fmt: skip
    return found


def main() -> None:
    """Run what is not there yet, sum up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=PAIRS)
    asked = parser.parse_args()
    rows = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    for seed in range(asked.draws):
        for name in asked.pairs:
            if any((row["pair"], row["seed"]) == (name, seed) for row in rows):
                continue
            rows.append(measured(name, seed))
            print(rows[-1], flush=True)
            RESULT.write_text(json.dumps({"summary": summary(rows), "rows": rows}, indent=1) + "\n")
    for line in summary(rows):
        print(json.dumps(line))


if __name__ == "__main__":
    main()
