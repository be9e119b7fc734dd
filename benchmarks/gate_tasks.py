"""Small tasks whose truth is known: a few labels out of a large pool of real pictures, and nets that learned others.

The net of `wheel:mnist-cnn` has learned MNIST; untrained, it learns clothes for long or hardly at all, or the digits of
optdigits. Their stages serve pools of 1,797 to 10,000 pictures, plain and under noise. Classes, labels and sources of a
task are drawn by lot; whatever is not labelled says what is true. Banks:

- nets: what transfer is: a source or two that have seen other pictures, beside the controls that ship;
- maps: random ReLU features of chosen width and noise, or a source that knows the classes a little: harsher contrasts;
- A/A: two nets that differ in nothing but their seed, in both roles; on average nothing is gained;
- permuted: labels drawn by lot; nothing can be learned.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from bench_stages import Labelled, features, trained
from picture_sets import fashion_arrays, mfeat, mnist, optdigits
from PIL import Image

from headstart.core.problem import Task
from headstart.sources.load import load
from headstart.sources.staged import StagedNet
from headstart.strategies.catalog import plan
from headstart.training.plan_learner import PlanLearner
from headstart.training.solve import Fits

FOLDER = Path(".bench") / "gate"
NOISE = (0.0, 0.25, 0.6)  # standard deviations, of white
LABELS = {"mnist": mnist, "optdigits": optdigits, "mfeat": mfeat}
SOURCES = {
    "mnist": ("fashion", "glance", "optdigits"),
    "fashion": ("mnist", "fashion", "optdigits"),
    "optdigits": ("mnist", "fashion", "glance"),
    "mfeat": ("mnist", "fashion", "optdigits"),
}
TWINS = (("fashion", "fashion again"), ("untrained again", "untrained, third"))
HELD = 1000  # examples at least that say what is true
TRANSFER = ("linear", "earlier", "all-stages")


@dataclass(frozen=True)
class View:
    """Rows of a pool, shaped like a data set."""

    index: np.ndarray
    targets: np.ndarray
    task: Task

    @property
    def keys(self) -> tuple[str, ...]:
        """Content keys."""
        return tuple(map(str, self.index))

    @property
    def groups(self) -> np.ndarray:
        """Every picture is a piece of evidence of its own."""
        return np.arange(len(self.index))

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: np.ndarray) -> "View":
        """A part."""
        return replace(self, index=self.index[rows], targets=self.targets[rows])


@dataclass(frozen=True)
class Tables:
    """Features by source and stage, (N, D) of a whole pool, in memory or on disk."""

    of_source: Mapping[str, Mapping[str, np.ndarray]]

    def stages(self, source: str) -> tuple[str, ...]:
        """Stage names."""
        return tuple(self.of_source[source])

    def of(self, source: str, stage: str, view: View) -> np.ndarray:
        """(n, D) rows of the view."""
        return self.of_source[source][stage][view.index].astype(np.float32)


@dataclass(frozen=True)
class Draw:
    """A task: what is labelled, what is not, features, competitors, and the cell of the bank that it was drawn from."""

    few: View
    rest: View
    tables: Tables
    arms: tuple[PlanLearner, ...]
    pool: str
    cell: str


# --- pools and nets


@cache
def pictures(pool: str) -> Labelled:
    """All of a pool at 28 x 28."""
    if pool == "fashion":
        return fashion_arrays()[1]
    images, labels = LABELS[pool]()
    large = np.stack([np.asarray(one.resize((28, 28), Image.Resampling.BICUBIC)) for one in images])
    return large, np.array([int(label) for label in labels])


def noisy(images: np.ndarray, noise: float) -> np.ndarray:
    """The pictures under a noise that is always the same."""
    chance = np.random.default_rng(0)
    return np.clip(images + 255 * noise * chance.standard_normal(images.shape), 0, 255).astype(np.uint8)


def net(name: str) -> StagedNet:
    """A source, or an untrained control, by what it has seen."""
    fresh = load("wheel:mnist-cnn").reinitialised
    match name:
        case "mnist":
            return load("wheel:mnist-cnn").net(10).eval()
        case "fashion" | "fashion again":
            return trained(fashion_arrays()[0], 500, seed=int("again" in name))
        case "glance":
            return trained(fashion_arrays()[0], 40, seed=2)
        case "optdigits":
            return trained(pictures("optdigits"), 400, seed=3)
        case _:
            seed = ("untrained", "untrained again", "untrained, third").index(name)
            return fresh(seed=10 + seed).net(10).eval()


def names(pool: str) -> tuple[str, ...]:
    """All nets that a pool's tasks may need."""
    return (*dict.fromkeys((*SOURCES[pool], *(one for pair in TWINS for one in pair), "untrained")),)


def stored(pool: str, noise: float, name: str, stage: str) -> Path:
    """Where features lie."""
    return FOLDER / f"{pool}-{noise:g}-{name}-{stage}.npy"


def prepare() -> None:
    """Train the nets and keep the features of all pools: once, some ten minutes."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = {(name, pool, noise) for pool in SOURCES for name in names(pool) for noise in NOISE}
    for name in sorted({name for name, _, _ in wanted}):
        missing = [
            one for one in sorted(wanted)
            if one[0] == name and not all(stored(*one[1:], name, stage).exists() for stage in stage_names())
        ]  # fmt: skip
        if not missing:
            continue
        taught = net(name)
        for _, pool, noise in missing:
            for stage, block in features(taught, noisy(pictures(pool)[0], noise)).items():
                np.save(stored(pool, noise, name, stage), block.astype(np.float16))
        print(f"features of {name}", flush=True)


@cache
def of_net(pool: str, noise: float, name: str) -> dict[str, np.ndarray]:
    """(N, D) of every stage, from disk as they are needed."""
    return {stage: np.load(stored(pool, noise, name, stage), mmap_mode="r") for stage in stage_names()}


@cache
def stage_names() -> tuple[str, ...]:
    """Of the one architecture that all nets have."""
    return load("wheel:mnist-cnn").card.stage_names()


@cache
def pixels(pool: str, noise: float) -> np.ndarray:
    """(N, 784) what the raw control sees."""
    return noisy(pictures(pool)[0], noise).reshape(-1, 784).astype(np.float32) / 255


# --- random maps


def relu_map(inputs: np.ndarray, width: int, noise: float, seed: int) -> np.ndarray:
    """Random ReLU features with added noise: a source whose use depends on width and noise."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(inputs.shape[1], width)) / np.sqrt(inputs.shape[1])
    out = np.maximum(inputs @ weights + 0.1 * rng.normal(size=width), 0)
    return (out + noise * out.std() * rng.normal(size=out.shape)).astype(np.float32)


def good_map(inputs: np.ndarray, targets: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """A source that has seen something alike: noisy class evidence mixed by a random rotation."""
    rng = np.random.default_rng(seed)
    evidence = np.eye(targets.max() + 1)[targets] + noise * rng.normal(size=(len(targets), targets.max() + 1))
    mixed = np.hstack([evidence, relu_map(inputs, 32, 0.5, seed + 1)])
    return (mixed @ rng.normal(size=(mixed.shape[1], 64))).astype(np.float32)


# --- tasks

Prepared = tuple[Tables, tuple[PlanLearner, ...], str]  # features, competitors, the cell of the bank


def draw(bank: str, n: int, number: int, more: int = 0) -> Draw:
    """The task of that number, with so many labels more."""
    chance = np.random.default_rng(zlib.crc32(f"{bank} {n} {number}".encode()))
    pool = str(chance.choice(list(SOURCES) if bank != "maps" else ["mnist", "fashion"]))
    codes = pictures(pool)[1]
    least = int(np.ceil((n + HELD) / np.bincount(codes).min()))
    classes = np.sort(chance.choice(10, int(chance.integers(max(2, least), 11)), replace=False))
    order = chance.permutation(np.flatnonzero(np.isin(codes, classes)))
    task = Task("picture", "classification", tuple(map(str, classes)))
    targets = np.searchsorted(classes, codes[order])
    if bank == "permuted":
        targets = chance.permutation(targets)
    view = View(order, targets, task)
    few, rest = view.take(np.arange(n + more)), view.take(np.arange(n + more, len(order)))
    tables, competitors, cell = BANKS[bank](pool, codes, chance)
    return Draw(few, rest, tables, competitors, pool, cell)


def nets(pool: str, _: np.ndarray, chance: np.random.Generator) -> Prepared:
    """One source, or two, and the controls."""
    noise, count = float(chance.choice(NOISE)), 1 + int(chance.random() < 0.3)
    sources = sorted(map(str, chance.choice(SOURCES[pool], count, replace=False)))
    deep = bool(chance.random() < 0.5)  # only the stages that know most of what the source was taught
    tables = {name: dict([*of_net(pool, noise, name).items()][-2 if deep else 0 :]) for name in sources}
    tables |= {"untrained": of_net(pool, noise, "untrained"), "pixels": {"pixels": pixels(pool, noise)}}
    return Tables(tables), arms(sources), f"{pool} <- {' + '.join(sources)}{', deep' * deep}"


def maps(pool: str, codes: np.ndarray, chance: np.random.Generator) -> Prepared:
    """A source of random features that is good or bad by lot."""
    seed, width, noise = int(chance.integers(2**31)), int(chance.choice([16, 48, 128])), float(chance.uniform(0, 1.5))
    small = pictures(pool)[0].reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196) / 255
    inputs = small + chance.uniform(0.3, 1.5) * chance.standard_normal(small.shape)
    good = bool(chance.random() < 0.5)
    source = good_map(inputs, codes, 0.5 * noise + 0.5, seed) if good else relu_map(inputs, width, noise, seed)
    tables = {
        "map": {"early": relu_map(inputs, 32, noise, seed + 7), "last": source},
        "untrained": {"all": relu_map(inputs, width, noise, seed + 999)},
        "pixels": {"pixels": inputs.astype(np.float32)},
    }
    return Tables(tables), arms(["map"]), f"{pool} <- {'good' if good else 'random'} map"


def twins(pool: str, _: np.ndarray, chance: np.random.Generator) -> Prepared:
    """The same arms on two nets that nothing sets apart."""
    noise, pair = float(chance.choice(NOISE)), TWINS[int(chance.integers(2))]
    one, other = pair if chance.random() < 0.5 else pair[::-1]
    tables = Tables({name: of_net(pool, noise, name) for name in pair})
    fits = Fits()
    both = [
        PlanLearner(f"{name} {role}", role, plan(name), {source: None}, None, fits=fits)
        for source, role in ((one, "transfer"), (other, "control"))
        for name in TRANSFER
    ]
    return tables, tuple(both), f"{pool}, {pair[0]} twice"


def arms(sources: list[str]) -> tuple[PlanLearner, ...]:
    """The closed forms that compete by default, and the controls that have one."""
    fits, several = Fits(), ("experts",) if len(sources) > 1 else ()
    read = dict.fromkeys((*TRANSFER, *several), sources)
    read |= {"majority": ["pixels"], "raw": ["pixels"], "random-features": ["untrained"]}
    return tuple(
        PlanLearner(name, "control" if name in CONTROLS else "transfer", plan(name), dict.fromkeys(of), None, fits=fits)
        for name, of in read.items()
    )


CONTROLS = ("majority", "raw", "random-features")
BANKS = {"nets": nets, "maps": maps, "A/A": twins, "permuted": nets}
