"""The account of a study: its record, sentence by sentence and figure by figure."""

import platform
import resource
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from headstart.advisor.budget import optimistic
from headstart.advisor.clock import Clock
from headstart.advisor.ledger import Done
from headstart.advisor.study import Study
from headstart.core.plan import Plan
from headstart.core.record import (
    Audit,
    Budget,
    Calibration,
    Candidate,
    Control,
    DataRecord,
    Gain,
    Measures,
    Record,
    Score,
    Seconds,
    SourceRecord,
    TaskRecord,
    Verdict,
)
from headstart.data.dataset import Dataset
from headstart.evaluation.closing import gained, wrong
from headstart.evaluation.figures import Figures
from headstart.evaluation.folds import FOLDS
from headstart.evaluation.transfer_measures import measures
from headstart.evaluation.verdict import Comparison
from headstart.metrics.intervals import LEVEL, Interval
from headstart.metrics.scores import metric as metric_named
from headstart.sources.card import Card
from headstart.training.plan_learner import FittedNet

PACKAGES = ("headstart", "torch", "timm", "numpy", "scikit-learn", "pillow")
LEVELLED = 0.01  # gain over the last third of an inner run above which a control's curve still rises


def score(interval: Interval, n: int, on: str) -> Score:
    """An interval as the record states it."""
    ends = {"value": interval.value, "low": interval.low, "high": interval.high}
    return Score.model_validate({**ends, "level": LEVEL, "n": n, "on": on})


def record(
    study: Study,
    *,
    data: Dataset,
    test: Dataset | None,
    how_tested: str,
    cards: Mapping[str, Card],
    clock: Clock,
    work_done: Mapping[str, int],
    warnings: Sequence[str],
) -> Record:
    """The record of a finished study.

    Args:
        study: what was found.
        data: all that is not test.
        test: the test part.
        how_tested: "given", "split" or "none".
        cards: of the candidate sources.
        clock: where time went.
        work_done: counted work.
        warnings: about data and preconditions.
    """
    judged = study.figures.comparison
    if judged is None:
        raise ValueError("a study without a comparison cannot be recorded")
    delivered = study.fitted[study.decision.delivered]
    figures = study.figures
    notes = tuple(dict.fromkeys(note for done in study.done.values() for one in done for note in one.notes))
    candidates = all_candidates(study, 0 if test is None else len(test))
    return Record(
        setting="inductive",
        tasks=(TaskRecord(name=data.task.name, kind=data.task.kind, classes=data.task.classes),),
        data=data_record(data, test, how_tested, warnings),
        sources=tuple(map(source_record, cards.values())),
        strategy=study.decision.delivered,
        stages=delivered.stages,
        metric=study.work.asked.metric,
        score=score(figures.score, figures.n, figures.on),
        scores=dict(figures.scores),
        control=_control(study, judged),
        gain=Gain.model_validate(score(judged.gain, len(judged.index), "out-of-fold").model_dump()),
        verdict=_verdict(study, judged, data.modality.name),
        decision=study.decision,
        audit=_audit(figures.audit, judged.gain),
        reason=_reason(study, judged),
        candidates=candidates,
        stage_curve=study.curve,
        advice=study.advice,
        measures=_measures(study),
        calibration=_calibration(figures, data.task.classes),
        notes=(*notes, *_contradiction(study)),
        budget=_budget(study),
        seconds=_seconds(clock),
        work_done=dict(work_done),
        peak_memory_mb=peak_memory_mb(),
        seed=study.work.asked.seed,
        versions=versions(),
    )


def all_candidates(study: Study, n_test: int) -> tuple[Candidate, ...]:
    """Arms that ran, then those that did not, each with its reason."""
    best = max(
        (value.value for arm, (value, _) in study.figures.arms.items() if study.evidence.roles[arm] == "transfer"),
        default=0.0,
    )
    ran = tuple(_ran(study, arm, n_test) for arm in study.evidence.oof.arms())
    granted = {climb.arm for climb in study.work.climbs or ()}
    roles = {one.name: one.role for one in study.arms.gradient}
    left = [(out.name, "unaffordable", out.why) for out in study.work.not_climbed]
    left += [(name, "pruned", why) for name, why in study.work.pruned.items()]
    left += [(name, "skipped", why) for name, why in study.arms.skipped]
    left += [(name, status, why) for name, (status, why) in study.out.items()]
    not_run = tuple(
        Candidate.model_validate(
            {
                "name": name, "role": roles.get(name, "transfer"), "source": None, "strategy": name, "stages": (),
                "estimate": optimistic(best) if status == "unaffordable" else None, "score": None, "seconds": 0.0,
                "status": status, "why": why,
            }
        )
        for name, status, why in left
        if name not in granted or name in study.out
    )  # fmt: skip
    sources = tuple(
        Candidate(
            name=f"any strategy on {out.name}", role="transfer", source=out.name, strategy="", stages=(), score=None,
            seconds=0.0, status="unaffordable", why=out.why,
        )
        for out in study.work.left_out
    )  # fmt: skip
    return (*ran, *not_run, *sources)


def _ran(study: Study, arm: str, n_test: int) -> Candidate:
    value, n = study.figures.arms[arm]
    done = study.done[arm]
    fitted = study.fitted.get(arm)
    last = done[-1]
    tested = study.figures.tested.get(arm)
    return Candidate(
        name=arm,
        role=study.evidence.roles[arm],
        source=fitted.source if fitted else last.source,
        strategy=arm,
        stages=fitted.stages if fitted else last.stages,
        score=score(value, n, "out-of-fold"),
        test=None if tested is None else score(tested, n_test, "test"),
        seconds=sum(one.seconds for one in done),
        status="done",
        why=_why(study, arm),
        plan=fitted.resolved if fitted else Plan.from_json(last.plan) if last.plan else None,
    )


def _why(study: Study, arm: str) -> str:
    judged = study.figures.comparison
    if judged is None:
        return ""
    if arm == study.decision.delivered:
        return "delivered"
    if arm == judged.transfer:
        return "best transfer arm"
    if arm == judged.control:
        return "strongest control"
    rival = judged.transfer if study.evidence.roles[arm] == "transfer" else judged.control
    _, n = study.figures.arms[arm]
    if n < study.figures.arms[rival][1]:
        return f"not surely better than {rival} on the {n} examples that it scored"
    return f"scored below {rival}"


def _control(study: Study, judged: Comparison) -> Control:
    ends = {"value": judged.of_control.value, "low": judged.of_control.low, "high": judged.of_control.high}
    return Control(name=judged.control, levelled=levelled(study.done[judged.control]), **ends)


def levelled(done: Sequence[Done]) -> bool:
    """Whether an arm's validation accuracy had stopped rising on its inner run; closed forms have no curve."""
    curve = [epoch["validation_accuracy"] for epoch in done[0].history if epoch["validation_accuracy"] is not None]
    if len(curve) < 3:
        return not done[0].history
    third = len(curve) // 3
    return max(curve[-third:]) - max(curve[:-third]) < LEVELLED


def _verdict(study: Study, judged: Comparison, modality: str) -> Verdict:
    helped = {"helped": True, "hurt": False, "undecided": None}[judged.claim]
    return Verdict(
        claim=judged.claim,
        helped=helped,
        transfer=judged.transfer,
        control=judged.control,
        sentence=sentence(study, judged, modality),
        labels_to_decide=judged.labels_to_decide,
    )


def sentence(study: Study, judged: Comparison, modality: str) -> str:
    """The verdict in one sentence, and how often what is delivered is wrong."""
    figures, kind = study.figures, study.evidence.kind
    even = levelled(study.done[judged.control])
    claim = gained(judged, study.work.asked.metric, levelled=even, rival=_rival(study, judged))
    return f"{claim}; {wrong(kind, figures.scores, figures.n, figures.on, modality, figures.off)}."


def _rival(study: Study, judged: Comparison) -> tuple[str, int] | None:
    """The best transfer arm that scored higher than the one that stands for transfer, on fewer examples."""
    sign = 1.0 if metric_named(study.work.asked.metric).higher_is_better else -1.0
    stands, n = study.figures.arms[judged.transfer]
    others = {
        arm: (sign * value.value, count)
        for arm, (value, count) in study.figures.arms.items()
        if study.evidence.roles[arm] == "transfer" and count < n and sign * value.value > sign * stands.value
    }
    best = max(others, key=lambda arm: others[arm][0], default=None)
    return None if best is None else (best, others[best][1])


def _audit(gain: Interval | None, claimed: Interval) -> Audit | None:
    if gain is None:
        return None
    opposite = (claimed.low > 0 and gain.high < 0) or (claimed.high < 0 and gain.low > 0)
    return Audit(gain=gain.value, low=gain.low, high=gain.high, contradicts=opposite)


def _measures(study: Study) -> Measures:
    metric, curves = metric_named(study.work.asked.metric), study.curves
    history = histories(study)
    return measures(study.evidence, metric, study.work.asked.seed, history, curves.why_none, curves.seconds)


def _contradiction(study: Study) -> tuple[str, ...]:
    judged, audit = study.figures.comparison, study.figures.audit
    if judged is None or audit is None or not (made := _audit(audit, judged.gain)) or not made.contradicts:
        return ()
    return (f"the test contradicts the claim: gain {audit.value:+.3f} [{audit.low:+.3f}, {audit.high:+.3f}] there",)


def _reason(study: Study, judged: Comparison) -> str:
    decision = study.decision
    return (
        f"{decision.delivered} is delivered: {decision.rule}; "
        f"P(gain > 0) = {judged.p_gain:.2f}, P(gain < -margin) = {judged.p_harm:.2f}."
    )


def data_record(data: Dataset, test: Dataset | None, how: str, warnings: Sequence[str]) -> DataRecord:
    """The data as it was read, and what is to be said of it."""
    return DataRecord.model_validate(
        {
            "path": data.path, "n_train": len(data), "n_test": 0 if test is None else len(test),
            "n_per_class": data.counts(), "modality": data.modality.name, "fingerprint": data.fingerprint,
            "warnings": (*data.warnings, *warnings), "skipped": data.skipped, "duplicates": data.duplicates,
            "test": how,
        }
    )  # fmt: skip


def source_record(card: Card) -> SourceRecord:
    """Where knowledge came from, by its card."""
    on = card.trained_on
    return SourceRecord(
        name=card.name,
        sha256=card.sha256,
        licence=card.licence.name,
        trained_on=on.name if on else None,
        trained_on_n=on.n if on else None,
    )


def _calibration(figures: Figures, classes: Sequence[str]) -> Calibration:
    before, after = figures.error_before, figures.error_after
    reading = figures.reading
    weights = dict(zip(classes, reading.weights.tolist(), strict=False))  # numbers have no classes
    return Calibration(
        temperature=reading.temperature, error_before=before, error_after=after, on=figures.on, tau=reading.tau,
        class_weights=weights, off=figures.off,
    )  # fmt: skip


def _budget(study: Study) -> Budget:
    return Budget(
        minutes=study.work.asked.minutes,
        folds=FOLDS,
        repeats=len(study.evidence.oof.maps),
        m=(study.work.m or 0) if study.work.climbs else 0,
    )


def _seconds(clock: Clock) -> Seconds:
    stages = {name: clock.spent.get(name, 0.0) for name in ("read", "extract", "select", "train", "evaluate")}
    return Seconds(**stages, total=clock.total)


def versions() -> dict[str, str]:
    """Of what the numbers depend on."""
    return {**{name: version(name) for name in PACKAGES}, "python": platform.python_version()}


def peak_memory_mb() -> float:
    """Largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024) if sys.platform == "darwin" else peak / 1024


def histories(study: Study) -> list[Mapping[str, object]]:
    """Rows of `history.jsonl`: train and validation curves of every gradient run."""
    rows: list[Mapping[str, object]] = []
    for arm, done in study.done.items():
        names = ["inner", *(f"fold {i + 1}" for i in range(len(done) - 1))]
        rows += [
            {"arm": arm, "unit": unit, **epoch} for unit, one in zip(names, done, strict=True) for epoch in one.history
        ]
    for arm, fitted in study.fitted.items():
        if isinstance(fitted, FittedNet):
            rows += [{"arm": arm, "unit": "final", **vars(epoch)} for epoch in fitted.history]
    return rows
