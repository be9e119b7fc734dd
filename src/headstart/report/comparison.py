"""The page of a comparison: every cell of its table, best first."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from headstart.core.comparison import CellRecord, ComparisonRecord
from headstart.core.errors import UserError
from headstart.core.record import AskedRecord
from headstart.core.said import folds
from headstart.evaluation.closing import command
from headstart.report import charts, words
from headstart.report.pages import write_page

RECORD, NAME = "comparison.json", "report.html"


def read(folder: Path) -> ComparisonRecord:
    """The record of a comparison.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    try:
        return ComparisonRecord.from_json((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        said = str(error).splitlines()[0]
        do = "Run headstart compare first, or again."
        raise UserError("the folder of a finished comparison", f"{folder} ({said})", do) from None


def write(folder: Path) -> Path:
    """Write `report.html` into a comparison's folder, from its `comparison.json`.

    Raises:
        UserError: there is no finished comparison in that folder.
    """
    return write_page("comparison.html.j2", _context(read(folder), folder), folder / NAME)


def _context(record: ComparisonRecord, folder: Path) -> dict[str, Any]:
    scored = [cell for cell in record.cells if cell.score is not None]
    shown = [(c.name, c.score, c.role == "control", c.claim == "helped") for c in scored if c.score is not None]
    return {
        "record": record,
        "title": Path(record.data.path).name or record.data.path,
        "folds": folds(record.folds, record.seeds),
        "metric": words.name(record.metric),
        "value": partial(words.value, record.metric),
        "between": partial(words.between, record.metric),
        "change": partial(words.change, record.metric),
        "gain_between": partial(words.gain_between, record.metric),
        "best": scored[0] if scored else None,
        "sentence": sentence(record),
        "helped": sum(cell.claim == "helped" for cell in record.cells),
        "hurt": sum(cell.claim == "hurt" for cell in record.cells),
        "transfers": sum(cell.role == "transfer" and cell.score is not None for cell in record.cells),
        "chart": charts.scores(shown, words.name(record.metric)),
        "grid": _grid(scored),
        "command": _command(record, folder),
    }


def sentence(record: ComparisonRecord) -> str:
    """What the table says, in one line."""
    best = next((cell for cell in record.cells if cell.score is not None), None)
    if best is None or best.score is None:
        return "Nothing was scored."
    where = f"{best.strategy} from {best.source}" if best.role == "transfer" else f"{best.strategy}, without transfer,"
    told = f"{where} scored best, {words.value(record.metric, best.score.value)}"
    if best.gain is None or record.control is None:
        return f"{told}."
    gain = f"{words.change(record.metric, best.gain.value)} over {record.control}"
    claims = {"helped": "", "hurt": "", "undecided": ", which is not settled"}
    return f"{told}: {gain}{claims[best.claim or 'undecided']}."


def _grid(scored: Sequence[CellRecord]) -> dict[str, Any] | None:
    """Strategies by sources, where there are several of both."""
    transfers = [cell for cell in scored if cell.role == "transfer"]
    sources = list(dict.fromkeys(cell.source for cell in transfers))
    strategies = list(dict.fromkeys(cell.strategy for cell in transfers))
    if len(sources) < 2 or len(strategies) < 2:
        return None
    found = {(cell.strategy, cell.source): cell for cell in transfers}
    return {"sources": sources, "rows": [(name, [found.get((name, one)) for one in sources]) for name in strategies]}


def _command(record: ComparisonRecord, folder: Path) -> str:
    """What to type to compare the same again."""
    sources = list(dict.fromkeys(cell.source for cell in record.cells if cell.role == "transfer"))
    strategies = list(dict.fromkeys(cell.strategy for cell in record.cells if cell.role == "transfer"))
    controls = ["none"] if record.control is not None else []
    said = {"sources": (*sources, *controls), "strategies": tuple(strategies), "metric": record.metric}
    asked = (record.asked or AskedRecord(seed=record.seed)).model_copy(update=said)
    epochs = {} if record.epochs is None else {"epochs": str(record.epochs)}
    further = {"seeds": str(record.seeds), **epochs, "out": folder.as_posix()}
    return command("compare", record.data.path, asked, **further)
