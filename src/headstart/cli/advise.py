"""`headstart advise`: what is likely to work, and what it would cost; nothing is kept."""

from headstart.cli import options
from headstart.cli.output import ROLES, console, emit_text, plain, table, without
from headstart.cli.progress import showing, starting


def advise(
    data: options.Data,
    target: options.Target = None,
    text: options.Text = None,
    kind: options.Kind = None,
    source: options.Sources = None,
    origin: options.From = None,
    strategy: options.Strategies = None,
    minutes: options.Minutes = 1,
    metric: options.Metric = None,
    test: options.Test = None,
    group: options.Group = None,
    seed: options.Seed = 0,
    licence: options.Licence = None,
    offline: options.Offline = False,
    trust: options.Trust = False,
    allow_missing: options.AllowMissing = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure what DATA and the sources have in common, and list the strategies with estimates and minutes."""
    sources, strategies = options.sources(source, origin, target), options.names(strategy)
    with showing(quiet) as shown:
        with starting(shown):
            from headstart import api  # it loads torch, which takes seconds

        advice = api.advise(
            data,
            target=target,
            text=text,
            kind=options.kind(kind),
            sources=sources,
            strategies=strategies,
            minutes=minutes,
            metric=metric,
            test=test,
            group=group,
            seed=seed,
            access=options.access(licence, offline, trust, allow_missing),
            progress=shown,
        )
    if json:
        emit_text(advice.to_json())
        return
    said, out = advice.shown(), console()
    if out.is_terminal and out.width < ROLES:
        said = without(said, "stage")
    out.print(table(said.columns, said.rows, right=said.right, cut=("source", "stage", "reason")))
    for line in said.below:
        out.print(plain(line))
