"""The page of a served run: drop, paste or type, see the answer; whatever it says is text."""

import base64
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from headstart.core.exhibits import Exhibit
from headstart.evaluation.familiarity import Neighbour
from headstart.saved import Prediction
from headstart.serve import guard


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


MADE, SERVED = _load("made_run"), _load("served")
HOSTILE = MADE.CLASSES[1]
DROP = """
const [name, coded] = arguments, bytes = Uint8Array.from(atob(coded), (one) => one.charCodeAt(0));
const carried = new DataTransfer();
carried.items.add(new File([bytes], name, { type: "image/png" }));
const over = new DragEvent("dragover", { dataTransfer: carried, bubbles: true, cancelable: true });
document.getElementById("drop").dispatchEvent(over);
const letGo = new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true });
document.getElementById("drop").dispatchEvent(letGo);
return over.defaultPrevented;
"""  # what a hand with a file does; a browser without one cannot
ANSWERED = "return document.querySelectorAll('#answers > li:not(.waiting)').length"
TEXT = "return document.querySelector('#answers > li').innerText"


def hostile(given: list[Any]) -> list[Prediction]:
    """The class whose name would be a script."""
    shares = dict(zip(MADE.CLASSES, (0.2, 0.7, 0.05, 0.05), strict=True))
    return [Prediction(str(one), HOSTILE, 0.7, shares) for one in given]


def open_page(browser: Any, url: str) -> None:
    browser.driver.get("about:blank")
    for kind in ("browser", "performance"):
        browser.driver.get_log(kind)
    browser.driver.get(url)
    browser.until(
        lambda: browser.run("return !document.getElementById('room').hidden || !document.getElementById('door').hidden")
    )


def drop(browser: Any, name: str, body: bytes) -> None:
    assert browser.run(DROP, name, base64.b64encode(body).decode())


@pytest.fixture(scope="module")
def clients() -> Iterator[dict[str, Any]]:
    with ExitStack() as stack:
        record = MADE.record()
        made = {kind: SERVED.made(record, kind, hostile) for kind in ("image", "text", "series", "table")}
        yield {kind: stack.enter_context(SERVED.serving(one)) for kind, one in made.items()}


def test_a_dropped_photo_gets_its_label(browser: Any, clients: dict[str, Any]) -> None:
    url = clients["image"].url
    for width in (390, 1280):
        browser.size(width)
        for scheme in ("light", "dark"):
            browser.scheme(scheme)
            open_page(browser, url)
            drop(browser, "<img src=x onerror=alert(1)>.png", SERVED.png(64))
            browser.until(lambda: browser.run(ANSWERED) == 1)
            said = browser.run(TEXT)
            assert HOSTILE in said
            assert "70.0 %" in said
            assert "20.0 %" in said
            assert "<img src=x onerror=alert(1)>.png" in said
            assert browser.run("return document.querySelector('.look img').naturalWidth") == 64
            assert browser.run("return document.documentElement.scrollWidth") == width
            assert browser.errors() == []
            assert [one for one in browser.requested() if not one.startswith((url, "blob:", "data:", "about:"))] == []
    assert browser.run("return document.scripts.length") == 1
    assert browser.run("return document.querySelectorAll('.share').length") == 4
    controls = "[...document.querySelectorAll('input, textarea, button')]"
    named = "e.labels?.length || e.innerText || e.ariaLabel || e.closest('label')"
    unnamed = f"return {controls}.filter(e => !({named})).length"
    assert browser.run(unnamed) == 0


def test_what_cannot_be_read_is_said_beside_its_name(browser: Any, clients: dict[str, Any]) -> None:
    open_page(browser, clients["image"].url)
    drop(browser, "notes.pdf", b"%PDF-1.7")
    browser.until(lambda: browser.run(ANSWERED) == 1)
    assert "not a picture (JPEG, PNG" in browser.run(TEXT)
    drop(browser, "huge.png", b"\x89PNG" + b"\0" * 600_000)
    browser.until(lambda: browser.run(ANSWERED) == 2)
    assert "0.5 MB" in browser.run(TEXT)
    browser.run("document.getElementById('clear').click()")
    assert browser.run("return document.getElementById('answers').children.length") == 0


def test_a_text_is_pasted_and_stays_text(browser: Any, clients: dict[str, Any]) -> None:
    open_page(browser, clients["text"].url)
    browser.driver.find_element("id", "words").send_keys("<b>bold</b> words")
    browser.run("document.querySelector('#write button').click()")
    browser.until(lambda: browser.run(ANSWERED) == 1)
    assert "<b>bold</b> words" in browser.run(TEXT)
    assert HOSTILE in browser.run(TEXT)
    assert browser.run("return document.querySelectorAll('#answers q *, #answers script').length") == 0
    assert browser.errors() == []


def test_a_series_is_drawn(browser: Any, clients: dict[str, Any]) -> None:
    open_page(browser, clients["series"].url)
    drop(browser, "some.csv", b"1,2,3,4,5,6,7,8,9\n" * 3)
    browser.until(lambda: browser.run(ANSWERED) == 3)  # each series of the file
    names = "return [...document.querySelectorAll('.look small')].map(e => e.textContent)"
    assert browser.run(names) == ["some.csv:1", "some.csv:2", "some.csv:3"]
    assert browser.run("return document.getElementById('count').textContent") == "3 answered"
    browser.driver.find_element("id", "words").send_keys("1, 2, ?, 4\n5, 6, 7, 8")
    browser.run("document.querySelector('#write button').click()")
    browser.until(lambda: browser.run(ANSWERED) == 4)
    assert browser.run("return document.querySelectorAll('.look path').length") == 5
    assert browser.errors() == []


def test_what_is_unlike_is_warned_of_and_the_nearest_are_shown(browser: Any) -> None:
    near = (Neighbour("a/1.png", HOSTILE, 0.9), Neighbour("a/2.png", "crack", 0.8))
    shown = {"a/1.png": Exhibit(picture=f"data:image/png;base64,{base64.b64encode(SERVED.png(16)).decode()}")}
    service = SERVED.made(
        MADE.record(), answer=lambda given: [replace(one, unlike=True, nearest=near) for one in hostile(given)]
    )
    with SERVED.serving(replace(service, exhibit=shown.get)) as client:
        open_page(browser, client.url)
        drop(browser, "odd.png", SERVED.png())
        browser.until(lambda: browser.run(ANSWERED) == 1)
        assert "Unlike anything it was trained on" in browser.run(TEXT)
        assert browser.run("return [...document.querySelectorAll('.near b')].map(e => e.textContent)") == [
            HOSTILE,
            "crack",
        ]
        browser.until(lambda: browser.run("return document.querySelector('.near img').naturalWidth") == 16)
        assert browser.errors() == []


def test_a_row_is_typed(browser: Any, clients: dict[str, Any]) -> None:
    open_page(browser, clients["table"].url)
    browser.driver.find_element("name", "age").send_keys("31")
    browser.run("document.querySelector('#row button').click()")
    browser.until(lambda: browser.run(ANSWERED) == 1)
    assert "age" in browser.run(TEXT)
    assert "31" in browser.run(TEXT)
    assert browser.errors() == []


def test_a_table_is_dropped_and_each_row_has_its_card(browser: Any, clients: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("age,name\n31,a\n40,b\n")
    open_page(browser, clients["table"].url)
    browser.driver.find_element("id", "files").send_keys(str(tmp_path / "people.csv"))
    browser.until(lambda: browser.run(ANSWERED) == 2)
    cards = browser.run("return [...document.querySelectorAll('#answers .look')].map((one) => one.innerText)")
    assert cards == ["age\n31\npeople.csv:1", "age\n40\npeople.csv:2"]
    assert browser.errors() == []


def test_a_number_says_how_far_it_may_be_off(browser: Any) -> None:
    record = MADE.record()
    task = record.tasks[0].model_copy(update={"kind": "regression", "name": "weight", "classes": ()})
    service = SERVED.made(
        record.model_copy(update={"tasks": (task,)}), "text",
        lambda given: [Prediction(one, "12.5", None, {}, value=12.5, off=1.25) for one in given],
    )  # fmt: skip
    with SERVED.serving(service) as client:
        open_page(browser, client.url)
        assert browser.run("return document.querySelector('#title').innerText") == "weight: how much?"
        browser.driver.find_element("id", "words").send_keys("words")
        browser.run("document.querySelector('#write button').click()")
        browser.until(lambda: browser.run(ANSWERED) == 1)
        assert "12.5" in browser.run(TEXT)
        assert "± 1.25" in browser.run(TEXT)


def test_the_page_asks_for_the_token_and_keeps_it_to_itself(browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(guard.TOKEN, "0123456789abcdef")
    with SERVED.serving(SERVED.made(MADE.record(), "text", hostile)) as client:
        open_page(browser, client.url)
        assert browser.run("return document.getElementById('room').hidden")
        for tried, let_in in (("wrong", False), ("0123456789abcdef", True)):
            browser.driver.find_element("id", "token").send_keys(tried)
            browser.run("document.querySelector('#key button').click()")
            browser.until(
                lambda let_in=let_in: browser.run(
                    "return !document.getElementById('room').hidden || !document.getElementById('wrong').hidden"
                )
            )
            browser.until(lambda let_in=let_in: browser.run("return !document.getElementById('room').hidden") is let_in)
        browser.driver.find_element("id", "words").send_keys("words")
        browser.run("document.querySelector('#write button').click()")
        browser.until(lambda: browser.run(ANSWERED) == 1)
        assert HOSTILE in browser.run(TEXT)
        assert (
            browser.run("return JSON.stringify([localStorage.length, sessionStorage.length, document.cookie])")
            == '[0,0,""]'
        )
        assert "0123456789abcdef" not in browser.run("return document.documentElement.outerHTML + location.href")


def test_a_server_that_has_gone_is_said(browser: Any) -> None:
    with SERVED.serving(SERVED.made(MADE.record())) as client:
        open_page(browser, client.url)
    drop(browser, "late.png", SERVED.png())
    browser.until(lambda: browser.run(ANSWERED) == 1)
    assert "is it still running?" in browser.run(TEXT)
