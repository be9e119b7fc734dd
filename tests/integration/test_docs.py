"""The Python of the README and of the site runs, page by page, as it stands there, on small made data.

Two things differ from a reader's run: sources that would be fetched are small untrained nets, and minutes are seconds.
"""

import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart import api
from headstart.modalities.image.reader import ImageReader
from headstart.modalities.series.reader import SeriesReader
from headstart.modalities.text.reader import TextReader

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PICTURES, TEXTS, SERIES = "random:test_resnet@32", "random:text-cnn", "random:timenet"
STAND_INS = {
    "wheel:efficientnet-lite0": PICTURES,
    "wheel:efficientnet-lite1": f"{PICTURES}#1",
    "wheel:all-minilm-l6-v2": TEXTS,
}
MINUTES = 0.02
WITHOUT_CODE = {"concepts", "decisions", "limits", "CONTRIBUTING"}


def code(page: Path) -> str:
    """All of a page's own Python, in order; lines keep their numbers."""
    text, found = page.read_text(), [""] * (page.read_text().count("\n") + 1)
    for block in BLOCK.finditer(text):
        at = text.count("\n", 0, block.start(1))
        lines = block[1].splitlines()
        found[at : at + len(lines)] = lines
    return "\n".join(found)


PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if code(page).strip()]


def test_the_pages_with_code_are_these() -> None:
    every = {page.stem for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}
    assert {page.stem for page in PAGES} == every - WITHOUT_CODE


def small(call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call with fewer minutes."""

    @wraps(call)
    def called(*given: Any, **named: Any) -> Any:
        return call(*given, **{**named, "minutes": MINUTES})

    return called


def table(path: Path, header: str, rows: list[str]) -> None:
    path.write_text("\n".join([header, *rows]) + "\n")


def people(count: int, seed: int, labelled: bool = True) -> list[str]:
    """Rows of age, weight and sex, and an outcome that the first two tell."""
    draw, rows = np.random.default_rng(seed), []
    for age, weight, sex in zip(
        draw.uniform(20, 80, count), draw.normal(75, 12, count), draw.integers(2, size=count), strict=True
    ):
        outcome = "ill" if age + weight + draw.normal(0, 8) > 125 else "well"
        rows.append(",".join([f"{age:.1f}", f"{weight:.1f}", "fm"[sex], *([outcome] if labelled else [])]))
    return rows


def waves(count: int, seed: int) -> str:
    draw, lines = np.random.default_rng(seed), ["@problemName GunPoint", "@classLabel true quick slow", "@data"]
    for at in range(count):
        one = np.sin(np.arange(40) * (0.3, 0.8)[at % 2] + draw.uniform(0, 6)) + draw.normal(0, 0.1, 40)
        lines.append(",".join(f"{value:.3f}" for value in one) + ":" + ("slow", "quick")[at % 2])
    return "\n".join(lines) + "\n"


@pytest.fixture
def place(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all the data that the pages speak of."""
    (tmp_path / "photos").symlink_to(photos, target_is_directory=True)
    (tmp_path / "new").mkdir()
    for at, path in enumerate(sorted(photos.rglob("*.png"))[:2], 1):
        Image.open(path).convert("RGB").save(tmp_path / "new" / f"{at}.jpg")
    table(tmp_path / "small.csv", "age,weight,sex,outcome", people(40, 0))
    table(tmp_path / "large.csv", "age,weight,sex,outcome", people(300, 1))
    table(tmp_path / "new.csv", "age,weight,sex", people(3, 2, labelled=False))
    draw, moods = np.random.default_rng(0), {"good": ["warm", "lovely", "bright"], "bad": ["dull", "cold", "grey"]}
    said = [
        f"the film {at} was {word} and {draw.choice(['long', 'short', 'new'])} today,{mood}"
        for at, (mood, word) in enumerate((mood, str(draw.choice(moods[mood]))) for _ in range(20) for mood in moods)
    ]
    table(tmp_path / "reviews.csv", "text,label", said)
    (tmp_path / "GunPoint").mkdir()
    (tmp_path / "GunPoint" / "GunPoint_TRAIN.ts").write_text(waves(30, 0))
    (tmp_path / "GunPoint" / "GunPoint_TEST.ts").write_text(waves(20, 1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    for reader, source in ((ImageReader, PICTURES), (TextReader, TEXTS), (SeriesReader, SERIES)):
        monkeypatch.setattr(reader, "sources", (source,))
    for name in ("fit", "advise"):
        monkeypatch.setattr(api, name, small(getattr(api, name)))
    text = code(page)
    for known, stand_in in STAND_INS.items():
        text = text.replace(known, stand_in)
    assert "wheel:" not in text, "give it a stand-in: weights may not be here"
    exec(compile(text, str(page), "exec"), {"__name__": page.stem})
    assert capsys.readouterr().out.strip()
