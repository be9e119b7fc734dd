"""`headstart explore`: a map of data, and what stands out in it."""

from typing import Annotated, cast

import typer

from headstart.cli import options
from headstart.cli.output import emit_text
from headstart.cli.progress import progress

Looked = Annotated[
    str,
    typer.Argument(metavar="DATA", help="A folder, with or without classes, or a table, with or without --target."),
]
Target = Annotated[str | None, typer.Option("--target", metavar="COL", help="Column of a table that holds the label.")]
Source = Annotated[
    str | None, typer.Option("--source", metavar="S", help="Whose features are looked at; raw is the input itself.")
]
Clusters = Annotated[
    str, typer.Option("--clusters", metavar="K", help="How many; auto finds out, or says that there are none; hdbscan.")
]
Way = Annotated[
    str,
    typer.Option(
        "--map",
        metavar="auto|pca|umap",
        callback=options.one_of("--map", "auto", "pca", "umap"),
        help="How it is drawn.",
    ),
]
Out = Annotated[str | None, typer.Option("--out", metavar="FOLDER", help="For map.html and explored.json.")]


def explore(
    data: Looked,
    target: Target = None,
    text: options.Text = None,
    kind: options.Kind = None,
    test: options.Test = None,
    source: Source = None,
    stage: options.Stage = None,
    clusters: Clusters = "auto",
    way: Way = "auto",
    out: Out = None,
    no_thumbnails: options.NoThumbnails = False,
    seed: options.Seed = 0,
    licence: options.Licence = None,
    offline: options.Offline = False,
    trust: options.Trust = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Look at DATA in a source's feature space: clusters, outliers, duplicates, suspected labels, and a map."""
    from headstart.exploring.run import explore as look
    from headstart.strategies.unsupervised.reduction import Map

    found = look(
        data,
        target=target,
        text=text,
        kind=options.kind(kind),
        test=test,
        source=source,
        stage=stage,
        clusters=clusters,
        way=cast("Map", way),
        out=out or f"runs/map-{options.named(data)}",
        thumbnails=not no_thumbnails,
        seed=seed,
        access=options.access(licence, offline, trust),
        progress=progress(quiet),
    )
    emit_text(found.to_json() if json else str(found))
