"""Which stage of a net? Few labels, a source that saw something else, fifty draws, every stage judged in hindsight.

    .venv/bin/python benchmarks/bench_stages.py [--draws 50]

The net of `wheel:mnist-cnn`, untrained, learns Fashion-MNIST (60,000 clothes) or 4,000 digits of MNIST. Its stages then
serve digits of MNIST that it has not seen, or the 8 x 8 digits of optdigits: a pair that is unlike, and one alike.
For 2, 5 and 10 labels a class, drawn anew fifty times, headstart chooses a stage by leave-one-out on these labels;
1,000 other examples say what each stage was worth (a ridge head on the same labels). Regret is against the stage that
was best in hindsight of that very draw. Beside it: the same net untrained, raw pixels, all stages together.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from picture_sets import fashion_arrays, mnist, optdigits
from PIL import Image

from headstart.core.plan import Solve
from headstart.core.problem import Task
from headstart.sources.load import load
from headstart.sources.staged import StagedNet
from headstart.strategies.catalog import plan
from headstart.training.solve import solve

RESULT = Path(__file__).parent / "results" / "stages.json"
SIZES, JUDGED = (2, 5, 10), 1000
PAIRS = {"fashion -> mnist, unlike": ("fashion", "mnist"), "mnist -> optdigits, alike": ("mnist", "optdigits")}
BESIDE = (
    ("all stages", "all-stages", "net"), ("untrained net", "random-features", "untrained"), ("pixels", "raw", "pixels"),
)  # fmt: skip
Labelled = tuple[np.ndarray, np.ndarray]  # (n, 28, 28) uint8 pictures, (n,) codes


@dataclass(frozen=True)
class Rows:
    """Examples of the target, by number."""

    index: np.ndarray
    targets: np.ndarray
    task: Task

    @property
    def keys(self) -> list[str]:
        """Content keys."""
        return [str(at) for at in self.index]

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class Tables:
    """Features of everything that is compared, in memory."""

    of_source: dict[str, dict[str, np.ndarray]]

    def stages(self, source: str) -> tuple[str, ...]:
        """Of a net, or "pixels"."""
        return tuple(self.of_source[source])

    def of(self, source: str, stage: str, view: Rows) -> np.ndarray:
        """(n, D) features."""
        return self.of_source[source][stage][view.index]


def pictures(name: str) -> tuple[Labelled, Labelled]:
    """What a source learns from, and what is a target."""
    if name == "fashion":
        return fashion_arrays()[0], fashion_arrays()[1]
    images, labels = {"mnist": mnist, "optdigits": optdigits}[name]()
    large = np.stack([np.asarray(image.resize((28, 28), Image.Resampling.BICUBIC)) for image in images])
    codes, order = np.array([int(label) for label in labels]), np.random.default_rng(0).permutation(len(labels))
    learn, rest = np.split(order, [4000 if name == "mnist" else 0])
    return (large[learn], codes[learn]), (large[rest], codes[rest])


def trained(data: Labelled, steps: int = 1200, seed: int = 0) -> StagedNet:
    """The net after some minutes with the source's task."""
    torch.manual_seed(seed)
    net, (images, codes) = load("wheel:mnist-cnn").reinitialised(seed=seed).net(10), data
    net.train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    chance = np.random.default_rng(seed)
    for _ in range(steps):
        at = chance.integers(0, len(codes), 128)
        loss = torch.nn.functional.cross_entropy(
            net(torch.from_numpy(images[at])[..., None]), torch.from_numpy(codes[at]).long()
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


def features(net: StagedNet, images: np.ndarray) -> dict[str, np.ndarray]:
    """(n, D) of every stage."""
    with torch.inference_mode():
        parts = [net.stages(torch.from_numpy(images[at : at + 500])[..., None]) for at in range(0, len(images), 500)]
    return {stage: torch.cat([part[stage] for part in parts]).numpy() for stage in parts[0]}


def drawn(codes: np.ndarray, each: int, seed: int) -> tuple[Rows, Rows]:
    """`each` labels a class, and other examples to judge by."""
    order = np.random.default_rng(seed).permutation(len(codes))
    few = np.concatenate([order[codes[order] == code][:each] for code in range(10)])
    rest = np.setdiff1d(order, few, assume_unique=True)[:JUDGED]
    task = Task("digit", "classification", tuple("0123456789"))
    return Rows(few, codes[few], task), Rows(rest, codes[rest], task)


def one(tables: Tables, few: Rows, rest: Rows) -> dict[str, float]:
    """Accuracy of every stage, of what is chosen among them, and of what stands beside, in points."""

    def accuracy(phase: Solve, source: str) -> float:
        found = solve(phase, (source,), few, tables).predict(rest, tables).argmax(axis=1)
        return 100 * float((found == rest.targets).mean())

    names = tables.stages("net")
    found = {stage: accuracy(Solve("ridge", stages=(stage,)), "net") for stage in names}
    found |= {"chosen": accuracy(Solve("ridge", stages=("*",)), "net"), "last": found[names[-1]]}
    best = max(found[stage] for stage in names)
    for name, strategy, source in BESIDE:
        (phase,) = plan(strategy).phases
        assert isinstance(phase, Solve)
        found[name] = accuracy(phase, source)
    return found | {"regret": best - found["chosen"], "regret of the last": best - found["last"],
                    "chosen over last": found["chosen"] - found["last"]}  # fmt: skip


def summary(runs: list[dict[str, float]]) -> dict[str, list[float]]:
    """Mean over draws, with its 90 % bootstrap interval."""
    chance = np.random.default_rng(0)
    shown = {}
    for name in runs[0]:
        values = np.array([run[name] for run in runs])
        ends = np.quantile(chance.choice(values, (2000, len(values))).mean(axis=1), [0.05, 0.95])
        shown[name] = [round(float(v), 2) for v in (values.mean(), *ends)]
    return shown


def main() -> None:
    """Train, draw, judge, keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=50)
    draws = parser.parse_args().draws
    found: dict[str, object] = {"draws": draws}
    for name, (source, target) in PAIRS.items():
        images, codes = pictures(target)[1]
        untrained = load("wheel:mnist-cnn").reinitialised().net(10).eval()
        tables = Tables({
            "net": features(trained(pictures(source)[0]), images), "untrained": features(untrained, images),
            "pixels": {"pixels": images.reshape(len(images), -1).astype(np.float32) / 255},
        })  # fmt: skip
        for each in SIZES:
            shown = summary([one(tables, *drawn(codes, each, seed)) for seed in range(draws)])
            found[f"{name}, {each} a class"] = shown
            print(name, each, json.dumps(shown), flush=True)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
