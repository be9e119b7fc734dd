"""`map.html`: a map of data on one self-contained page that needs no network; and the same as JSON beside it."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import jinja2
from markupsafe import Markup

_HERE = Path(__file__).parent
LARGEST = 12_000_000  # characters of thumbnails on a page
STEM = "map"
Small = bytes | str | Sequence[Sequence[float]]


class Explored(Protocol):
    """What the page needs of `headstart.exploring.result.Explored`."""

    def values(self) -> dict[str, Any]: ...
    def to_json(self) -> str: ...


def write(folder: Path, found: Explored, small: Callable[[str], Small] | None) -> Path:
    """Write `map.html` and `explored.json` into a folder.

    Args:
        folder: made where it is not there; earlier files of these names are replaced.
        found: what is shown.
        small: an example by its name, as it is seen among thousands; None shows no examples.

    Returns:
        The path of the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = found.values()
    html = _environment().get_template("map.html.j2").render(_context(values, small))
    for name, text in ((f"{STEM}.html", html), ("explored.json", found.to_json() + "\n")):
        aside = folder / f".{name}.part"
        aside.write_text(text, encoding="utf-8", errors="replace")
        aside.replace(folder / name)
    return folder / f"{STEM}.html"


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def _context(values: Mapping[str, Any], small: Callable[[str], Small] | None) -> dict[str, Any]:
    shown, left_out = ({}, 0) if small is None else thumbnails(values, small)
    return {
        "found": values,
        "title": Path(values["path"]).name or values["path"],
        "left_out": left_out,
        "hidden": small is None,
        "data": in_script({**values, "shown": shown}),
        "style": Markup((_HERE / "style.css").read_text(encoding="utf-8")),
        "own_style": Markup((_HERE / "map.css").read_text(encoding="utf-8")),
        "script": Markup((_HERE / "map.js").read_text(encoding="utf-8")),
    }


def in_script(value: Any) -> Markup:
    r"""JSON that may stand in a script element: nothing in it can end the element or begin a comment.

    >>> str(in_script({"name": "</script><!--"}))
    '{"name":"\\u003c/script\\u003e\\u003c!--"}'
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)


def thumbnails(
    values: Mapping[str, Any], small: Callable[[str], Small], largest: int = LARGEST
) -> tuple[dict[str, Any], int]:
    """Examples by name, what is listed on the page first, until there are too many; and how many were left out."""
    names = [point["name"] for point in values["points"]]
    shown: dict[str, Any] = {}
    spent = 0
    for name in dict.fromkeys([*_listed(values), *_spread(names)]):
        value = _address(small(name))
        spent += len(json.dumps(value))
        if spent > largest:
            break
        shown[name] = value
    return shown, len(set(names)) - len(shown)


def _listed(values: Mapping[str, Any]) -> list[str]:
    """Names in the lists beside the map."""
    found = [one["name"] for one in (*(values["suspects"] or ()), *values["outliers"])]
    found += [name for group in values["duplicates"] for name in group["names"]]
    return found + [name for one in values["clusters"]["found"] for name in one["typical"]]


def _spread(names: Sequence[str]) -> list[str]:
    """The names in an order of which every beginning is spread over all of them."""
    step = max(int(len(names) * 0.618), 1)
    while len(names) % step == 0 and step > 1:
        step -= 1
    order = dict.fromkeys(i * step % len(names) for i in range(len(names)))
    return [names[i] for i in [*order, *(i for i in range(len(names)) if i not in order)]]


def _address(small: Small) -> Any:
    """A picture as an address that needs no network; words and values as they are."""
    if isinstance(small, bytes):
        return f"data:image/jpeg;base64,{base64.b64encode(small).decode()}"
    return small if isinstance(small, str) else {"series": small}
