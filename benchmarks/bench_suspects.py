"""Planted label errors, copies and leaks in real data: how many `headstart explore` finds, and its false alarms.

    .venv/bin/python benchmarks/bench_suspects.py [--draws 10]

Errors: 5 % of the labels of each set are flipped to another class by chance, in several draws. The leave-one-out
probabilities of a ridge head on the last stage of the first default source accuse. Precision and recall of what
`explore` lists: as many as confident learning expects, by the lowest probability of the given label; beside it the
list of examples off the diagonal of the confident joint. Of both, and of the plain ranking, precision among as many
as were flipped, which nobody knows (there it is recall too); 90 % intervals over draws. What was wrong before
anything was flipped counts as a false alarm.

Copies: of 60 of 600 photos there are copies in the test part: the same pixels, JPEG at quality 60, resized to 80 %,
brightened by 30 %. A copy counts as found if it is in one group with its original; a false alarm is a group without
any planted pair.
"""

import argparse
import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from elpv_data import lay_out
from picture_sets import optdigits
from PIL import Image, ImageEnhance
from scipy.stats import t as student
from text_sets import SETS

from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.labelled import Where
from headstart.data.store import Store
from headstart.evaluation.suspects import suspects, thresholds
from headstart.exploring.run import explore
from headstart.features.extract import extract
from headstart.linear.heads import Ridge
from headstart.modalities.catalog import kind_of, reader
from headstart.sources.load import load

HERE = Path(__file__).parent
RESULT, WORK = HERE / "results" / "suspects.json", HERE.parent / ".bench" / "suspects"
FLIPPED, MOST, BASE, COPIED = 0.05, 2500, 600, 60


def digits() -> Where:
    """UCI optdigits."""
    folder = WORK / "digits"
    if not folder.exists():
        for at, (picture, label) in enumerate(zip(*optdigits(), strict=True)):
            path = folder / label / f"{at:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
    return Where(folder, bare=True)


def photos() -> Where:
    """ELPV: solar cells that are whole or defective, an ambiguous task."""
    return Where(lay_out(WORK / "elpv"), bare=True)


def texts(name: str) -> Callable[[], Where]:
    """A set of `text_sets`."""

    def made() -> Where:
        path = WORK / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *zip(*SETS[name](), strict=True)])
        return Where(path, "label", bare=True)

    return made


SUSPECTED = {"optdigits": digits, "elpv": photos, "r8": texts("r8"), "amazon": texts("amazon")}


def seen(where: Where) -> tuple[Dataset, np.ndarray, str]:
    """At most so many examples and their features."""
    read_by, store = reader(kind_of(where)), Store()
    data = read_by.read(where, store, Silent())
    if len(data) > MOST:
        data = data.take(np.sort(np.random.default_rng(0).permutation(len(data))[:MOST]))
    source = load(read_by.sources[0])
    table = extract([source], data, store, Silent())
    return data, table.of(source.name, table.stages(source.name)[-1], data), source.name


def drawn(features: np.ndarray, truth: np.ndarray, seed: int) -> dict[str, float]:
    """Flip, fit, rank."""
    rng, n, classes = np.random.default_rng(seed), len(truth), int(truth.max()) + 1
    wrong = rng.permutation(n)[: round(FLIPPED * n)]
    given = truth.copy()
    given[wrong] = (truth[wrong] + rng.integers(1, classes, len(wrong))) % classes
    stated = Ridge.fit([features], given, classes, None).loo
    found = suspects(stated, given)
    listed, joint = [one.index for one in found], off_diagonal(stated, given)
    plain = np.argsort(stated[np.arange(n), given], kind="stable")
    hits, joined = np.isin(listed, wrong), np.isin(joint, wrong)
    m = len(wrong)
    right = np.array([one.likely == truth[one.index] for one in found])
    return {
        "list": len(listed), "precision": hits.mean(), "recall": hits.sum() / m,
        "class named": right[hits].mean() if hits.any() else np.nan,
        "top 20": np.isin(listed[:20], wrong).mean(),
        "joint": len(joint), "joint, precision": joined.mean(), "joint, recall": joined.sum() / m,
        "joint, top 20": np.isin(joint[:20], wrong).mean(),
        "as many as flipped": np.isin(listed[:m], wrong).sum() / m, "as many, joint": joined[:m].sum() / m,
        "as many, plain": np.isin(plain[:m], wrong).mean(),
    }  # fmt: skip


def off_diagonal(stated: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Who is surely of another class, by margin: the list of confident learning in its plainest form."""
    confident = np.where(stated >= thresholds(stated, given), stated, -np.inf)
    at = np.flatnonzero(np.isfinite(confident.max(axis=1)) & (confident.argmax(axis=1) != given))
    return at[np.argsort(stated[at, given[at]] - confident[at].max(axis=1), kind="stable")]


def between(values: list[float]) -> list[float]:
    """Mean and 90 % interval over draws."""
    mean, half = np.mean(values), student.ppf(0.95, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return [round(float(v), 4) for v in (mean, mean - half, mean + half)]


COPIES: dict[str, Callable[[Image.Image, Path], None]] = {
    "same pixels": lambda picture, path: picture.save(path.with_suffix(".png")),
    "jpeg 60": lambda picture, path: picture.save(path.with_suffix(".jpg"), quality=60),
    "resized": lambda picture, path: picture.resize((240, 240)).save(path.with_suffix(".png")),
    "brighter": lambda picture, path: ImageEnhance.Brightness(picture).enhance(1.3).save(path.with_suffix(".png")),
}


def planted() -> dict[str, Any]:
    """Copies found, by kind, and false alarms."""
    root = WORK / "copies"
    shutil.rmtree(root, ignore_errors=True)
    every = sorted(photos().path.rglob("*.png"))
    rng = np.random.default_rng(0)
    chosen = [every[i] for i in rng.permutation(len(every))[:BASE]]
    for path in chosen:
        (root / "train" / path.parent.name).mkdir(parents=True, exist_ok=True)
        (root / "test" / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / "train" / path.parent.name / path.name)
    for path in chosen[:COPIED]:
        with Image.open(path) as picture:
            for at, copy in enumerate(COPIES.values()):
                copy(picture.convert("L"), root / "test" / path.parent.name / f"{path.stem}-{at}.png")
    found = explore(root, clusters="none", way="pca")
    counts = dict.fromkeys(COPIES, 0)
    alarms = leaks = 0
    for group in found.duplicates:
        stems = [Path(name).stem for name in group.names]
        there = {stem for stem in stems if "-" not in stem}
        pairs = [stem for stem in stems if "-" in stem and stem.split("-")[0] in there]
        for stem in pairs:
            counts[list(COPIES)[int(stem.split("-")[1])]] += 1
        leaks += bool(pairs and group.leak)
        alarms += len(there) > 1 or not pairs
    return {"planted of each": COPIED, "found": counts, "groups called leaks": leaks, "false alarms": alarms}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10)
    draws = parser.parse_args().draws
    rows: list[dict[str, Any]] = []
    for name, where in SUSPECTED.items():
        data, features, source = seen(where())
        each = [drawn(features, data.targets, seed) for seed in range(draws)]
        summary = {key: between([one[key] for one in each]) for key in each[0]}
        flipped = round(FLIPPED * len(data))
        rows.append({"set": name, "source": source, "n": len(data), "flipped": flipped, "draws": draws, **summary})
        print(rows[-1], flush=True)
    copies = planted()
    print(copies, flush=True)
    RESULT.write_text(json.dumps({"suspects": rows, "copies": copies}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
