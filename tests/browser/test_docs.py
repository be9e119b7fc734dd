"""The pages of the site in a browser: nothing from elsewhere, no scrolling sideways, readable in light and dark."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
LEAST = 4.5  # contrast of text, WCAG 2 AA
CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgb = colour => { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return canvas.getImageData(0, 0, 1, 1).data; };
const light = c => [0, 1, 2].map(i => c[i] / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
  if (c !== 'rgba(0, 0, 0, 0)') return c; } };
const ratio = e => {
  const [a, b] = [getComputedStyle(e).color, behind(e)].map(c => light(rgb(c))).sort((x, y) => y - x);
  return (a + .05) / (b + .05); };
const spoken = [...document.body.querySelectorAll('*')].filter(e => !e.matches('.headerlink') &&
  [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()));
return spoken.map(e => [ratio(e), e.tagName + ' ' + e.textContent.trim().slice(0, 40)]).sort((a, b) => a[0] - b[0])[0];
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="mkdocs, which builds the site, is not installed")
    place = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--config-file", str(ROOT / "mkdocs.yml")]
    subprocess.run([*build, "--site-dir", str(place)], check=True)
    return place


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_whole_on_a_phone_and_in_the_dark(browser, site, name) -> None:
    for width, scheme in ((390, "dark"), (1280, "light")):
        browser.size(width)
        browser.scheme(scheme)
        browser.open(site / f"{name}.html")
        assert [one for one in browser.errors() if "favicon" not in one] == []
        assert browser.foreign() == []
        assert browser.run("return document.documentElement.scrollWidth") == width
        least, where = browser.run(CONTRAST)
        assert least >= LEAST, where
    assert browser.run("return document.querySelectorAll('h1').length") == 1
    assert browser.run("return document.querySelectorAll('nav [aria-current]').length") == 1
