"""Kill -9 at ten random moments: the run goes on from its last finished piece of work and ends the same."""

import multiprocessing
import shutil
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from headstart.advisor import work as work_file
from headstart.advisor.work import Climb
from headstart.cli.main import main
from headstart.core.record import Record
from headstart.data.store import TABLES, cache_root
from headstart.modalities.image.modality import IMAGE

SCRATCH = IMAGE.untrained[1]

SOURCE = "random:test_resnet@64"
MOMENTS = 10
MINUTES = "0.02"  # the gradient work is set by hand
LONGEST = 120  # seconds that one run may take before the test gives up

Strip = Callable[[Record], dict[str, Any]]


class Command:
    """`headstart fit` in a process of its own; the server has the frameworks loaded, so that kills hit work.

    Args:
        data: the pictures.
        folder: where `runs/` and the work to replay are.
    """

    def __init__(self, data: Path, folder: Path) -> None:
        self.data, self.runs, self.work = data, folder / "runs", folder / work_file.NAME
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["headstart.api", "headstart.cli.main", "timm", "matplotlib.pyplot"])

    def start(self, name: str) -> ForkServerProcess:
        """A run under way."""
        asked = ["--source", SOURCE, "--strategy", "linear,lp-ft", "--minutes", MINUTES, "--quiet"]
        replay = ["--replay", str(self.work)] if self.work.exists() else []
        arguments = ["fit", str(self.data), *asked, *replay, "--out", str(self.runs / name)]
        process = self.context.Process(target=main, args=(arguments,))
        process.start()
        return process

    def finish(self, name: str) -> Record:
        """The record of a run that is let go to its end."""
        process = self.start(name)
        process.join(LONGEST)
        assert process.exitcode == 0, "the run did not end"
        return Record.from_json((self.runs / name / "record.json").read_text())

    def units(self, name: str) -> int:
        """Pieces of work that a killed run has finished."""
        return len(list((self.runs / f".{name}.unfinished" / "units").glob("[!.]*.safetensors")))


@pytest.fixture(scope="module")
def command(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command with work that holds gradient arms, however fast this machine is."""
    found = Command(photos, tmp_path_factory.mktemp("kill"))
    found.finish("first")
    work = work_file.read(found.runs / "first" / work_file.NAME)
    climbs = [Climb(arm=a, source=s, epochs=3, seconds=1.0) for a, s in (("lp-ft", SOURCE), ("scratch", SCRATCH))]
    set_work = work.model_copy(
        update={"climbs": tuple(climbs), "m": 2, "finalists": 2, "pruned": {}, "not_climbed": ()}
    )
    work_file.write(found.work.parent, set_work)
    shutil.rmtree(found.runs)
    return found


def forget() -> None:
    """Empty the cache of features and pixels, so that a kill can hit their making."""
    for kind in TABLES:
        shutil.rmtree(cache_root() / kind, ignore_errors=True)


def whole(run: Path, reference: Path) -> bool:
    """Whether a run has every file of the reference."""
    return {p.name for p in run.iterdir()} == {p.name for p in reference.iterdir()}


@pytest.mark.slow
def test_a_run_that_is_killed_ends_as_if_it_had_not_been(command: Command, timeless: Strip) -> None:
    forget()
    started = time.perf_counter()
    expected = command.finish("reference")
    seconds = time.perf_counter() - started
    reference = command.runs / "reference"
    shares = (np.arange(MOMENTS) + np.random.default_rng(0).random(MOMENTS)) / MOMENTS
    killed, resumed = 0, 0
    for at, share in enumerate(shares):
        forget()
        name = f"run-{at}"
        process = command.start(name)
        process.join(share * seconds)
        process.kill()
        process.join()
        if (command.runs / name).exists():  # it was faster than the reference
            assert whole(command.runs / name, reference)
            continue
        killed += 1
        kept = command.units(name)
        record = command.finish(name)
        assert record.work_done["units_resumed"] == kept, name
        assert record.work_done["units_resumed"] + record.work_done["units_computed"] == all_units(expected), name
        assert timeless(record) == timeless(expected), name
        assert same_files(command.runs / name, reference), name
        resumed += kept > 0
    assert killed >= MOMENTS - 3
    assert resumed >= 2
    assert {p.name for p in command.runs.iterdir()} <= {"reference", *(f"run-{i}" for i in range(MOMENTS))}


def all_units(record: Record) -> int:
    """How many pieces of work an uninterrupted run has."""
    return record.work_done["units_computed"]


def same_files(run: Path, reference: Path) -> bool:
    """Equal weights, bit for bit, and equal predictions."""
    weights = [(folder / "model.safetensors").read_bytes() for folder in (run, reference)]
    predictions = [pq.read_table(folder / "predictions.parquet") for folder in (run, reference)]
    return weights[0] == weights[1] and predictions[0].equals(predictions[1]) and whole(run, reference)
