"""The public calls. Each only composes stages: read, extract, tier 0, tier 1, verdict, refit, record."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from headstart import exhibits, runs
from headstart.advisor import work as work_file
from headstart.advisor.account import histories, record
from headstart.advisor.advise import AdviceResult, options
from headstart.advisor.arms import strategies as known_strategies
from headstart.advisor.banner import NO_BUDGET, facts
from headstart.advisor.clock import Clock
from headstart.advisor.compare import Wanted, check_folder, columns
from headstart.advisor.compare import compare as compared
from headstart.advisor.glance import glance
from headstart.advisor.self_test import self_test as tested
from headstart.advisor.self_test import stating
from headstart.advisor.study import Study, conclude, first_tier, settled, with_steps
from headstart.advisor.survey import Question, Survey, survey
from headstart.advisor.work import Asked, Work
from headstart.core.comparison import NONE, ComparisonRecord
from headstart.core.errors import UserError
from headstart.core.problem import Kind
from headstart.core.progress import Progress, Silent
from headstart.core.record import Record
from headstart.data.dataset import Dataset
from headstart.data.labelled import Where
from headstart.data.store import Store
from headstart.evaluation.delivery import Asked as Deliver
from headstart.metrics.scores import deciding
from headstart.metrics.scores import metric as metric_named
from headstart.modalities import catalog as kinds
from headstart.report.comparison import write as write_comparison
from headstart.report.page import write as write_report
from headstart.result import Result
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.load import load as load_source
from headstart.sources.source import Source
from headstart.strategies.catalog import fingerprint


def read(
    path: str | Path,
    *,
    target: str | None = None,
    text: str | None = None,
    kind: Kind | None = None,
    group: str | None = None,
    test: str | None = None,
) -> Dataset:
    """Read and inspect data: a folder a class, {train,test}/class, or a table with a column of paths or texts.

    Raises:
        UserError: nothing usable is there.
    """
    reader, where = _lies(path, target, group, test, text, kind)
    return reader.read(where, Store(), Silent())


def source(name: str, access: Access = NOTHING_SPECIAL, progress: Progress | None = None) -> Source:
    """A source by `provider:name`: a net with its card, ready for surgery.

    Raises:
        UserError: an unknown name, weights that cannot be had, or a licence that was not opted in to.
    """
    return load_source(name, access, progress)


def fit(
    path: str | Path,
    *,
    target: str | None = None,
    text: str | None = None,
    kind: Kind | None = None,
    sources: Sequence[str] = (),
    strategies: Sequence[str] = (),
    stage: str | None = None,
    minutes: float = 10.0,
    metric: str | None = None,
    test: str | None = None,
    group: str | None = None,
    deliver: Deliver = "auto",
    out: str | Path | None = None,
    seed: int = 0,
    replay: str | Path | None = None,
    access: Access = NOTHING_SPECIAL,
    thumbnails: bool = True,
    self_test: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Find out whether, what and how to transfer; do it; show with a control whether it helped.

    Args:
        path: the data.
        target: the label column of a table.
        text: the column of a table that holds texts; found where it is not named.
        kind: of task: classification, multi-label or regression; found from the target where it is not named.
        sources: names to choose from; none means the packaged defaults.
        strategies: names to choose from; none means all.
        stage: forces the stage of the closed-form strategies ("last", a name, an index).
        minutes: of work on this machine.
        metric: that decides; accuracy, mean average precision of labels, or R2 of numbers where none is named.
        test: a test set of the same form.
        group: a column whose equal values never cross a fold.
        deliver: "auto" decides by the gate; "transfer" and "control" overrule it.
        out: run folder; an unfinished run there is resumed.
        seed: of everything random.
        replay: a `work.json` to repeat.
        access: what is allowed when sources are loaded: any licence, files of unknown origin, no network.
        thumbnails: show examples in the report, and what answers on them rest on.
        self_test: also count, beyond the minutes, how often a gain is claimed on this data where there is none.
        progress: where steps are shown.

    Raises:
        UserError: whatever the user can mend.
    """
    shown, clock, store = progress or Silent(), Clock(), Store()
    replayed, sources, strategies, stage, minutes = _as_before(replay, sources, strategies, stage, minutes)
    reader, where = _lies(path, target, group, test, text, kind, sources)
    wanted = _checked(sources or reader.sources, strategies or reader.strategies, metric, minutes)
    data = _read(reader, where, store, shown, clock)
    loaded = _loaded(data.modality.fitting(wanted[0]), access, shown, clock)
    asked = _asked(data, target, loaded, wanted, stage, minutes, metric, deliver, seed)
    finished = store.root / "runs" / (_digest(asked) + "-tested" * self_test) if out is None else Path(out)
    if not replay and (known := runs.answered(finished, asked, shown, self_test=self_test)) is not None:
        return Result(known, finished)
    question = Question(data, asked, tuple(loaded.values()), wanted[1], runs.unfinished(finished))
    return _finish(_surveyed(question, replayed, finished, store, shown, clock), finished, clock, thumbnails, self_test)


def advise(
    path: str | Path,
    *,
    target: str | None = None,
    text: str | None = None,
    kind: Kind | None = None,
    sources: Sequence[str] = (),
    strategies: Sequence[str] = (),
    minutes: float = 1.0,
    metric: str | None = None,
    test: str | None = None,
    group: str | None = None,
    seed: int = 0,
    access: Access = NOTHING_SPECIAL,
    progress: Progress | None = None,
) -> AdviceResult:
    """Measure what is cheap to measure, train nothing for keeps: every option with its estimate, minutes and reason."""
    shown, clock, store = progress or Silent(), Clock(), Store()
    reader, where = _lies(path, target, group, test, text, kind, sources)
    wanted = _checked(sources or reader.sources, strategies or reader.strategies, metric, minutes)
    data = _read(reader, where, store, shown, clock)
    loaded = _loaded(data.modality.fitting(wanted[0]), access, shown, clock)
    asked = _asked(data, target, loaded, wanted, None, minutes, metric, "auto", seed)
    with tempfile.TemporaryDirectory() as scratch:
        question = Question(data, asked, tuple(loaded.values()), wanted[1], Path(scratch))
        shown.begins(facts(question, "leave-one-out; nothing is trained for keeps"))
        found = survey(question, None, store, shown, clock)
        with clock.stage("select"):
            seen = glance(found.bench, found.arms, found.work.sources, metric_named(asked.metric))
        work = with_steps(found.work, found.arms, seen.tier, found.bench.data, asked.minutes * 60)
        return options(found.bench, found.arms, work, seen, found.cards.values())


def compare(
    path: str | Path,
    *,
    target: str | None = None,
    text: str | None = None,
    kind: Kind | None = None,
    sources: Sequence[str] = (),
    strategies: Sequence[str] = (),
    seeds: int = 3,
    epochs: int | None = None,
    metric: str | None = None,
    group: str | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    access: Access = NOTHING_SPECIAL,
    progress: Progress | None = None,
) -> ComparisonRecord:
    """Every strategy on every source, and the controls, on the same folds: exactly what is asked for, without a budget.

    Args:
        path: the data.
        target: the label column of a table.
        text: the column of a table that holds texts; found where it is not named.
        kind: of task: classification, multi-label or regression; found from the target where it is not named.
        sources: names, "none" among them for the controls; nothing means the packaged defaults and "none".
        strategies: names; none means all that `fit` tries.
        seeds: fold maps to repeat everything on, each with training seeds of its own.
        epochs: tried at most by whatever trains.
        metric: that orders the table, and that gains are measured in; as `fit` has it where none is named.
        group: a column whose equal values never cross a fold.
        out: a folder for `comparison.json`, its page, `predictions.parquet` and the work; what is done there is not
            done again, whatever the table was that it was done for.
        seed: of everything random.
        access: what is allowed when sources are loaded.
        progress: where steps are shown; told beforehand how long it will take.

    Raises:
        UserError: whatever the user can mend.
    """
    shown, clock, store = progress or Silent(), Clock(), Store()
    reader, where = _lies(path, target, group, None, text, kind, sources)
    named, controls = columns(sources or (*reader.sources, NONE), seeds, epochs)
    wanted = _checked(named, strategies or reader.strategies, metric, NO_BUDGET)
    data = reader.read(where, store, shown)
    folder = store.root / "comparisons" / data.fingerprint[:16] if out is None else Path(out)
    check_folder(folder, data)
    loaded = _loaded(data.modality.fitting(named), access, shown, clock)
    asked = _asked(data, target, loaded, wanted, None, NO_BUDGET, metric, "auto", seed)
    question = Question(data, asked, tuple(loaded.values()), wanted[1], folder)
    found = compared(Wanted(question, controls, seeds, epochs), store, shown, clock)
    write_comparison(folder)
    return found


def load(run: str | Path) -> Result:
    """Open a finished run.

    Raises:
        UserError: the folder holds no finished run.
    """
    return Result(runs.read_record(Path(run)), Path(run))


def _lies(
    path: str | Path,
    target: str | None,
    group: str | None,
    test: str | Path | None,
    text: str | None,
    kind: Kind | None,
    sources: Sequence[str] = (),
) -> tuple[kinds.Reader, Where]:
    """Who reads the data, and where it lies; beside a source table it is a table."""
    where = Where(Path(path), target, group, None if test is None else Path(test), text, kind)
    table = any(name.startswith("table:") for name in sources)
    return kinds.reader("table" if table else kinds.kind_of(where)), where


def _read(reader: kinds.Reader, where: Where, store: Store, progress: Progress, clock: Clock) -> Dataset:
    with clock.stage("read"):
        return reader.read(where, store, progress)


def _as_before(
    replay: str | Path | None, sources: Sequence[str], strategies: Sequence[str], stage: str | None, minutes: float
) -> tuple[Work | None, Sequence[str], Sequence[str], str | None, float]:
    """The work to replay, if any, and what was asked: what is not said again is as it was."""
    if replay is None:
        return None, sources, strategies, stage, minutes
    was = (work := work_file.read(Path(replay))).asked
    return work, sources or was.sources, strategies or was.strategies, stage or was.stage, was.minutes


def _surveyed(
    question: Question, replayed: Work | None, finished: Path, store: Store, shown: Progress, clock: Clock
) -> Survey:
    """The survey; a mistake that shows there leaves nothing behind, unless earlier work can be resumed."""
    work = runs.begin(runs.free(finished), question.asked, replayed)
    shown.begins(facts(question))
    resumable = any((question.folder / "units").glob("*"))
    try:
        return survey(question, work, store, shown, clock)
    except UserError:
        if not resumable:
            runs.abandon(question.folder)
        raise


def _finish(found: Survey, finished: Path, clock: Clock, thumbnails: bool, self_test: bool) -> Result:
    """Climb, judge, deliver, write; the run appears whole."""
    study = _study(found, clock)
    folder = found.bench.ledger.folder
    with clock.stage("evaluate"):
        written = stating(tested(found, study.done) if self_test else None, _record(found, study, clock))
        aside = runs.write(folder, written, study, histories(study), found.cards)
        if thumbnails:
            exhibits.write(aside, found.data, found.bench.data, found.bench.progress)
        write_report(aside, called=finished)
        runs.publish(folder, finished)
    return Result(written, finished)


def _study(found: Survey, clock: Clock) -> Study:
    with clock.stage("select"):
        seconds = found.work.asked.minutes * 60
        work, tier = first_tier(found.work, found.bench, found.arms, lambda: seconds - clock.total)
        work = settled(work, found.bench, found.arms, tier, lambda: seconds - clock.total)
        found.save(work)
    return conclude(found.bench, found.arms, work, tier, clock, found.save)


def _record(found: Survey, study: Study, clock: Clock) -> Record:
    counted = {
        "decoded": found.store.counters["decoded"],
        "features_computed": found.store.counters["features_computed"],
        "units_computed": found.bench.ledger.computed,
        "units_resumed": found.bench.ledger.resumed,
    }
    return record(
        study, data=found.bench.data, test=found.bench.test, how_tested=found.how_tested, cards=found.cards,
        clock=clock, work_done=counted, warnings=found.warnings,
    )  # fmt: skip


def _checked(
    sources: Sequence[str], strategies: Sequence[str], metric: str | None, minutes: float
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and numbers that can be refused before anything is read."""
    if metric is not None:
        metric_named(metric)
    work_file.check_minutes(minutes)
    return tuple(sources), known_strategies(strategies)


def _loaded(names: Sequence[str], access: Access, progress: Progress, clock: Clock) -> dict[str, Source]:
    """The sources by the names that they were asked by: an alias, such as +cut:-2, stands for what it means."""
    with clock.stage("extract"):
        return {name: load_source(name, access, progress) for name in names}


def _asked(
    data: Dataset,
    target: str | None,
    loaded: Mapping[str, Source],
    wanted: tuple[tuple[str, ...], tuple[str, ...]],
    stage: str | None,
    minutes: float,
    metric: str | None,
    deliver: Deliver,
    seed: int,
) -> Asked:
    return Asked(
        fingerprint=data.fingerprint, target=target, text=data.column, sources=tuple(loaded),
        identities=tuple(one.identity for one in loaded.values()), strategies=wanted[1], stage=stage, minutes=minutes,
        metric=deciding(metric, data.task.kind).name, kind=data.task.kind, deliver=deliver,
        seed=seed, plans=fingerprint(),
    )  # fmt: skip


def _digest(asked: Asked) -> str:
    return hashlib.sha256(asked.model_dump_json().encode()).hexdigest()[:16]
