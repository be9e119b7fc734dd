"""A run on disk: begun aside, renamed when whole, opened to predict. Paths inside are relative; nothing is pickled."""

import contextlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from headstart.advisor import work as work_file
from headstart.advisor.ladder import final
from headstart.advisor.study import Study
from headstart.advisor.work import Asked, Work
from headstart.core.errors import UserError
from headstart.core.progress import Progress
from headstart.core.record import Record
from headstart.evaluation import evidence as kept
from headstart.features.backends import FLOAT32
from headstart.sources.card import Card
from headstart.sources.formats.checks import sha256
from headstart.training.checkpoint import strip
from headstart.training.plan_learner import FittedNet

RECORD = "record.json"


def free(out: Path) -> Path:
    """A folder that a run may become.

    Raises:
        UserError: something else is there, or above it.
    """
    above = next((one for one in out.parents if one.exists()), out.parent)
    if not above.is_dir():
        raise UserError(
            "a new or empty folder for the run", f"{out}, but {above} is a file", "Name another with --out."
        )
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError("a new or empty folder for the run", str(out), "Name another with --out, or remove this one.")
    return out


def answered(finished: Path, asked: Asked, progress: Progress, *, self_test: bool) -> Record | None:
    """The record of a finished run that has answered this very question, and tested itself where that is asked."""
    if not (finished / RECORD).exists() or not (finished / work_file.NAME).exists():
        return None
    known = read_record(finished) if work_file.read(finished / work_file.NAME).asked == asked else None
    if known is None or (self_test and not known.self_test):
        return None
    progress.say(f"{finished} has answered this already; remove it to run again")
    return known


def unfinished(finished: Path) -> Path:
    """Where a run's work is kept until it is whole: beside it, hidden."""
    return finished.with_name(f".{finished.name}.unfinished")


def begin(finished: Path, asked: Asked, replay: Work | None) -> Work | None:
    """Make the folder of unfinished work and return the work that was decided there so far.

    Unfinished work of the same question is resumed; of another question it is dropped.

    Raises:
        UserError: the work to replay was decided for other data, plans or weights.
    """
    if replay is not None and replay.asked.fingerprint != asked.fingerprint:
        raise UserError("a work.json of the same data", "one of other data", "Replay it on the data that it came from.")
    if replay is not None and replay.asked.plans != asked.plans:
        raise UserError(
            "a work.json of this version", "one whose strategies had other plans", "Fit again, or use that version."
        )
    if replay is not None and (changed := _changed(replay.asked, asked)):
        came = f"another net under {', '.join(changed)}"
        raise UserError("a work.json of the same weights", came, "Fit again, or bring back the weights.")
    folder = unfinished(finished)
    there = folder / work_file.NAME
    again = None if replay is None else replay.model_copy(update={"asked": asked})  # what is asked now decides
    if there.exists():
        found = work_file.read(there)
        if found == again or (again is None and found.asked == asked):
            return found
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return again


def _changed(before: Asked, now: Asked) -> list[str]:
    """Names that stand for other weights than before, as far as that was kept."""
    was = dict(zip(before.sources, before.identities, strict=False))
    return [
        name for name, identity in zip(now.sources, now.identities, strict=True) if was.get(name, identity) != identity
    ]


def abandon(folder: Path) -> None:
    """Take back what `begin` made for a question that turned out to have no answer."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()  # only if nothing else is in it


def write(
    folder: Path,
    record: Record,
    study: Study,
    history: Sequence[Mapping[str, object]],
    cards: Mapping[str, Card],
) -> Path:
    """Write a run aside; `publish` lets it appear."""
    aside = folder / "run"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    (aside / RECORD).write_text(record.to_json(), encoding="utf-8")
    work_file.write(aside, study.work)
    kept.write(aside / kept.NAME, study.evidence)
    lines = "".join(json.dumps(row) + "\n" for row in history)
    (aside / "history.jsonl").write_text(lines, encoding="utf-8")
    _write_model(aside, study, record, cards)
    _write_checkpoints(folder, aside, study.decision.delivered)
    return aside


def publish(folder: Path, finished: Path) -> None:
    """Let the run that was written aside appear at once, and drop the unfinished work."""
    if finished.exists():
        shutil.rmtree(finished)
    finished.parent.mkdir(parents=True, exist_ok=True)
    (folder / "run").replace(finished)
    shutil.rmtree(folder, ignore_errors=True)


def _write_checkpoints(folder: Path, aside: Path, arm: str) -> None:
    """The epochs of the delivered net's final training: a later run may start from any of them (`checkpoint:`)."""
    place = folder / "checkpoints" / final(arm)
    phases = sorted(place.glob("phase *"), key=lambda phase: int(phase.name.split()[1]))
    # Of several phases the last: what an epoch did not move is then as in the delivered net.
    epochs = sorted((phases[-1] if phases else place).glob("epoch-*.safetensors"))
    for path in epochs:
        (aside / "checkpoints").mkdir(exist_ok=True)
        strip(path, aside / "checkpoints" / path.name)


def _write_model(folder: Path, study: Study, record: Record, cards: Mapping[str, Card]) -> None:
    fitted = study.fitted[study.decision.delivered]
    state = fitted.state()
    names = (fitted.source,) if isinstance(fitted, FittedNet) else fitted.solved.sources
    found = [fitted.origin.card if isinstance(fitted, FittedNet) else cards.get(name) for name in names]
    save_file({k: np.asarray(v, order="C") for k, v in state.arrays.items()}, folder / "model.safetensors")
    task = {"name": record.tasks[0].name, "kind": record.tasks[0].kind, "classes": list(record.tasks[0].classes)}
    calibration = record.calibration
    digest = sha256(folder / "model.safetensors")
    modes = [study.work.modes.get(name, FLOAT32) for name in names]
    facts = {
        "schema": 1,
        "modes": [one.model_dump() for one in modes],
        "modality": record.data.modality,
        "task": task,
        "temperature": calibration.temperature,
        "class_weights": study.figures.reading.weights.tolist(),
        "off": calibration.off,
        "sha256": digest,
        "text": study.work.asked.text,
    }
    work_file.replace_json(folder / "model.json", facts | dict(state.meta))
    kept_cards = [None if card is None else card.model_dump(mode="json") for card in found]
    work_file.replace_json(folder / "card.json", kept_cards[0] if len(kept_cards) == 1 else kept_cards)


def read_record(run: Path) -> Record:
    """The record of a finished run.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    try:
        return Record.from_json((run / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            "a finished run", f"{run} ({str(error).splitlines()[0]})", "Name a run folder that fit has written."
        ) from None


def copy(run: Path, to: Path) -> Path:
    """Copy a run to a new folder, which appears whole."""
    free(to)
    aside = to.with_name(f".{to.name}.{os.getpid()}")
    aside.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(run, aside)
    if to.exists():
        to.rmdir()
    aside.replace(to)
    return to
