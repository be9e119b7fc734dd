"""`headstart advise`: what is likely to work, and what it would cost; nothing is kept."""

from headstart.cli import options
from headstart.cli.output import emit_text
from headstart.cli.progress import progress


def advise(
    data: options.Data,
    target: options.Target = None,
    source: options.Sources = None,
    strategy: options.Strategies = None,
    stage: options.Stage = None,
    minutes: options.Minutes = 1,
    metric: options.Metric = "accuracy",
    test: options.Test = None,
    group: options.Group = None,
    seed: options.Seed = 0,
    licence: options.Licence = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure what DATA and the sources have in common, and list the strategies with estimates and minutes."""
    sources, strategies = options.names(source), options.names(strategy)
    from headstart import api

    advice = api.advise(
        data,
        target=target,
        sources=sources,
        strategies=strategies,
        stage=stage,
        minutes=minutes,
        metric=metric,
        test=test,
        group=group,
        seed=seed,
        any_licence=licence == "any",
        progress=progress(quiet),
    )
    emit_text(advice.to_json() if json else advice.text())
