"""The map in a browser: what is hovered is seen, what is selected is exported, names stay text, nothing is fetched."""

import csv
import io
from pathlib import Path

import pytest
from PIL import Image

from headstart.exploring.result import Accused, Alike, Apart, Cluster, Clusters, Explored, Point
from headstart.report.map import write

SCRIPT = "<script>alert(1)</script>"
QUOTED = """it's "one", </script><img src=x onerror=alert(2)>.png"""
FORMULA = "=HYPERLINK(1).png"


def explored(names: list[str], label: str = SCRIPT) -> Explored:
    """Points on a grid, half of them labelled with markup."""
    points = tuple(
        Point(name, label if i % 2 else "b", "train", -1 + 2 * (i % 7) / 6, -1 + 2 * (i // 7) / 6, i % 2, 0.1 * i)
        for i, name in enumerate(names)
    )
    half = Cluster(0, len(names) // 2, tuple(names[:2]), {label: 2, "b": 1})
    return Explored(
        path=f"/data/{SCRIPT}", kind="image", source="wheel:x", stage="last", way="pca", points=points,
        clusters=Clusters((half,), f"2 clusters of {SCRIPT}", True, (), 0.5, 0.5),
        outliers=(Apart(names[3], 0.9),), duplicates=(Alike((names[1], names[2]), True, True),),
        suspects=(Accused(names[0], "b", label, 0.9),), skipped=((QUOTED, SCRIPT),), warnings=(SCRIPT,),
        seed=0, seconds=1.0,
    )  # fmt: skip


@pytest.fixture
def names() -> list[str]:
    return [QUOTED, FORMULA, *(f"photo {i}.png" for i in range(40))]


@pytest.fixture
def page(tmp_path: Path, names: list[str]) -> Path:
    def small(name: str) -> bytes:
        out = io.BytesIO()
        Image.new("RGB", (64, 64), (255, 0, 0) if name == QUOTED else (0, 0, 255)).save(out, "JPEG")
        return out.getvalue()

    return write(tmp_path, explored(names), small)


def mouse(browser, kind: str, x: float, y: float, button: str = "left") -> None:
    event = {"type": kind, "x": x, "y": y, "button": button, "clickCount": 1, "buttons": int(kind != "mouseReleased")}
    browser.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def on_screen(browser, name: str) -> tuple[float, float]:
    """Where an example is, in the window."""
    browser.run("document.getElementById('map').scrollIntoView()")
    script = """const box = document.getElementById('map').getBoundingClientRect();
    const at = headstartMap.where(arguments[0]);
    return [box.left + at[0], box.top + at[1]];"""
    return tuple(browser.run(script, name))


def text(browser, element: str) -> str:
    return browser.run("return document.getElementById(arguments[0]).innerText", element)


def test_what_is_hovered_is_seen(browser, page) -> None:
    browser.open(page)
    assert browser.run("return document.getElementById('card').hidden")
    x, y = on_screen(browser, QUOTED)
    mouse(browser, "mouseMoved", x, y)
    browser.until(lambda: QUOTED in text(browser, "card"))
    assert f"rather {SCRIPT}?" in text(browser, "card")
    red = """const face = document.querySelector('#card img'), pen = document.createElement('canvas').getContext('2d');
    pen.drawImage(face, 0, 0); return face.complete && [...pen.getImageData(20, 20, 1, 1).data];"""
    browser.until(lambda: bool(browser.run(red)))
    assert browser.run(red)[0] > 200 > 60 > browser.run(red)[2]
    assert browser.errors() == []
    assert browser.foreign() == []


def test_names_and_labels_stay_text(browser, page) -> None:
    browser.open(page)
    assert browser.run("return document.querySelectorAll('script').length") == 2
    assert browser.run("return document.querySelectorAll('img[src=x]').length") == 0
    assert SCRIPT in text(browser, "legend")
    assert QUOTED in text(browser, "lists")
    assert SCRIPT in browser.run("return document.title + document.querySelector('h1').innerText")
    assert browser.errors() == []


def test_a_rectangle_selects_what_is_saved(browser, page, names) -> None:
    browser.open(page)
    browser.run("document.querySelector('[data-tool=rectangle]').click()")
    (left, bottom), (right, top) = on_screen(browser, names[0]), on_screen(browser, names[9])  # first 3 of two rows
    mouse(browser, "mousePressed", left - 8, bottom + 8)
    mouse(browser, "mouseMoved", right + 8, top - 8)
    mouse(browser, "mouseReleased", right + 8, top - 8)
    expected = [names[i] for i in (0, 1, 2, 7, 8, 9)]
    browser.until(lambda: text(browser, "selected") == "6")
    browser.run("document.getElementById('txt').click()")
    assert browser.saved("names.txt").splitlines() == expected
    browser.run("document.getElementById('csv').click()")
    rows = list(csv.DictReader(io.StringIO(browser.saved("selection.csv"))))
    assert [row["name"] for row in rows] == [QUOTED, f"'{FORMULA}", *expected[2:]]
    assert rows[0]["suspected_label"] == SCRIPT
    assert browser.errors() == []


def test_a_lasso_takes_what_it_goes_around(browser, page, names) -> None:
    browser.open(page)
    browser.run("document.querySelector('[data-tool=lasso]').click()")
    x, y = on_screen(browser, names[8])
    mouse(browser, "mousePressed", x - 10, y - 10)
    for dx, dy in ((10, -10), (10, 10), (-10, 10)):
        mouse(browser, "mouseMoved", x + dx, y + dy)
    mouse(browser, "mouseReleased", x - 10, y + 10)
    browser.until(lambda: text(browser, "selected") == "1")
    assert names[8] in text(browser, "chosen")


def test_the_keyboard_reaches_everything(browser, page, names) -> None:
    browser.open(page)
    browser.run("document.getElementById('map').focus()")
    keys = browser.driver.switch_to.active_element.send_keys
    before = browser.run("return headstartMap.where(arguments[0])", names[5])
    keys("+")
    after = browser.run("return headstartMap.where(arguments[0])", names[5])
    assert before != after
    keys("0")
    assert browser.run("return headstartMap.where(arguments[0])", names[5]) == before
    keys("n")
    assert not browser.run("return document.getElementById('card').hidden")
    keys("\ue007")  # Enter
    assert text(browser, "selected") == "1"
    keys("\ue00c")  # Esc
    assert browser.run("return document.getElementById('card').hidden")


def test_a_filter_takes_the_others_out_of_reach(browser, page, names) -> None:
    browser.open(page)
    script = "const f = document.getElementById('find'); f.value = arguments[0]; f.dispatchEvent(new Event('input'));"
    browser.run(script, "photo 1")
    assert text(browser, "count") == "11 of 42 shown"
    mouse(browser, "mouseMoved", *on_screen(browser, QUOTED))
    assert browser.run("return document.getElementById('card').hidden")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(browser, page, scheme: str) -> None:
    browser.size(390, 800)
    browser.scheme(scheme)
    browser.open(page)
    assert browser.run("return document.documentElement.scrollWidth") == 390
    assert browser.errors() == []


def test_without_thumbnails_nothing_of_the_examples_is_there(tmp_path: Path, names: list[str]) -> None:
    html = write(tmp_path, explored(names), None).read_text(encoding="utf-8")
    assert ";base64," not in html
    assert '"shown":{}' in html
    assert "This page shows names and no examples" in html


def test_words_and_series_are_shown_too(browser, tmp_path: Path, names: list[str]) -> None:
    shown = {names[0]: f"words {SCRIPT}", names[1]: [[0.0, 1.0, 0.5], [2.0, 1.0, 2.0]]}
    browser.open(write(tmp_path, explored(names), lambda name: shown.get(name, "other")))
    mouse(browser, "mouseMoved", *on_screen(browser, names[0]))
    browser.until(lambda: f"words {SCRIPT}" in text(browser, "card"))
    mouse(browser, "mouseMoved", *on_screen(browser, names[1]))
    browser.until(lambda: browser.run("return document.querySelectorAll('#card polyline').length") == 2)
    assert browser.errors() == []


@pytest.mark.slow
def test_five_thousand_points_are_there_in_ten_seconds(browser, tmp_path: Path) -> None:
    import time

    page = write(tmp_path, explored([f"{i}.png" for i in range(5000)]), lambda name: "x" * 200)
    started = time.monotonic()
    browser.open(page)
    browser.until(lambda: bool(browser.run("return window.headstartMap && headstartMap.ready")))
    assert time.monotonic() - started < 10
