"""`pretrain`: a source from data without labels. One loop for every objective; killed at any moment, it goes on."""

import copy
import json
import shutil
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from safetensors.torch import save_file

from headstart.core.errors import UserError
from headstart.core.progress import Progress, Silent, Step
from headstart.data.labelled import Where
from headstart.features.devices import machine
from headstart.modalities.catalog import kind_of
from headstart.pretraining.objective import OBJECTIVES, Asked, Make, Objective
from headstart.runs import free, unfinished
from headstart.sources.formats.checks import sha256
from headstart.sources.providers.folder import CARD, PRETRAINED, WEIGHTS
from headstart.training.checkpoint import Checkpoints, optimiser_tensors, restore, restore_optimiser
from headstart.training.schedule import share

WORK = "work.json"
TIMED = 8  # steps, behind one that warms up
SPENT = 0.95  # share of the minutes that goes into steps
ROUNDS = 60  # checkpoints: what a kill can lose is one of them
WARMUP, CLIP = 0.05, 1.0
TOLD = 6  # rounds between two lines on how far it is
DEFAULT_KIND = "series"  # of made examples alone


class Work(BaseModel, frozen=True, extra="forbid"):
    """What was decided once.

    Attributes:
        identity: of the objective.
        minutes: that were asked for.
        steps: that fit in.
    """

    identity: str
    minutes: float
    steps: int


@dataclass(frozen=True)
class Pretrained:
    """A source that was made.

    Attributes:
        folder: it lies there; its name is `file:FOLDER`.
        record: what was learned from, how long, and the loss at the end of each round.
    """

    folder: Path
    record: dict[str, Any]

    @property
    def name(self) -> str:
        """As `--source` takes it."""
        return f"file:{self.folder}"


def pretrain(
    data: Sequence[str | Path] = (),
    *,
    out: str | Path,
    minutes: float = 10.0,
    generated: int = 10_000,
    size: int = 32,
    seed: int = 0,
    progress: Progress | None = None,
) -> Pretrained:
    """Learn a net from data without labels, and keep it as a source.

    Series: TimeNet by reconstruction (arXiv 1706.08838). Pictures: a small convolutional net that paints what was
    covered. Labels that lie beside the data are not looked at; of data with a test part the other is learned from.

    Args:
        data: files and folders, all of one kind; none learns from made examples alone.
        out: a new folder for the source; unfinished work for it is resumed.
        minutes: of work on this machine.
        generated: how many made series to learn from beside the data.
        size: side of pictures in pixels.
        seed: of everything random.
        progress: where steps and the time left are shown.

    Raises:
        UserError: data of a kind that nothing is learned from without labels, or a folder that is taken.
    """
    shown, folder = progress or Silent(), free(Path(out))
    if not minutes > 0 or generated < 0:
        do = "Give the minutes you can spare, and a whole number of made examples."
        raise UserError("--minutes above zero and --generated of zero or more", f"{minutes:g} and {generated}", do)
    paths = tuple(Path(one) for one in data)
    make: Make = OBJECTIVES.load(_kind(paths))
    with shown.step("reading"):
        objective = make(Asked(paths, generated, seed, size))
    named = f"{', '.join(objective.facts()['data'])}; labels are not looked at"
    shown.begins({"data": named, "machine": machine(), "time": f"{minutes:g} min; seed {seed}"})
    aside = unfinished(folder)
    work = _decided(objective, aside, minutes)
    started = time.perf_counter()
    with _seeded():
        losses = _learn(objective, work, aside, seed, shown)
    record = {
        "schema": 1, **objective.facts(), "steps": work.steps, "minutes": minutes, "seed": seed, "losses": losses,
        "seconds": round(time.perf_counter() - started, 1),
        "versions": {name: version(name) for name in ("headstart", "torch")},
    }  # fmt: skip
    _write(objective, record, aside, folder)
    return Pretrained(folder, record)


def _kind(paths: Sequence[Path]) -> str:
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise UserError("data to learn from", f"{missing}, which is not there", "Check the path.")
    kinds = sorted({kind_of(Where(path)) for path in paths}) or [DEFAULT_KIND]
    if len(kinds) > 1:
        raise UserError("data of one kind", " and ".join(kinds), "Learn from one kind at a time.")
    if kinds[0] not in OBJECTIVES.names():
        known = ", ".join(OBJECTIVES.names())
        came = f"{', '.join(map(str, paths))}, which is {kinds[0]} data"
        raise UserError(f"data of a kind that is learned from without labels ({known})", came, "Name other data.")
    return kinds[0]


def _decided(objective: Objective, aside: Path, minutes: float) -> Work:
    """The work: as it was decided before the last kill, else as many steps as the minutes hold."""
    file = aside / WORK
    if file.is_file():
        found = Work.model_validate_json(file.read_text(encoding="utf-8"))
        if (found.identity, found.minutes) == (objective.identity, minutes):
            return found
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    steps = max(round(SPENT * minutes * 60 / _step_seconds(objective)), ROUNDS)
    work = Work(identity=objective.identity, minutes=minutes, steps=steps)
    file.write_text(work.model_dump_json(), encoding="utf-8")
    return work


def _step_seconds(objective: Objective) -> float:
    """Of a step, forward and backward; nothing is learned in it, statistics of norms included."""
    before = copy.deepcopy(objective.net.state_dict())
    started = time.perf_counter()
    for step in range(1 + TIMED):
        if step == 1:
            started = time.perf_counter()
        objective.loss(step).backward()
    objective.net.zero_grad()
    objective.net.load_state_dict(before)
    return (time.perf_counter() - started) / TIMED


def _learn(objective: Objective, work: Work, aside: Path, seed: int, shown: Progress) -> list[dict[str, float]]:
    """All steps that are left, a round at a time; the loss of each round."""
    net, saves = objective.net.train(), Checkpoints(aside / "checkpoint", work.identity)
    optimiser = torch.optim.Adam(net.parameters(), lr=objective.rate)
    losses: list[dict[str, float]] = []
    if (before := saves.load()) is not None:
        restore(before.last, net.state_dict())
        restore_optimiser(before.last, optimiser)
        losses = before.history
    ends = [round(work.steps * number / ROUNDS) for number in range(ROUNDS + 1)]
    with shown.step("learning without labels", work.steps) as step:
        step.advance(ends[len(losses)])
        begun, done = time.perf_counter(), ends[len(losses)]
        for number in range(len(losses), ROUNDS):
            loss = _round(objective, optimiser, range(ends[number], ends[number + 1]), work.steps, seed, step)
            losses.append({"step": ends[number + 1], "loss": loss})
            saves.save({**net.state_dict(), **optimiser_tensors(optimiser)}, losses, len(losses))
            if (number + 1) % TOLD == 0:
                each = (time.perf_counter() - begun) / (ends[number + 1] - done)
                left = round(each * (work.steps - ends[number + 1]))
                at = f"step {ends[number + 1]:,} of {work.steps:,}"
                shown.say(f"{at}, loss {loss:.3f}, {left // 60}:{left % 60:02d} left")
    return losses


def _round(
    objective: Objective, optimiser: torch.optim.Optimizer, steps: range, every: int, seed: int, shown: Step
) -> float:
    """Some steps; their mean loss. Each is seeded by its number, so that a resumed run takes the same."""
    total = 0.0
    for at in steps:
        torch.manual_seed(seed * 1_000_003 + at)
        for group in optimiser.param_groups:
            group["lr"] = objective.rate * share("one-cycle", at, every, WARMUP)
        optimiser.zero_grad()
        loss = objective.loss(at)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(objective.net.parameters(), CLIP)
        optimiser.step()
        total += float(loss.detach())
        shown.advance()
    mean = total / max(len(steps), 1)
    shown.note(f"loss {mean:.3f}")
    return mean


@contextmanager
def _seeded() -> Generator[None]:
    with torch.random.fork_rng(devices=[]):
        yield


def _write(objective: Objective, record: dict[str, Any], aside: Path, folder: Path) -> None:
    """The source, whole by rename."""
    model, card = objective.encoder()
    made = aside / "source"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, made / WEIGHTS)
    described = card(f"file:{folder.name}", sha256(made / WEIGHTS))
    (made / CARD).write_text(described.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (made / PRETRAINED).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        folder.rmdir()  # `free` saw that it is empty
    made.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)
