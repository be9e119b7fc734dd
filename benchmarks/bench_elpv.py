"""ELPV solar cells, 75/25 stratified, seeds 0-2: what headstart delivers, each arm, and what users would write today.

    .venv/bin/python benchmarks/bench_elpv.py [--minutes 15] [--seeds 0 1 2]

Compares per test photo with logistic regression on the plain last layer and with fastai's `fine_tune` quick start on
the same weights and splits, whose predictions benchmarks/fastai_elpv.py has stored (fastai is no dependency).
"""

import argparse
import json
from pathlib import Path

import numpy as np
from elpv_data import lay_out

import headstart as hs
from headstart.evaluation import evidence as kept
from headstart.metrics.calibration import scale
from headstart.metrics.intervals import group_weights, percentile

HERE = Path(__file__).parent / "results"


def delivered_labels(run: Path) -> dict[str, str]:
    """File name -> predicted class on the test part, of the delivered model."""
    record, found = hs.load(run).record, kept.read(run / kept.NAME)
    assert found.test is not None
    said = scale(found.tested[record.decision.delivered], record.calibration.temperature).argmax(axis=1)
    return {Path(name).name: found.classes[code] for name, code in zip(found.test.names, said, strict=True)}


def against(ours: dict[str, str], theirs: dict[str, str], truth: dict[str, str]) -> dict[str, float]:
    """Paired difference of accuracy over test photos, 90 % interval."""
    names = sorted(theirs)
    better = np.array([float(ours[n] == truth[n]) - float(theirs[n] == truth[n]) for n in names])
    weights = group_weights(np.arange(len(names)), 0)
    found = percentile(weights @ better / len(names), float(better.mean()))
    return {"value": found.value, "low": found.low, "high": found.high}


def pooled(parts: list[tuple[dict[str, str], dict[str, str]]], truth: dict[str, str]) -> dict[str, float]:
    """The same over all seeds together; a photo that is in several test parts is one piece of evidence."""
    names = [(n, float(a[n] == truth[n]) - float(b[n] == truth[n])) for a, b in parts for n in sorted(b)]
    ids = {name: i for i, name in enumerate(sorted({n for n, _ in names}))}
    better = np.array([d for _, d in names])
    weights = group_weights(np.array([ids[n] for n, _ in names]), 0)
    found = percentile(weights @ better / weights.sum(axis=1), float(better.mean()))
    return {"value": found.value, "low": found.low, "high": found.high}


def main() -> None:
    """Run the seeds; every run is kept under .bench and resumed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    asked = parser.parse_args()
    others = json.loads((HERE / "fastai_elpv.json").read_text())
    truth = others["truth"]
    rows, pairs = [], {}
    for seed in asked.seeds:
        root = lay_out(Path(".bench") / f"elpv-{seed}", seed)
        result = hs.fit(
            root, minutes=asked.minutes, seed=seed, out=Path(".bench") / f"run-elpv-{seed}-{asked.minutes:g}"
        )
        record, ours = result.record, delivered_labels(result.run)
        row = {
            "seed": seed, "delivered": record.strategy, "verdict": record.verdict.sentence,
            "test": record.score.model_dump(), "seconds": record.seconds.model_dump(),
            "audit": None if record.audit is None else record.audit.model_dump(),
            "arms": [
                {"arm": c.name, "source": c.source, "status": c.status, "why": c.why, "seconds": c.seconds,
                 "out of fold": c.score and c.score.model_dump(), "test": c.test and c.test.model_dump()}
                for c in record.candidates
            ],
        }  # fmt: skip
        for other in others["runs"]:
            if other["seed"] == seed:
                row[f"over {other['arm']}"] = against(ours, other["predicted"], truth)
                pairs.setdefault(other["arm"], []).append((ours, other["predicted"]))
        rows.append(row)
        print(json.dumps({k: v for k, v in row.items() if k != "arms"}, indent=1), flush=True)
        together = {f"over {arm}": pooled(parts, truth) for arm, parts in pairs.items()}
        found = {"minutes": asked.minutes, "seeds": rows, "all seeds together": together}
        (HERE / "elpv.json").write_text(json.dumps(found, indent=1))
    print(json.dumps(together, indent=1))


if __name__ == "__main__":
    main()
