"""A source of one's own, learned from 20,000 pictures without labels, on 100 labelled ones of something else.

    .venv/bin/python benchmarks/bench_pretrain.py [--minutes 10] [--draws 10]

`headstart pretrain` learns from 20,000 training pictures of Fashion-MNIST, whose labels are not looked at: it paints
what was covered. Then 10 digits of each class of MNIST are labelled, the rest of 5,000 says what is true. Beside each
other: closed-form heads on the source (its last stage, its best earlier one, all together), on the same net untrained,
on another untrained net, on the pixels. Differences are paired over draws, with 90 % intervals over them.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from picture_sets import fashion_arrays, mnist
from PIL import Image

from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.features.extract import extract
from headstart.modalities.image.modality import IMAGE
from headstart.modalities.image.read import read
from headstart.pretraining.run import pretrain
from headstart.sources.load import load
from headstart.strategies.catalog import plan
from headstart.training.plan_learner import PlanLearner

HERE = Path(__file__).parent
RESULT, WORK = HERE / "results" / "pretrain.json", HERE.parent / ".bench" / "pretrain"
CLOTHES, LABELS, DIGITS = 20_000, 10, 10
HEADS = ("linear", "earlier", "all-stages")


def laid_out() -> tuple[Path, Path]:
    """Clothes without labels, and digits in a folder a class."""
    clothes, digits = WORK / "clothes", WORK / "digits"
    if not clothes.exists():
        clothes.mkdir(parents=True)
        for at, picture in enumerate(fashion_arrays()[0][0][:CLOTHES]):
            Image.fromarray(picture).save(clothes / f"{at:05}.png")
    if not digits.exists():
        for at, (picture, label) in enumerate(zip(*mnist(), strict=True)):
            (digits / str(label)).mkdir(parents=True, exist_ok=True)
            picture.save(digits / str(label) / f"{at:04}.png")
    return clothes, digits


def drawn(data: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """So many labelled digits of each class, and the rest."""
    order = np.random.default_rng(seed).permutation(len(data))
    few = np.concatenate([order[data.targets[order] == code][:LABELS] for code in range(DIGITS)])
    return data.take(np.sort(few)), data.take(np.setdiff1d(np.arange(len(data)), few))


def learners(sources: Mapping[str, Any], store: Store) -> dict[str, PlanLearner]:
    """Every head on the source and on its untrained twin, and the controls."""
    found = {
        f"{head}, {called}": PlanLearner(head, "transfer", plan(head), {one.name: one}, store)
        for called, one in sources.items()
        for head in HEADS
    }
    other = load(IMAGE.untrained[0])
    controls = {"pixels": ("raw", IMAGE.baseline), "another untrained net": ("random-features", other)}
    own = {
        called: PlanLearner(name, "control", plan(name), {one.name: one}, store)
        for called, (name, one) in controls.items()
    }
    return found | own


def interval(values: np.ndarray) -> list[float]:
    """Mean with its 90 % bootstrap interval over draws."""
    means = np.random.default_rng(0).choice(values, (4000, len(values))).mean(axis=1)
    return [round(float(v), 2) for v in (values.mean(), *np.quantile(means, [0.05, 0.95]))]


def main() -> None:
    """Learn, draw, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--draws", type=int, default=10)
    asked, store = parser.parse_args(), Store()
    torch.set_num_threads(1)
    clothes, digits = laid_out()
    folder = WORK / f"source-{asked.minutes:g}"
    if not folder.exists():
        pretrain([clothes], out=folder, minutes=asked.minutes)
    record = json.loads((folder / "pretrain.json").read_text())
    own = load(f"file:{folder}")
    sources = {"pre-trained": own, "untrained": own.reinitialised()}
    data = read(digits)
    features = extract([*sources.values(), IMAGE.baseline, load(IMAGE.untrained[0])], data, store, Silent())
    rows: list[dict[str, float]] = []
    for seed in range(asked.draws):
        few, rest = drawn(data, seed)
        row: dict[str, float] = {}
        for name, one in learners(sources, store).items():
            said = one.fit(few, seed=seed, features=features).predict(rest, features).probabilities.argmax(axis=1)
            row[name] = round(100 * float((said == rest.targets).mean()), 2)
        rows.append(row)
        print(seed, row, flush=True)
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    best = max((name for name in table if name.endswith("pre-trained")), key=lambda name: table[name].mean())
    summary = {
        "accuracy": {name: interval(values) for name, values in table.items()},
        "best head of the source": best,
        "that minus": {name: interval(table[best] - values) for name, values in table.items() if name != best},
        "losses": [record["losses"][0], record["losses"][-1]], "steps": record["steps"], "seconds": record["seconds"],
    }  # fmt: skip
    RESULT.write_text(json.dumps({"summary": summary, "rows": rows}, indent=1) + "\n")
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
