"""`headstart plan`: what a strategy does, phase by phase, and what sets two apart."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli import completion, options
from headstart.cli.output import console, emit, plain, table
from headstart.cli.progress import progress

if TYPE_CHECKING:
    from headstart.core.plan import Plan
    from headstart.sources.source import Source
    from headstart.training.explain import PhaseView

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A strategy or a control, such as lp-ft or scratch.",
        autocompletion=completion.one(completion.strategies),
    ),
]
Of = Annotated[
    str | None, typer.Option("--source", metavar="S", help="Resolve every rule for the parts of this source.")
]


def show(
    name: Name,
    source: Of = None,
    licence: options.Licence = None,
    offline: options.Offline = False,
    trust: options.Trust = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show a plan: its phases, and what learns in them how fast; with --source for every stage of that net."""
    from headstart.strategies.catalog import plan
    from headstart.training.explain import explain

    one = plan(name)
    views = explain(one, _loaded(source, options.access(licence, offline, trust), quiet))
    if json:
        phases = [{"phase": view.kind, **view.facts, **_rules(view)} for view in views]
        emit({"name": one.name, "start": one.start, "hidden": one.hidden, "source": source, "phases": phases})
        return
    _print(one, views)


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="A strategy or a control.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    source: Of = None,
    licence: options.Licence = None,
    offline: options.Offline = False,
    trust: options.Trust = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what differs between two plans, A -> B; with --source for every stage of that net."""
    from headstart.strategies.catalog import plan
    from headstart.training.explain import differences

    plans = plan(first), plan(second)
    lines = differences(*plans, _loaded(source, options.access(licence, offline, trust), quiet))
    if json:
        emit({"first": plans[0].name, "second": plans[1].name, "source": source, "differences": lines})
        return
    out = console()
    for line in lines or (f"{first} and {second} do the same",):
        out.print(plain(line))


def _loaded(name: str | None, access: Any, quiet: bool) -> "Source | None":
    from headstart.sources.load import load

    return None if name is None else load(name, access, progress(quiet))


def _rules(view: "PhaseView") -> dict[str, Any]:
    if not view.rules:
        return {}
    rules = [{"where": where, "rate": rate} for where, rate in view.rules]
    return {"rules": rules, "parts": [asdict(part) for part in view.parts]}


def _print(one: "Plan", views: "tuple[PhaseView, ...]") -> None:
    from headstart.training.explain import rate_said, said, summary

    out = console()
    out.print(f"{one.name}, from {'the weights of the source' if one.start == 'weights' else 'random weights'}")
    if one.hidden:
        out.print(f"hidden layers of the head: {said(one.hidden)}")
    for at, view in enumerate(views, 1):
        out.print(f"\n{at}. {view.kind}: {summary(view)}")
        if view.parts:
            rows = [
                (p.group, rate_said(p.rate), p.norm, f"{p.parameters:,}", f"{p.parameters if p.rate else 0:,}")
                for p in view.parts
            ]
            rows.append(("in all", "", "", f"{sum(p.parameters for p in view.parts):,}", f"{view.trains:,}"))
            columns = ("part", "rate", "norm", "parameters", "learn")
            out.print(table(columns, rows, right=("parameters", "learn")))
        elif view.rules:
            out.print(table(("rule", "rate"), [(where, rate_said(rate)) for where, rate in view.rules]))
