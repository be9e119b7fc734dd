"""Options that several commands share, and how their values are read."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from headstart.cli import completion
from headstart.core import problem
from headstart.core.errors import UserError, did_you_mean
from headstart.sources.access import Access

KINDS = get_args(problem.Kind)
# The comma in darknet:A.cfg,A.weights is part of the name.
BETWEEN = re.compile(r",(?!\s*[^,:]*\.(?:weights|conv\.\d))")


def one_of(option: str, *known: str) -> Callable[[str | None], str | None]:
    """A check that lets only the known values through, with did-you-mean for the others."""

    def check(value: str | None) -> str | None:
        if value is None or value in known:
            return value
        raise UserError(f"{option} {'|'.join(known)}", repr(value), did_you_mean(value, known))

    return check


def names(values: Sequence[str] | None) -> tuple[str, ...]:
    """`["a,b", "c"]` -> `("a", "b", "c")`; empty when nothing was given.

    Raises:
        UserError: a name is empty.
    """
    found = tuple(name.strip() for value in values or () for name in BETWEEN.split(value))
    if not all(found):
        raise UserError("names separated by commas", repr(",".join(values or ())), "Leave no name empty.")
    return found


def sources(values: Sequence[str] | None, path: str | None, target: str | None) -> tuple[str, ...]:
    """The names of --source, and the table of --from, whose target is called as the one of DATA.

    Raises:
        UserError: no target is named.
    """
    if path is None:
        return names(values)
    if target is None:
        raise UserError("--target COLUMN with --from", "none", "Name the label column that both tables have.")
    return (*names(values), f"table:{path}@{target}")


def named(data: str) -> str:
    """What a folder for results on this data is called."""
    at = Path(data).resolve()
    return (at.stem if at.is_file() else at.name) or "run"


def _positive(value: float) -> float:
    if not (value > 0 and math.isfinite(value)):
        raise UserError("--minutes above zero", f"{value:g}", "Give the minutes you can spare, such as --minutes 10.")
    return value


def _seed(value: int) -> int:
    if not 0 <= value < 2**32:
        raise UserError("--seed from 0 to 4294967295", str(value), "Give a seed in that range, such as --seed 0.")
    return value


Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder a class (pictures, texts), a CSV/Parquet/JSONL file, or series (.ts, .npz, X_TRAIN and X_TEST).",
    ),
]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="The folder of a finished run.", autocompletion=completion.runs)
]
Target = Annotated[str | None, typer.Option("--target", metavar="COL", help="Column of a table that holds the label.")]
Text = Annotated[str | None, typer.Option("--text", metavar="COL", help="Column of a table that holds the texts.")]
Group = Annotated[
    str | None, typer.Option("--group", metavar="COL", help="Column whose values never cross a fold (patient, site).")
]
Test = Annotated[str | None, typer.Option("--test", metavar="DATA", help="Data that only the final score may see.")]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="S,..",
        help="Sources to try; see `headstart sources list`.",
        autocompletion=completion.listed(completion.sources),
    ),
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="TABLE", help="A larger table with the same columns to transfer from."),
]
Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        metavar="P,..",
        help="Strategies to try: linear, lp-ft, finetune, ...",
        autocompletion=completion.listed(completion.strategies),
    ),
]
Stage = Annotated[
    str | None,
    typer.Option(
        "--stage",
        metavar="last",
        help="Take features from this stage only.",
        autocompletion=completion.one(lambda: completion.STAGES),
    ),
]
Minutes = Annotated[float, typer.Option("--minutes", metavar="N", help="Time to spend.", callback=_positive)]
Metric = Annotated[
    str | None,
    typer.Option(
        "--metric",
        metavar="M",
        help="The deciding metric: accuracy, macro_f1, r2, ...",
        autocompletion=completion.one(lambda: completion.METRICS),
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        callback=one_of("--kind", *KINDS),
        autocompletion=completion.one(lambda: KINDS),
        help="What the target is: classification, multi-label or regression; found from the column unless said.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Equal seeds, equal results.", callback=_seed)]
Licence = Annotated[
    str | None,
    typer.Option(
        "--licence",
        metavar="any",
        callback=one_of("--licence", "any"),
        autocompletion=completion.one(lambda: ("any",)),
        help="Also sources without a stated licence, or without commercial use.",
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Make no network call.")]
Trust = Annotated[
    bool, typer.Option("--trust", help="Also a weight file whose hash nobody has stated; only weights are read.")
]
AllowMissing = Annotated[
    list[str] | None,
    typer.Option("--allow-missing", metavar="GLOB,..", help="Weights that a file: need not have, or may have beside."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
NoThumbnails = Annotated[
    bool, typer.Option("--no-thumbnails", help="Keep no examples beside the model, nor in the report.")
]


def kind(value: str | None) -> "problem.Kind | None":
    """The kind of task that `--kind` names; its option lets nothing else through."""
    return cast("problem.Kind | None", value)


def access(
    licence: str | None, offline: bool, trust: bool = False, allow_missing: Sequence[str] | None = None
) -> Access:
    """What the options allow."""
    return Access(offline, licence == "any", trust, names(allow_missing))
