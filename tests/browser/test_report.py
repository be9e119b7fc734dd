"""Pages as a browser shows them: quiet, alone, as wide as the screen, and whole without scripts."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest

from headstart.core.comparison import CellRecord, ComparisonRecord
from headstart.core.exhibits import Exhibit, Exhibits, Explanation, Weight
from headstart.core.record import Gain, Score
from headstart.report import comparison, inputs, page, several

WIDTHS = (390, 1280)


def _made() -> ModuleType:
    spec = importlib.util.spec_from_file_location("made_run", Path(__file__).parents[1] / "made_run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE = _made()
HOSTILE = MADE.CLASSES[1]


def exhibits(run: Path) -> Exhibits:
    """Pictures, words, lines and cells under names of the run, and an explanation of each."""
    names = [one.name for one in inputs.worst(inputs.outputs(run, inputs.record(run)), 4)]
    picture = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw=="
    looks = (
        Exhibit(picture=picture),
        Exhibit(words=f"{HOSTILE} and {'a' * 200}"),
        Exhibit(lines=((0.0, 2.0, 1.0),)),
        Exhibit(cells={"x" * 60: "1", HOSTILE: "2"}),
    )
    spans = [((0, 0, 1, 0.5), (0, 0.5, 1, 1)), ((), ()), ((0, 2), (2, 3)), ((), ())]
    explained = tuple(
        Explanation(
            example=name, truth=HOSTILE, said="crack", stated=0.9,
            parts=(Weight(part=HOSTILE, span=one, fall=0.5), Weight(part="b" * 120, span=two, fall=-0.3)),
        )
        for name, (one, two) in zip(names, spans, strict=True)
    )  # fmt: skip
    return Exhibits(shown=dict(zip(names, looks, strict=True)), explained=explained)


def a_run(folder: Path) -> Path:
    run = MADE.run(folder / 'it\'s a "run"')
    (run / inputs.EXHIBITS).write_text(exhibits(run).to_json())
    return page.write(run)


def runs(folder: Path) -> Path:
    made = [MADE.run(folder / name) for name in ("one", HOSTILE.replace("/", "_"), "t" * 80)]
    record = inputs.record(made[1])
    (made[1] / "record.json").write_text(record.model_copy(update={"metric": "macro_f1", "seed": 9}).to_json())
    return several.write(made, folder / "side-by-side.html")


def a_comparison(folder: Path) -> Path:
    record = MADE.record()
    score = Score(value=0.8, low=0.7, high=0.9, level=0.9, n=240, on="out-of-fold")
    gain = Gain(value=0.1, low=0.05, high=0.15, level=0.9, n=240, on="out-of-fold")
    cells = [
        CellRecord(
            name=f"{strategy}@{source}", source=source, strategy=strategy, role="transfer", score=score, gain=gain,
            claim="helped", seconds=2.0, stages=("a" * 40,),
        )
        for source in ("wheel:efficientnet-lite0", HOSTILE)
        for strategy in ("linear", "all-stages")
    ]  # fmt: skip
    control = CellRecord(name="raw@none", source="none", strategy="raw", role="control", score=score, why="<i>why</i>")
    made = ComparisonRecord(
        data=record.data, sources=record.sources, metric="accuracy", folds=5, seeds=3, epochs=None, control="raw@none",
        cells=(*cells, control), notes=("a note",), seconds=3.0, work_done={}, seed=0, versions=record.versions,
    )  # fmt: skip
    (folder / comparison.RECORD).write_text(made.to_json())
    return comparison.write(folder)


@pytest.mark.parametrize("make", [a_run, runs, a_comparison])
def test_a_page_stands_alone_and_fits_every_screen(browser, tmp_path: Path, make: Callable[[Path], Path]) -> None:
    made = make(tmp_path)
    for width in WIDTHS:
        browser.size(width)
        for scheme in ("light", "dark"):
            browser.scheme(scheme)
            browser.open(made)
            assert browser.errors() == []
            assert browser.foreign() == []
            assert browser.run("return document.documentElement.scrollWidth") == width
    assert browser.run("return document.scripts.length") == 0  # so it is whole without them
    assert browser.run("return document.querySelectorAll('h1').length") == 1
    assert HOSTILE[:16] in browser.run("return document.body.textContent")
    outside = (
        "return [...document.querySelectorAll('section')].filter(e => e.getBoundingClientRect().right > innerWidth)"
    )
    assert browser.run(outside) == []


def test_a_page_is_read_by_keyboard(browser, tmp_path: Path) -> None:
    browser.open(a_run(tmp_path))
    first = "return (document.querySelector('a, [tabindex=\"0\"], summary') || {}).textContent"
    assert browser.run(first) == "Skip to the content"
    dead = "return [...document.links].filter(a => !document.getElementById(a.hash.slice(1))).length"
    assert browser.run("return document.links.length") > 10
    assert browser.run(dead) == 0
    unnamed = "return [...document.querySelectorAll('img')].filter(i => !i.alt).length"
    assert browser.run("return document.images.length") > 0
    assert browser.run(unnamed) == 0
    browser.run("document.querySelector('summary').click()")
    assert browser.run("return document.querySelector('details').open")


def test_colours_follow_the_scheme_and_can_be_read(browser, tmp_path: Path) -> None:
    made = a_run(tmp_path)
    script = """
      const light = s => { const c = s.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]; };
      const behind = e => { const c = getComputedStyle(e).backgroundColor;
        return c.startsWith('rgba') && e.parentElement ? behind(e.parentElement) : c; };
      return ['.about', '.notes li', 'small', '.claim', '.keys th', '.tag', '.tag.kept', 'nav a', 'q'].map(s => {
        const e = document.querySelector(s), fore = light(getComputedStyle(e).color), back = light(behind(e));
        return (Math.max(fore, back) + 0.05) / (Math.min(fore, back) + 0.05); });"""
    for scheme in ("light", "dark"):
        browser.scheme(scheme)
        browser.open(made)
        assert min(browser.run(script)) >= 4.5  # WCAG AA
    ink = "return getComputedStyle(document.querySelector('svg text')).fill"
    dark = browser.run(ink)
    browser.scheme("light")
    assert browser.run(ink) != dark


def test_what_predictions_call_examples_stays_text(browser, tmp_path: Path) -> None:
    made = a_run(tmp_path)
    path = made.parent / "predictions.parquet"
    table = pq.read_table(path)
    names = [f"<img src=x onerror=alert(1)> \"'{name}" for name in table["example"].to_pylist()]
    at = table.schema.get_field_index("example")
    pq.write_table(table.set_column(at, "example", [names]), path)
    browser.open(page.write(made.parent))
    assert browser.run("return document.images.length") == 1  # the one that is explained
    assert names[0][:20] in browser.run("return document.body.textContent")
    assert browser.errors() == []
