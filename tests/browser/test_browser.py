"""That the browser of these tests sees what it is to see: errors, addresses, widths, dark, saved files."""

from pathlib import Path

import pytest

PAGE = """<!doctype html><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<style>body { background: #fff } @media (prefers-color-scheme: dark) { body { background: #000 } }</style>
<a id="save" download="names.txt" href="data:text/plain,one">save</a>"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "page.html"
    file.write_text(PAGE, encoding="utf-8")
    return file


def test_a_quiet_page(browser, page) -> None:
    browser.open(page)
    assert browser.errors() == []
    assert page.as_uri() in (seen := browser.requested())
    assert not [url for url in seen if url.startswith("http")]


def test_what_leaves_the_page_is_seen(browser, page) -> None:
    page.write_text(PAGE + "<img src='http://127.0.0.1:9/x.png'><script>null.x</script>", encoding="utf-8")
    browser.open(page)
    assert browser.foreign() == ["http://127.0.0.1:9/x.png"]
    assert any("null" in one for one in browser.errors())


def test_widths_schemes_and_saved_files(browser, page) -> None:
    browser.open(page)
    browser.size(390)
    assert browser.run("return innerWidth") == 390
    browser.scheme("dark")
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(0, 0, 0)"
    browser.run("document.getElementById('save').click()")
    assert browser.saved("names.txt") == "one"
