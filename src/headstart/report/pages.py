"""How every page is made: one self-contained file, from a template, written whole."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from headstart.core.said import stages
from headstart.report import words

_HERE = Path(__file__).parent
STYLE = _HERE / "style.css"


def write_page(template: str, context: Mapping[str, Any], page: Path) -> Path:
    """Fill a template in and let the page appear whole."""
    style = Markup(STYLE.read_text(encoding="utf-8"))
    html = _environment().get_template(template).render(context, style=style)
    page.parent.mkdir(parents=True, exist_ok=True)
    aside = page.with_name(f".{page.name}.part")
    aside.write_text(html, encoding="utf-8", errors="replace")
    return aside.replace(page)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"seconds": words.seconds, "percent": words.percent, "stages": stages}
    return environment
