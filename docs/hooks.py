"""What the site's pages take from the code itself, so that it is never stale: the record's keys, the packaged sources.

mkdocs calls `on_page_markdown`; a line `<!-- NAME -->` in a page is replaced by the table of that name.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from headstart.core.record import schema
from headstart.sources.catalog import FORMS, packages

Row = tuple[str, ...]
ARGUMENT = re.compile(r"^    (\w+): ((?:.|\n        )*)", re.MULTILINE)  # of a docstring


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables in."""
    for name, made in TABLES.items():
        mark = f"<!-- {name} -->"
        if mark in markdown:
            markdown = markdown.replace(mark, made())
    return markdown


def record_keys() -> str:
    """The keys of `record.json` itself."""
    whole = schema()
    return _table(("key", "holds", "what it is"), _keys(whole, whole["$defs"]))


def record_parts() -> str:
    """The keys of every part that has a name, a heading each."""
    parts = schema()["$defs"]
    return "\n\n".join(
        f"### {name}\n\n{_said(part)}\n\n{_table(('key', 'holds', 'what it is'), _keys(part, parts))}"
        for name, part in parts.items()
    )


def packaged() -> str:
    """The sources that a package index has: licence, what they have learned from, where they come from."""
    rows = [
        (
            f"`{name}`", (row.licence.name or "not stated") + ("" if row.licence.commercial else ": `--licence any`"),
            _learned(row.trained_on.name, row.trained_on.n), f"`{row.package.wanted}`",
        )
        for name, row in packages().items()
    ]  # fmt: skip
    return _table(("source", "licence", "trained on", "package"), rows)


def vectors() -> str:
    """The tables of word vectors that a package index has."""
    rows = [(f"`{e.name}`", e.licence or "not stated", _learned(e.trained_on, e.n), e.note) for e in FORMS if e.n]
    return _table(("source", "licence", "trained on", "what it is"), rows)


def forms() -> str:
    """The names of sources that stand for many."""
    return _table(("name", "what it is"), [(f"`{e.name}`", e.note) for e in FORMS if e.form])


TABLES: Mapping[str, Callable[[], str]] = {
    "record-keys": record_keys,
    "record-parts": record_parts,
    "packaged-sources": packaged,
    "packaged-vectors": vectors,
    "source-names": forms,
}


def _learned(name: str, n: int | None) -> str:
    return f"{name} ({n:,})" if n else name


def _keys(part: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterable[Row]:
    told = dict(ARGUMENT.findall(part.get("description", "").partition("Args:\n")[2]))
    for key, value in part.get("properties", {}).items():
        what = value.get("description") or told.get(key) or next((_said(parts[name]) for name in _within(value)), "")
        yield f"`{key}`", _holds(value), " ".join(what.split()).replace("*", "\\*").replace("|", "&#124;")


def _holds(value: Mapping[str, Any]) -> str:
    """The type of a value in words, with links to the parts that have a name."""
    if (name := _named(value)) is not None:
        return f"[{name}](#{name.lower()})"
    if "const" in value:
        return f"always `{value['const']}`"
    if "enum" in value:
        return " or ".join(f"`{one}`" for one in value["enum"])
    if either := value.get("anyOf") or value.get("oneOf"):
        return " or ".join(dict.fromkeys(_holds(one) for one in either))
    return _OF_TYPE[value["type"]](value)


def _list(value: Mapping[str, Any]) -> str:
    return f"list of {_holds(value['items'])}" if "items" in value else "list"


def _object(value: Mapping[str, Any]) -> str:
    inner = value.get("additionalProperties")
    return f"{_holds(inner)} by name" if isinstance(inner, Mapping) and inner else "object"


_OF_TYPE: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "array": _list,
    "object": _object,
    "string": lambda _: "text",
    "number": lambda _: "number",
    "integer": lambda _: "whole number",
    "boolean": lambda _: "true or false",
    "null": lambda _: "null",
}


def _named(value: Mapping[str, Any]) -> str | None:
    return value["$ref"].rpartition("/")[2] if "$ref" in value else None


def _within(value: Mapping[str, Any]) -> Iterable[str]:
    """The parts with a name that a value is, or holds."""
    if (name := _named(value)) is not None:
        yield name
    for one in (*value.get("anyOf", ()), *([value["items"]] if "items" in value else ())):
        yield from _within(one)


def _said(part: Mapping[str, Any]) -> str:
    """The first paragraph of a description, on one line."""
    return " ".join(part.get("description", "").partition("\n\n")[0].split())


def _table(columns: Row, rows: Iterable[Row]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
