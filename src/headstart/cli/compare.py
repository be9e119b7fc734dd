"""`headstart compare`: a table of every strategy on every source, and the controls, on the same folds."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli import completion, options
from headstart.cli.output import ROLES, console, emit_text, plain, table, without
from headstart.cli.progress import showing, starting
from headstart.core.errors import UserError

if TYPE_CHECKING:
    from headstart.core.comparison import ComparisonRecord


def _count(option: str) -> Callable[[int | None], int | None]:
    def check(value: int | None) -> int | None:
        if value is not None and value < 1:
            raise UserError(f"{option} from 1 on", str(value), f"Give a whole number, such as {option} 3.")
        return value

    return check


Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--sources",
        "--source",
        metavar="S,..,none",
        help="Sources to compare; none stands for the controls.",
        autocompletion=completion.listed(lambda: [*completion.sources(), "none"]),
    ),
]
Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategies",
        "--strategy",
        metavar="P,..",
        help="Strategies to compare.",
        autocompletion=completion.listed(completion.strategies),
    ),
]
Seeds = Annotated[
    int, typer.Option("--seeds", metavar="N", help="Fold maps to repeat everything on.", callback=_count("--seeds"))
]
Epochs = Annotated[
    int | None,
    typer.Option("--epochs", metavar="N", help="Epochs tried at most by what trains.", callback=_count("--epochs")),
]
Out = Annotated[
    str | None,
    typer.Option("--out", metavar="FOLDER", help="Where it is kept; comparisons/<name of DATA> unless said."),
]


def compare(
    data: options.Data,
    target: options.Target = None,
    text: options.Text = None,
    kind: options.Kind = None,
    sources: Sources = None,
    origin: options.From = None,
    strategies: Strategies = None,
    seeds: Seeds = 3,
    epochs: Epochs = None,
    metric: options.Metric = None,
    group: options.Group = None,
    out: Out = None,
    seed: options.Seed = 0,
    licence: options.Licence = None,
    offline: options.Offline = False,
    trust: options.Trust = False,
    allow_missing: options.AllowMissing = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure every strategy on every source of DATA, as long as it takes; what was done before is not done again."""
    named, asked = options.sources(sources, origin, target), options.names(strategies)
    folder = Path(out) if out is not None else Path("comparisons", options.named(data))
    with showing(quiet) as shown:
        with starting(shown):
            from headstart import api  # it loads torch, which takes seconds

        record = api.compare(
            data,
            target=target,
            text=text,
            kind=options.kind(kind),
            sources=named,
            strategies=asked,
            seeds=seeds,
            epochs=epochs,
            metric=metric,
            group=group,
            out=folder,
            seed=seed,
            access=options.access(licence, offline, trust, allow_missing),
            progress=shown,
        )
    if json:
        emit_text(record.to_json())
    else:
        _show(record, folder)


def _show(record: "ComparisonRecord", folder: Path) -> None:
    shown, out = record.shown(), console()
    if out.is_terminal and out.width < ROLES:
        shown = without(shown, "stage", "seconds", f"{record.metric} [interval]")
        scores = [f"{c.score.value:.3f}" if c.score else "-" for c in record.cells]
        rows = tuple((a, b, score, *rest) for (a, b, *rest), score in zip(shown.rows, scores, strict=True))
        columns = (*shown.columns[:2], record.metric, *shown.columns[2:])
        shown = replace(shown, rows=rows, columns=columns, right=(record.metric, *shown.right))
    out.print(table(shown.columns, shown.rows, right=shown.right, cut=("source", "stage", "")))
    for line in shown.below:
        out.print(plain(line))
    out.print(f"report: {folder / 'report.html'}", soft_wrap=True)
