"""`headstart verify`: are the recorded numbers those of the kept predictions?"""

from pathlib import Path
from typing import Any

import typer

from headstart.cli import options
from headstart.cli.output import console, emit, table


def verify(run: options.Run, json: options.Json = False) -> None:
    """Recompute every interval of RUN from its predictions, without the model; status 1 if one differs."""
    from headstart.evaluation.verify import verify as verified

    found = verified(Path(run))
    if json:
        rows = [
            {"what": r.what, "recorded": r.recorded, "recomputed": r.recomputed, "equal": r.equal} for r in found.rows
        ]
        emit({"ok": found.ok, "rows": rows})
    else:
        cells = [(r.what, _number(r.recorded), _number(r.recomputed), "yes" if r.equal else "NO") for r in found.rows]
        columns = ("what", "recorded", "recomputed", "equal")
        out = console()
        out.print(table(columns, cells, right=columns[1:3]))
        differ = sum(not r.equal for r in found.rows)
        out.print("every number is reproduced" if found.ok else f"{differ} of {len(found.rows)} numbers differ")
    if not found.ok:
        raise typer.Exit(1)


def _number(value: Any) -> str:
    return f"{value:.6f}" if isinstance(value, float) else str(value)
