"""The page: three files that know nothing of the run and ask the server for it, so that a token guards all there is."""

from pathlib import Path

from headstart.report.pages import STYLE

_HERE = Path(__file__).parent


def files() -> dict[str, tuple[bytes, str]]:
    """Route -> content and its type."""
    style = STYLE.read_bytes() + (_HERE / "page.css").read_bytes()
    return {
        "/": ((_HERE / "page.html").read_bytes(), "text/html; charset=utf-8"),
        "/page.css": (style, "text/css; charset=utf-8"),
        "/page.js": ((_HERE / "page.js").read_bytes(), "text/javascript; charset=utf-8"),
    }
