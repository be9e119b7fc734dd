"""The bank: eleven real sets of pictures in small, as folders, for whatever is to be judged over many targets.

At most `MOST` pictures a set, stratified, chosen once. MNIST's digits are what one source was trained on: it never
counts as a source for them.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from elpv_data import lay_out
from picture_sets import (
    Labelled,
    clipart,
    clipart_things,
    emoji_3d,
    emoji_flat,
    fashion,
    icons,
    mfeat,
    mnist,
    optdigits,
    stamps,
)  # fmt: skip
from PIL import Image
from sklearn.model_selection import train_test_split

from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.modalities.image.read import read

FOLDER = Path(".bench")
MOST = 600

SOURCES = (
    "wheel:efficientnet-lite0", "wheel:efficientnet-lite1", "wheel:efficientnet-lite2", "wheel:mobilenet-v2",
    "wheel:mobilenet-v2-tracking", "wheel:mobilenet-v2-dogs", "wheel:vgg16", "wheel:xception",
    "wheel:mnist-cnn", "darknet:yolov3-tiny",
)  # fmt: skip
TAUGHT = {"wheel:mnist-cnn": "mnist"}


def elpv() -> Labelled:
    """Solar cells, whole or not: see `elpv_data`."""
    files = sorted(lay_out(FOLDER / "elpv-0", 0).rglob("*.png"))
    return [Image.open(file).copy() for file in files], [file.parent.name for file in files]


TARGETS: dict[str, Callable[[], Labelled]] = {
    "optdigits": optdigits, "mfeat": mfeat, "mnist": mnist, "fashion": fashion, "emoji-3d": emoji_3d,
    "emoji-flat": emoji_flat, "clipart": clipart, "clipart-things": clipart_things, "stamps": stamps, "icons": icons,
    "elpv": elpv,
}  # fmt: skip


def plain(image: Image.Image) -> Image.Image:
    """As it is."""
    return image


def negative(image: Image.Image) -> Image.Image:
    """Light is dark."""
    return image.point(lambda value: 255 - value)


def coarse(image: Image.Image) -> Image.Image:
    """Twelve pixels a side."""
    return image.resize((12, 12), Image.Resampling.BOX)


def shuffled(image: Image.Image) -> Image.Image:
    """Sixty-four tiles in another order, the same for every picture: a pixel means what it meant, a shape does not."""
    tiles = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC).convert("RGB")).reshape(8, 4, 8, 4, 3)
    order = np.random.default_rng(0).permutation(64)
    mixed = tiles.transpose(0, 2, 1, 3, 4).reshape(64, 4, 4, 3)[order].reshape(8, 8, 4, 4, 3)
    return Image.fromarray(np.ascontiguousarray(mixed.transpose(0, 2, 1, 3, 4)).reshape(32, 32, 3))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "plain": plain, "negative": negative, "coarse": coarse, "shuffled": shuffled,
}  # fmt: skip


def dataset(target: str, store: Store, change: str = "plain") -> Dataset:
    """A set of the bank, written to a folder the first time."""
    folder = FOLDER / "bank" / f"{target}-{change}"
    if not folder.exists():
        images, labels = TARGETS[target]()
        index = np.arange(len(labels))
        if len(labels) > MOST:
            index, _ = train_test_split(index, train_size=MOST, stratify=labels, random_state=0)
        aside = folder.with_suffix(".part")
        for at in index:
            path = aside / labels[at] / f"{at:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            CHANGES[change](images[at]).save(path)
        aside.rename(folder)
    return read(folder, store=store)
