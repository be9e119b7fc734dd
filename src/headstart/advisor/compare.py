"""A comparison: exactly the cells that were asked for, however long they take; what is done is not done again."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headstart.advisor import banner
from headstart.advisor import work as work_file
from headstart.advisor.account import data_record, levelled, score, source_record, versions
from headstart.advisor.cells import Cell, Counting, cells, solved, trained
from headstart.advisor.clock import Clock
from headstart.advisor.forecast import about, extraction, forecast, pieces
from headstart.advisor.ladder import Bench
from headstart.advisor.ledger import Done, Ledger
from headstart.advisor.survey import Question, Survey, plan_sources, survey, with_modes
from headstart.core.comparison import NONE, CellRecord, ComparisonRecord
from headstart.core.errors import UserError, unknown_name
from headstart.core.plan import Plan
from headstart.core.progress import Progress
from headstart.core.protocols import Role
from headstart.core.record import AskedRecord, Gain
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.evaluation import evidence as kept
from headstart.evaluation.compare import Figures, figures
from headstart.evaluation.evidence import Evidence, Examples
from headstart.evaluation.folds import FOLDS, OutOfFold, fold_maps
from headstart.evaluation.verdict import claim
from headstart.metrics.scores import metric as metric_named
from headstart.sources.catalog import known
from headstart.sources.preconditions import check_readable, check_unseen
from headstart.training.loop import DivergedError

NAME = "comparison.json"


@dataclass(frozen=True)
class Wanted:
    """What is to be compared.

    Attributes:
        question: the data, the sources, the strategies, and the folder for all that comes of it.
        controls: whether what needs no source competes too.
        seeds: fold maps, each with training seeds of its own.
        epochs: tried at most; None is what `fit` tries.
        said: all of it as the user said it.
    """

    question: Question
    controls: bool
    seeds: int
    epochs: int | None
    said: AskedRecord


@dataclass(frozen=True)
class Measured:
    """What the cells have shown.

    Attributes:
        done: cell -> what each piece of its work left; the choice of rate and epochs, if any, has no predictions.
        failed: cell -> why it has no score.
    """

    done: Mapping[str, Sequence[Done]]
    failed: Mapping[str, str]


def columns(sources: Sequence[str], seeds: int, epochs: int | None) -> tuple[tuple[str, ...], bool]:
    """The sources to load, and whether controls were asked for beside them.

    Raises:
        UserError: no source, a name that is none, or a number below one.
    """
    for what, count in (("seeds", seeds), ("epochs", epochs)):
        if count is not None and count < 1:
            raise UserError(f"{what} from 1 on", str(count), f"Say how many {what}, such as 3.")
    named = tuple(one for one in sources if one != NONE)
    for one in named:
        if ":" not in one:
            raise unknown_name("source", one, (NONE, *(other.name for other in known())))
    if not named:
        raise UserError(f"a source beside {NONE}", "none", "Name one; see headstart sources list.")
    return named, len(named) < len(sources)


def check_folder(folder: Path, data: Dataset) -> None:
    """Refuse a folder that holds anything but earlier work of this kind on this data.

    Raises:
        UserError: it does.
    """
    if not (folder / "units").is_dir():
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            raise UserError("a new folder, or one of a comparison", str(folder), "Name another with --out.")
        return
    work = folder / work_file.NAME
    if work.exists() and work_file.read(work).asked.fingerprint != data.fingerprint:
        raise UserError("a folder of a comparison on the same data", str(folder), "Name another with --out.")


def compare(wanted: Wanted, store: Store, progress: Progress, clock: Clock) -> ComparisonRecord:
    """Say how long it will take, measure every cell, judge all of them at once, write it down.

    Raises:
        UserError: the data cannot be learned from, a source cannot read it, or no cell applies or comes through.
    """
    question, data = wanted.question, wanted.question.data
    times = f", {wanted.seeds} times over" * (wanted.seeds > 1)
    progress.begins(banner.facts(question, f"out of fold: {FOLDS} folds{times}, everything on the same ones"))
    sources = {one.name: one for one in question.sources}
    for one in question.sources:
        check_readable(one.card, data)
        check_unseen(one, data)
    work = with_modes(plan_sources(question.asked, sources, data, store), sources, data, store, progress)
    first = question.sources[0]  # its features say what is nearly the same, and so what no fold may part
    facts = (data.fingerprint, data.groups.tobytes().hex(), first.identity, work.modes[first.name], question.asked.seed)
    table, skipped = cells(
        question.strategies, sources, controls=wanted.controls, epochs=wanted.epochs, modality=data.modality,
        task=data.task, store=store, modes=work.modes, folds=" ".join(map(str, facts)), n=len(data),
    )  # fmt: skip
    if not table:
        came = "; ".join(f"{one.name}: {one.why}" for one in skipped)
        raise UserError("a strategy that applies to a source", came, "Add linear.")
    todo = pieces(table, data, wanted.seeds, work, Ledger(question.folder))
    progress.say(forecast(todo, extraction(sources, data, work, store)))
    found = survey(question, work, store, progress, clock)
    maps = fold_maps(found.bench.data.strata, found.bench.data.groups, question.asked.seed, wanted.seeds)
    bench = replace(found.bench, maps=maps)
    measured = measure_all(table, bench, {piece.name: piece.seconds for piece in todo})
    if not measured.done:
        raise UserError("a cell that can be trained", "; ".join(measured.failed.values()), "Add linear.")
    evidence = _evidence(table, bench, measured)
    judged = figures(evidence, metric_named(question.asked.metric), question.asked.seed)
    record = _record(wanted, replace(found, bench=bench), (table, skipped), measured, judged, clock)
    _write(record, evidence, bench)
    return record


def measure_all(table: Sequence[Cell], bench: Bench, expected: Mapping[str, float]) -> Measured:
    """Every cell on every fold, closed forms first; what the ledger has is read.

    Args:
        table: the cells.
        bench: with a fold map a seed.
        expected: seconds of each piece of work that is still to be done.
    """
    closed = [cell for cell in table if cell.learner.plan.closed_form]
    gradient = [cell for cell in table if cell not in closed]
    failed: dict[str, str] = {}
    with bench.progress.step("cells, in expected seconds", round(sum(expected.values()))) as step:
        counting, planned, started = Counting(step, expected), sum(expected.values()), time.perf_counter()
        done = solved(closed, bench, counting)
        for at, cell in enumerate(gradient, 1):
            try:
                done[cell.name] = list(trained(cell, bench, counting))
            except DivergedError as error:  # one cell's bad rate must not cost the user the others
                failed[cell.name] = str(error).splitlines()[0]
            pace = (time.perf_counter() - started) / max(planned - counting.left, 1e-9)
            left = about(counting.left * pace)
            bench.progress.say(f"{cell.name} done, {len(closed) + at} of {len(table)} cells; about {left} left")
    return Measured(done, failed)


def _evidence(table: Sequence[Cell], bench: Bench, measured: Measured) -> Evidence:
    """Predictions of every cell that has come through."""
    oof = OutOfFold(bench.maps, bench.data.task.outputs)
    for cell in table:
        if cell.name in measured.done:
            scored = [one for one in measured.done[cell.name] if one.probabilities.size]
            places = [unit for repeat in range(len(bench.maps)) for unit in cell.units(repeat)]
            for unit, one in zip(places, scored, strict=True):
                oof.put(replace(unit, arm=cell.name), one.probabilities)
    roles: dict[str, Role] = {cell.name: cell.role for cell in table}
    task = bench.data.task
    return Evidence(task.classes, roles, Examples.of(bench.data), oof, None, {}, kind=task.kind)


def _record(
    wanted: Wanted,
    found: Survey,
    table: tuple[Sequence[Cell], Sequence[CellRecord]],
    measured: Measured,
    judged: Figures,
    clock: Clock,
) -> ComparisonRecord:
    asked, bench = wanted.question.asked, found.bench
    metric = metric_named(asked.metric)
    sign = 1.0 if metric.higher_is_better else -1.0
    made = [_cell(cell, measured, judged) for cell in table[0]]
    ordered = sorted(made, key=lambda one: -np.inf if one.score is None else sign * one.score.value, reverse=True)
    ledger = bench.ledger
    return ComparisonRecord(
        data=data_record(bench.data, bench.test, found.how_tested, found.warnings),
        sources=tuple(map(source_record, found.cards.values())),
        metric=asked.metric,
        folds=FOLDS,
        seeds=wanted.seeds,
        epochs=wanted.epochs,
        control=judged.control,
        cells=(*ordered, *table[1]),
        notes=_notes(found, measured, judged),
        seconds=clock.total,
        work_done={"units_computed": ledger.computed, "units_resumed": ledger.resumed},
        seed=asked.seed,
        versions=versions(),
        asked=wanted.said,
    )


def _cell(cell: Cell, measured: Measured, judged: Figures) -> CellRecord:
    who = {"name": cell.name, "source": cell.source, "strategy": cell.strategy, "role": cell.role}
    if cell.name in measured.failed:
        return CellRecord.model_validate({**who, "status": "failed", "why": measured.failed[cell.name]})
    done, gain = measured.done[cell.name], judged.gains.get(cell.name)
    stages, _ = Counter(one.stages for one in done).most_common(1)[0]
    facts = {
        "stages": stages, "score": score(judged.scores[cell.name], judged.n, "out-of-fold"),
        "seconds": sum(one.seconds for one in done), "plan": Plan.from_json(done[0].plan or ""),
        "why": "the strongest control" if cell.name == judged.control else "",
    }  # fmt: skip
    if gain is not None:
        over = Gain.model_validate(score(gain, judged.n, "out-of-fold").model_dump())
        facts |= {"gain": over, "claim": claim(gain)}
    return CellRecord.model_validate({**who, **facts})


def _notes(found: Survey, measured: Measured, judged: Figures) -> tuple[str, ...]:
    """What a reader of the table should know."""
    said = [note for done in measured.done.values() for one in done for note in one.notes]
    if judged.control is None:
        said.append("no control was asked for: add none to the sources to see what transfer gains")
    elif not levelled(measured.done[judged.control]):
        said.append(f"{judged.control} was still improving when its epochs ended: gains hold within this budget")
    if found.bench.test is not None:
        said.append(f"{len(found.bench.test)} examples of the test part were left alone")
    return tuple(dict.fromkeys(said))


def _write(record: ComparisonRecord, evidence: Evidence, bench: Bench) -> None:
    """Predictions first, the record last: where there is a record, all of it is there."""
    folder = bench.ledger.folder
    aside = folder / f".{kept.NAME}.aside"
    kept.write(aside, evidence)
    aside.replace(folder / kept.NAME)
    work_file.replace_text(folder / NAME, record.to_json())
