"""`headstart fit`: from data to a saved model with a verdict."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from headstart.cli import completion, options
from headstart.cli.output import ROLES, console, emit_text, plain, table
from headstart.cli.progress import showing, starting

if TYPE_CHECKING:
    from headstart.core.record import Record

DELIVER = ("auto", "transfer", "control")
Deliver = Annotated[
    str,
    typer.Option(
        "--deliver",
        metavar="auto|transfer|control",
        callback=options.one_of("--deliver", *DELIVER),
        autocompletion=completion.one(lambda: DELIVER),
        help="Which model to keep.",
    ),
]
Out = Annotated[
    str | None, typer.Option("--out", metavar="RUN", help="Where the run is kept; runs/<name of DATA> unless said.")
]
Replay = Annotated[
    str | None, typer.Option("--replay", metavar="work.json", help="Do the work that another run was given.")
]

COLOURS = {"helped": "green", "hurt": "red", "undecided": "yellow"}

SelfTest = Annotated[
    bool, typer.Option("--self-test", help="Count how often a gain is claimed on this data where there is none.")
]
Track = Annotated[
    str | None,
    typer.Option(
        "--track",
        metavar="T",
        help="Also tell tensorboard, wandb, mlflow or trackio as the run goes on.",
        autocompletion=completion.one(lambda: completion.TRACKERS),
    ),
]


def fit(
    data: options.Data,
    target: options.Target = None,
    text: options.Text = None,
    kind: options.Kind = None,
    source: options.Sources = None,
    origin: options.From = None,
    strategy: options.Strategies = None,
    stage: options.Stage = None,
    minutes: options.Minutes = 10,
    metric: options.Metric = None,
    test: options.Test = None,
    group: options.Group = None,
    deliver: Deliver = "auto",
    out: Out = None,
    seed: options.Seed = 0,
    replay: Replay = None,
    licence: options.Licence = None,
    offline: options.Offline = False,
    trust: options.Trust = False,
    allow_missing: options.AllowMissing = None,
    no_thumbnails: options.NoThumbnails = False,
    self_test: SelfTest = False,
    track: Track = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Learn from DATA, with transfer where it helps, and keep the model, the record and the report."""
    sources, strategies = options.sources(source, origin, target), options.names(strategy)
    kept = cast("Literal['auto', 'transfer', 'control']", deliver)  # its option lets nothing else through
    with showing(quiet) as shown:
        with starting(shown):
            from headstart import api  # it loads torch, which takes seconds

        result = api.fit(
            data,
            target=target,
            text=text,
            kind=options.kind(kind),
            sources=sources,
            strategies=strategies,
            stage=stage,
            minutes=minutes,
            metric=metric,
            test=test,
            group=group,
            deliver=kept,
            out=Path(out) if out is not None else default_out(data),
            seed=seed,
            replay=replay,
            access=options.access(licence, offline, trust, allow_missing),
            thumbnails=not no_thumbnails,
            self_test=self_test,
            track=track,
            progress=shown,
        )
    if json:
        emit_text(result.record.to_json())
    else:
        _show(result.record, result.run)


def default_out(data: str) -> Path:
    """`runs/<name of the data>`, or the first of `-2`, `-3`, ... that holds no finished run."""
    name = options.named(data)
    number, out = 1, Path("runs", name)
    while (out / "record.json").exists():
        number += 1
        out = Path("runs", f"{name}-{number}")
    return out


def _show(record: "Record", run: Path) -> None:
    from headstart.core.said import interval
    from headstart.evaluation.closing import left_out, next_steps, ranked
    from headstart.report.words import saved

    out, score, decision, arms = console(), record.score, record.decision, ranked(record)
    rows = [(c.name, c.role, c.source or "-", interval(c.score), f"{c.seconds:.1f}", c.why) for c in arms]
    columns = ("name", "role", "source", f"{record.metric} [interval]", "seconds", "why")
    if out.is_terminal and out.width < ROLES:
        rows, columns = [(a, *rest) for a, _, *rest in rows], ("name", *columns[2:])
    delivered = {at: "bold" for at, one in enumerate(arms) if one.name == decision.delivered}
    last = [at for at, one in enumerate(arms[1:]) if one.role != arms[at].role]
    if out.is_terminal:
        out.print()
    out.print(table(columns, rows, columns[-3:-1], cut=("source", "why"), styles=delivered, ends=last))
    out.print()
    for line in left_out(record):
        out.print(plain(line), style="dim", no_wrap=out.is_terminal, overflow="ellipsis")
    out.print(f"\n{plain(record.verdict.sentence)}", style=f"bold {COLOURS[record.verdict.claim]}")
    for line in next_steps(record):
        out.print(plain(line))
    if record.measures and record.measures.curve:
        out.print(plain(saved(record.metric, record.measures.curve)))
    out.print(f"delivered: {plain(decision.delivered)} ({decision.role}; {plain(decision.rule)})")
    out.print(f"{record.metric}: {interval(score)}, {score.level:.0%} interval, {score.n} examples, {score.on}")
    if record.self_test is not None:
        out.print(plain(record.self_test.sentence))
    for note in (*record.data.warnings, *record.notes):
        out.print(f"note: {plain(note)}")
    out.print(f"report: {run / 'report.html'}", soft_wrap=True)
