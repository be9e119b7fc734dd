"""`headstart predict`: labels and calibrated probabilities, or numbers, for new files."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli import options
from headstart.cli.output import complain, console, emit, table
from headstart.cli.progress import progress
from headstart.core.errors import UserError

if TYPE_CHECKING:
    from headstart.core.record import SkippedFile
    from headstart.saved import Answer, Prediction

Files = Annotated[list[str], typer.Argument(metavar="FILES...", help="Files, and folders of files, to label.")]
Out = Annotated[
    str | None,
    typer.Option("--out", metavar="FILE", help="A row each in a new .csv, .jsonl or .parquet; of any number of files."),
]
NAMED = 5  # of what could not be read; the others are counted
COMMON = 10  # labels that are counted one by one


@dataclass
class _Found:
    """What came so far."""

    kept: "list[Prediction]" = field(default_factory=list)
    skipped: "list[SkippedFile]" = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)
    n: int = 0
    unlike: int = 0

    def add(self, answers: "Iterable[Answer]", *, keep: bool) -> None:
        """All answers; only what is kept stays in memory."""
        from headstart.core.record import SkippedFile

        for one in answers:
            if isinstance(one, SkippedFile):
                self.skipped.append(one)
                continue
            self.n += 1
            self.unlike += one.unlike is True
            self.labels[one.label] += one.value is None
            if keep:
                self.kept.append(one)


def predict(
    run: options.Run, files: Files, out: Out = None, json: options.Json = False, quiet: options.Quiet = False
) -> None:
    """Label FILES with the model of RUN; what cannot be read is named, and the rest is labelled."""
    from headstart import answers, api

    result = api.load(run)
    if out is not None:
        answers.check(Path(out))
    given = result.answers([Path(one) for one in files], progress(quiet))
    found = _Found()
    found.add(given if out is None else answers.write(Path(out), given, result.task), keep=out is None)
    _check(found)
    if json:
        emit(_facts(found, out))
    elif out is None:
        _show(found.kept)
    else:
        common = ", ".join(f"{count:,} {label}" for label, count in found.labels.most_common(COMMON) if count)
        console().print(f"{out}: {found.n:,} answers{': ' * bool(common)}{common}", soft_wrap=True)
    if found.unlike and not json:
        complain(f"{found.unlike:,} of {found.n:,} are unlike anything that it was trained on: do not believe it there")
    if found.skipped:
        complain(_unread(found))
        raise typer.Exit(1)


def _check(found: _Found) -> None:
    """Where there is no answer at all, a mistake was made."""
    if found.n:
        return
    came = "none" if not found.skipped else f"{found.skipped[0].name}: {found.skipped[0].why}"
    others = f" (and {len(found.skipped) - 1:,} more)" if len(found.skipped) > 1 else ""
    raise UserError("at least one example that can be read", came + others, "Repair it, or name other files.")


def _facts(found: _Found, out: str | None) -> dict[str, Any]:
    skipped = [one.model_dump() for one in found.skipped]
    if out is not None:
        return {"out": out, "n": found.n, "unlike": found.unlike, "skipped": skipped}
    return {"predictions": [asdict(one) for one in found.kept], "skipped": skipped}


def _unread(found: _Found) -> str:
    """What could not be read, the first few by name."""
    first = "; ".join(f"{one.name}: {one.why}" for one in found.skipped[:NAMED])
    more = f"; and {len(found.skipped) - NAMED:,} more" if len(found.skipped) > NAMED else ""
    return f"{len(found.skipped):,} of {found.n + len(found.skipped):,} could not be read: {first}{more}"


def _show(kept: "Sequence[Prediction]") -> None:
    columns = ["file", "label", "probability"]
    if any(one.value is not None for one in kept):
        columns = ["file", "number", "90 % within"]
    told = any(one.unlike for one in kept)
    rows = [(one.file, one.label, _sure(one), *(["unlike" if one.unlike else ""] * told)) for one in kept]
    number = columns[1:] if columns[1] == "number" else columns[2:]
    console().print(table([*columns, *["training"] * told], rows, right=number))


def _sure(one: "Prediction") -> str:
    """How sure it is: the probability, or how far a number may be off."""
    if one.off is not None:
        return f"\N{PLUS-MINUS SIGN}{one.off:.3g}"
    return "" if one.probability is None else f"{one.probability:.3f}"
