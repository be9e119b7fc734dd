"""The README and the site say what is there: commands, flags, names and paths exist, and the site builds strictly."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer.main

import headstart
from headstart.cli.main import app
from headstart.core.record import schema
from headstart.sources.catalog import FORMS, packages
from headstart.strategies.catalog import CONTROLS, STRATEGIES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
THEIRS = "py"  # code for other tools, which nobody runs; ours is `python`, and tests/integration/test_docs.py runs it
LANGUAGES = {"sh", "python", "toml", THEIRS}


def blocks(page: Path, language: str) -> list[str]:
    return [code for found, code in FENCE.findall(page.read_text()) if found == language]


def spans(page: Path) -> list[str]:
    """Code within sentences and tables, on one line each."""
    return [" ".join(one.split()) for one in re.findall(r"`([^`]+)`", FENCE.sub("", page.read_text()))]


def commands(page: Path) -> list[list[str]]:
    """The lines of shell, word by word."""
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def spoken(page: Path) -> list[str]:
    """The commands and flags within sentences."""
    return [span for span in spans(page) if re.match(r"headstart |make |--\w", span)]


def of_pages(found: Callable[[Path], Sequence[Any]]) -> list[Any]:
    """A case for each that is found, called as it stands on its page."""
    cases = {
        f"{page.stem}: {one if isinstance(one, str) else ' '.join(one)}": one for page in PAGES for one in found(page)
    }
    return [pytest.param(one, id=name) for name, one in cases.items()]


def command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that these words name, and what stands behind its name."""
    found: Any = typer.main.get_command(app)
    rest = words[1:]
    while subs := getattr(found, "commands", None):
        assert rest, f"{' '.join(words)} is no whole command"
        assert rest[0] in subs, f"no command {rest[0]}: {', '.join(subs)}"
        found, rest = subs[rest[0]], rest[1:]
    return found, rest


def options(found: Any) -> set[str]:
    """The options of a command, or of all below it."""
    subs = getattr(found, "commands", {}).values()
    return {name for one in found.params for name in one.opts}.union(*map(options, subs))


def is_target(name: str) -> bool:
    return re.search(rf"^{re.escape(name)}:", (ROOT / "Makefile").read_text(), re.MULTILINE) is not None


def is_extra(wanted: str) -> bool:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return re.fullmatch(r"\.\[(\w+)\]", wanted) is not None and wanted[2:-1] in extras


# --- commands


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_is_of_a_known_language(page: Path) -> None:
    assert {language for language, _ in FENCE.findall(page.read_text())} <= LANGUAGES
    assert page.read_text().count("```") == 2 * len(FENCE.findall(page.read_text()))


@pytest.mark.parametrize("words", of_pages(commands))
def test_a_command_is_one(words: list[str]) -> None:
    if words[0] == "make":
        assert is_target(words[1])
    elif words[:2] == ["pip", "install"]:
        assert is_extra(words[2])
    else:
        assert words[0] == "headstart"
        found, rest = command(words)
        found.make_context(found.name, list(rest))  # raises when an option or an argument is not as the page says


@pytest.mark.parametrize("span", of_pages(spoken))
def test_a_command_or_flag_in_a_sentence_is_one(span: str) -> None:
    words = shlex.split(span)
    if words[0] == "make":
        assert is_target(words[1])
        return
    found = typer.main.get_command(app) if span.startswith("--") else command(words)[0]
    used = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert used <= options(found)


def test_a_typo_would_be_seen() -> None:
    with pytest.raises(AssertionError):
        test_a_command_or_flag_in_a_sentence_is_one("--licnce any")
    with pytest.raises(AssertionError):
        test_a_command_or_flag_in_a_sentence_is_one("headstart advise --out x")
    with pytest.raises(typer.BadParameter.__mro__[1]):
        test_a_command_is_one(shlex.split("headstart fit photos/ --minuts 10"))
    with pytest.raises(AssertionError):
        test_a_command_is_one(shlex.split("headstart sources lst"))


# --- Python


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_names_exist(page: Path) -> None:
    used = set(re.findall(r"\bhs\.(\w+)", page.read_text()))
    assert not [name for name in used if name not in dir(headstart)]
    from headstart.api import Result

    results = set(re.findall(r"\bresult\.(\w+)", page.read_text()))
    assert results <= set(dir(Result)) | set(Result.__dataclass_fields__)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_for_other_tools_is_python(page: Path) -> None:
    for code in blocks(page, THEIRS):
        compile(code, str(page), "exec")
        assert not re.search(r"\bheadstart\b|\bhs\.", code), "ours is run: call it python"


# --- concepts


def test_every_path_of_the_concepts_exists() -> None:
    paths = [span for span in spans(DOCS / "concepts.md") if span.endswith((".py", ".json", "/"))]
    assert len(paths) > 80
    source = ROOT / "src" / "headstart"
    assert not [path for path in paths if not ((source / path).exists() or (ROOT / path).exists())]


def test_every_strategy_and_control_has_its_line() -> None:
    said = set(spans(DOCS / "concepts.md"))
    assert {*STRATEGIES.builtin, *CONTROLS.builtin} <= said
    files = (ROOT / "src" / "headstart" / "strategies").rglob("*.py")
    wanted = {str(path.relative_to(ROOT / "src" / "headstart")) for path in files}
    inside = {path for path in wanted if path.count("/") == 2 and not path.endswith("__init__.py")}
    assert "strategies/inductive/lora.py" in inside
    assert inside <= said


# --- the site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="mkdocs, which builds the site, is not installed")
    place = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(ROOT / "mkdocs.yml")]
    done = subprocess.run([*build, "--site-dir", str(place)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return place


def test_the_site_has_every_page_and_nothing_from_elsewhere(site: Path) -> None:
    pages = {page.stem for page in site.glob("*.html")}
    assert pages == {page.stem for page in DOCS.glob("*.md")}
    for page in site.glob("*.html"):
        text = page.read_text()
        assert "<script" not in text
        assert not re.search(r'(src|href)="(https?:)?//', text), page.name
        assert "<!-- " not in text, f"{page.name}: a table that is not known"
    assert "http" not in (site / "style.css").read_text()
    assert not (site / "hooks.py").exists()


def test_the_record_page_has_every_key_and_part(site: Path) -> None:
    whole, text = schema(), (site / "record.html").read_text()
    assert not [key for key in whole["properties"] if f"<td><code>{key}</code></td>" not in text]
    for name, part in whole["$defs"].items():
        assert f'id="{name.lower()}"' in text
        assert not [key for key in part.get("properties", {}) if f"<td><code>{key}</code></td>" not in text]
    keys = text.partition('id="its-parts"')[0]
    assert not re.findall(r"<code>(\w+)</code></td>\s*<td>[^\n]*</td>\s*<td></td>", keys), "keys that nobody explains"


def test_the_licences_page_has_every_source(site: Path) -> None:
    text = (site / "limits.html").read_text()
    for name, row in packages().items():
        assert f"<td><code>{name}</code></td>\n<td>{row.licence.name or 'not stated'}" in text
        assert row.package.wanted in text
    assert not [one.name for one in FORMS if f"<code>{one.name}</code>" not in text]


def test_a_broken_link_or_a_page_without_a_place_fails(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs, which builds the site, is not installed")
    settings = (ROOT / "mkdocs.yml").read_text()
    for bad in ("[gone](gone.md)", "[gone](index.md#gone)"):
        said = _built(tmp_path / str(len(bad)), settings, {"index.md": bad})
        assert "gone" in said
    assert "extra.md" in _built(tmp_path / "extra", settings, {"index.md": "hello", "extra.md": "alone"})


def _built(place: Path, settings: str, pages: dict[str, str]) -> str:
    """What a strict build with the site's own settings complains of."""
    (place / "docs").mkdir(parents=True)
    for name, text in pages.items():
        (place / "docs" / name).write_text(text)
    kept = settings.replace("docs/theme", str(DOCS / "theme")).replace("hooks: [docs/hooks.py]", "")
    (place / "mkdocs.yml").write_text(kept.partition("nav:\n  -")[0] + "nav:\n  - Start: index.md\n")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(place / "mkdocs.yml")]
    done = subprocess.run([*build, "--site-dir", str(place / "site")], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return done.stderr
