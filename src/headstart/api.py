"""The public calls. Each only composes stages: read, extract, tier 0, tier 1, verdict, refit, record."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from headstart import asking, exhibits, runs, tracking
from headstart.advisor.account import histories, record
from headstart.advisor.advise import AdviceResult, options
from headstart.advisor.banner import facts
from headstart.advisor.clock import Clock
from headstart.advisor.compare import Wanted, check_folder, columns
from headstart.advisor.compare import compare as compared
from headstart.advisor.glance import glance
from headstart.advisor.self_test import self_test as tested
from headstart.advisor.self_test import stating
from headstart.advisor.study import Study, conclude, first_tier, settled, with_steps
from headstart.advisor.survey import Question, Survey, survey
from headstart.advisor.work import Work
from headstart.core.comparison import NONE, ComparisonRecord
from headstart.core.errors import UserError
from headstart.core.problem import Kind
from headstart.core.progress import Progress, Silent
from headstart.core.record import AskedRecord, Record
from headstart.data.dataset import Dataset
from headstart.data.handed import Given
from headstart.data.store import Store
from headstart.evaluation.delivery import Asked as Deliver
from headstart.metrics.scores import metric as metric_named
from headstart.report.comparison import write as write_comparison
from headstart.report.page import write as write_report
from headstart.result import Result
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.load import load as load_source
from headstart.sources.source import Source


def read(
    path: Given,
    *,
    target: str | None = None,
    text: str | None = None,
    kind: Kind | None = None,
    group: str | None = None,
    test: Given | None = None,
) -> Dataset:
    """Read and inspect data: a folder a class, {train,test}/class, a table with a column of paths or texts, an object.

    Raises:
        UserError: nothing usable is there.
    """
    store = Store()
    lies, target, held = asking.given(path, target, test, store)
    reader, where = asking.lies(lies, AskedRecord(target=target, group=group, test=held, text=text, kind=kind))
    return reader.read(where, store, Silent())


def source(name: str, access: Access = NOTHING_SPECIAL, progress: Progress | None = None) -> Source:
    """A source by `provider:name`: a net with its card, ready for surgery.

    Raises:
        UserError: an unknown name, weights that cannot be had, or a licence that was not opted in to.
    """
    return load_source(name, access, progress)


def fit(
    path: Given,
    *,
    target: str | None = None,
    text: str | None = None,
    kind: Kind | None = None,
    sources: Sequence[str] = (),
    strategies: Sequence[str] = (),
    stage: str | None = None,
    minutes: float = 10.0,
    metric: str | None = None,
    test: Given | None = None,
    group: str | None = None,
    deliver: Deliver = "auto",
    out: str | Path | None = None,
    seed: int = 0,
    replay: str | Path | None = None,
    access: Access = NOTHING_SPECIAL,
    thumbnails: bool = True,
    self_test: bool = False,
    track: str | None = None,
    progress: Progress | None = None,
) -> Result:
    """Find out whether, what and how to transfer; do it; show with a control whether it helped.

    Args:
        path: the data: where it lies, or a DataFrame, an Arrow table, a `datasets.Dataset` or `DatasetDict`, or
            (examples, targets) as arrays.
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
        thumbnails: keep examples beside the model, to be shown in the report and as the nearest of new ones.
        self_test: also count, beyond the minutes, how often a gain is claimed on this data where there is none.
        track: a tracker to tell as the run goes on: tensorboard, wandb, mlflow, trackio.
        progress: where steps are shown.

    Raises:
        UserError: whatever the user can mend.
    """
    tracking.check(track, offline=access.offline)
    shown, store = progress or Silent(), Store()
    lies, target, held = asking.given(path, target, test, store)
    said = AskedRecord(
        target=target, text=text, kind=kind, group=group, test=held, sources=tuple(sources),
        strategies=tuple(strategies), stage=stage, minutes=minutes, metric=metric, deliver=deliver, seed=seed,
        no_thumbnails=not thumbnails, self_test=self_test, **asking.permitted(access),
    )  # fmt: skip
    return _fitted(lies, said, replay, access, store, shown, out, track)


def advise(
    path: Given,
    *,
    target: str | None = None,
    text: str | None = None,
    kind: Kind | None = None,
    sources: Sequence[str] = (),
    strategies: Sequence[str] = (),
    minutes: float = 1.0,
    metric: str | None = None,
    test: Given | None = None,
    group: str | None = None,
    seed: int = 0,
    access: Access = NOTHING_SPECIAL,
    progress: Progress | None = None,
) -> AdviceResult:
    """Measure what is cheap to measure, train nothing for keeps: every option with its estimate, minutes and reason."""
    shown, clock, store = progress or Silent(), Clock(), Store()
    lies, target, held = asking.given(path, target, test, store)
    said = AskedRecord(
        target=target, text=text, kind=kind, group=group, test=held, sources=tuple(sources),
        strategies=tuple(strategies), minutes=minutes, metric=metric, seed=seed, **asking.permitted(access),
    )  # fmt: skip
    data, loaded, wanted = _opened(lies, said, access, store, shown, clock)
    asked = asking.settled(data, said, loaded, wanted[1])
    with tempfile.TemporaryDirectory() as scratch:
        question = Question(data, asked, tuple(loaded.values()), wanted[1], Path(scratch))
        shown.begins(facts(question, "leave-one-out; nothing is trained for keeps"))
        found = survey(question, None, store, shown, clock)
        with clock.stage("select"):
            seen = glance(found.bench, found.arms, found.work.sources, metric_named(asked.metric))
        work = with_steps(found.work, found.arms, seen.tier, found.bench.data, asked.minutes * 60)
        return options(found.bench, found.arms, work, seen, found.cards.values())


def compare(
    path: Given,
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
        path: the data, as `fit` takes it.
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
    lies, target, _ = asking.given(path, target, None, store)
    said = AskedRecord(
        target=target, text=text, kind=kind, group=group, sources=tuple(sources), strategies=tuple(strategies),
        metric=metric, seed=seed, **asking.permitted(access),
    )  # fmt: skip
    reader, where = asking.lies(lies, said)
    named, controls = columns(sources or (*reader.sources, NONE), seeds, epochs)
    wanted = asking.checked(said, named, strategies or reader.strategies)
    data = reader.read(where, store, shown)
    folder = store.root / "comparisons" / data.fingerprint[:16] if out is None else Path(out)
    check_folder(folder, data)
    loaded = asking.loaded(data.modality.fitting(named), access, shown, clock)
    asked = asking.settled(data, said, loaded, wanted[1])
    question = Question(data, asked, tuple(loaded.values()), wanted[1], folder)
    found = compared(Wanted(question, controls, seeds, epochs, said), store, shown, clock)
    write_comparison(folder)
    return found


def load(run: str | Path) -> Result:
    """Open a finished run.

    Raises:
        UserError: the folder holds no finished run.
    """
    return Result(runs.read_record(Path(run)), Path(run))


def _fitted(
    lies: Path,
    said: AskedRecord,
    replay: str | Path | None,
    access: Access,
    store: Store,
    shown: Progress,
    out: str | Path | None,
    track: str | None,
) -> Result:
    """What `fit` finds out, unless a finished run has answered the very question."""
    clock = Clock()
    replayed, said = asking.as_before(replay, said)
    data, loaded, wanted = _opened(lies, said, access, store, shown, clock)
    asked = asking.settled(data, said, loaded, wanted[1])
    finished = store.root / "runs" / (asking.digest(asked) + "-tested" * said.self_test) if out is None else Path(out)
    if not replay and (known := runs.answered(finished, asked, shown, self_test=said.self_test)) is not None:
        if said.no_thumbnails:
            exhibits.forget(finished)
        return Result(known, finished)
    question = Question(data, asked, tuple(loaded.values()), wanted[1], runs.unfinished(finished))
    with tracking.tracked(track, finished, said, shown) as (tracked, tell):
        found = _surveyed(question, replayed, finished, store, tracked, clock)
        result, history = _finish(found, said, finished, clock)
        tell(result.record, history)
    return result


def _opened(
    path: Path, said: AskedRecord, access: Access, store: Store, progress: Progress, clock: Clock
) -> tuple[Dataset, dict[str, Source], asking.Names]:
    """The data, the sources by the names that they were asked by, and what competes."""
    reader, where = asking.lies(path, said)
    sources, strategies = said.sources or reader.sources, said.strategies or reader.strategies
    wanted = asking.checked(said, sources, strategies)
    with clock.stage("read"):
        data = reader.read(where, store, progress)
    return data, asking.loaded(data.modality.fitting(wanted[0]), access, progress, clock), wanted


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


def _finish(
    found: Survey, said: AskedRecord, finished: Path, clock: Clock
) -> tuple[Result, list[Mapping[str, object]]]:
    """Climb, judge, deliver, write; the run appears whole. Beside it the rows of its history."""
    study = _study(found, clock)
    folder = found.bench.ledger.folder
    with clock.stage("evaluate"):
        made = _record(found, study, clock).model_copy(update={"asked": said})
        written = stating(tested(found, study.done) if said.self_test else None, made)
        history = histories(study)
        aside = runs.write(folder, written, study, history, found.cards)
        if not said.no_thumbnails:
            exhibits.write(aside, found.data, found.bench.data, found.bench.progress)
        write_report(aside, called=finished)
        runs.publish(folder, finished)
    return Result(written, finished), history


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
