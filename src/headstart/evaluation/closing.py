"""The sentences that a run ends with: what transfer did, how often the delivered model is wrong, what to do next."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from headstart.core.comparison import NONE
from headstart.core.problem import Kind
from headstart.core.record import AskedRecord, Candidate, Record
from headstart.core.said import examples, interval, signed
from headstart.core.shown import Shown
from headstart.evaluation.verdict import Comparison
from headstart.metrics.scores import deciding
from headstart.metrics.scores import metric as metric_named

TABLES = (".csv", ".parquet", ".jsonl")  # of which the column must be named
OVER: Mapping[str, str] = MappingProxyType(
    {
        "majority": "answering without a look",
        "raw": "the raw input alone",
        "tf-idf": "counted words (TF-IDF)",
        "boosting": "boosted trees",
        "minirocket": "fixed convolutions (MiniRocket)",
        "dtw": "the nearest neighbour (DTW)",
        "random-features": "an untrained net's features",
        "scratch": "training from scratch",
        "scratch-twin": "training the same net from scratch",
    }
)
"""What each control is, to be said behind "over"."""
BOTH = ("fit", "compare")
OPTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "--target": ("target", BOTH),
        "--text": ("text", BOTH),
        "--kind": ("kind", BOTH),
        "--group": ("group", BOTH),
        "--test": ("test", ("fit",)),
        "--source": ("sources", BOTH),
        "--strategy": ("strategies", BOTH),
        "--stage": ("stage", ("fit",)),
        "--minutes": ("minutes", ("fit",)),
        "--metric": ("metric", BOTH),
        "--deliver": ("deliver", ("fit",)),
        "--seed": ("seed", BOTH),
        "--licence": ("licence", BOTH),
        "--offline": ("offline", BOTH),
        "--trust": ("trust", BOTH),
        "--allow-missing": ("allow_missing", BOTH),
        "--no-thumbnails": ("no_thumbnails", ("fit",)),
        "--self-test": ("self_test", ("fit",)),
    }
)
"""An option, the key of what was asked that it says, and the commands that have it."""


def gained(judged: Comparison, metric: str, *, levelled: bool, rival: tuple[str, int] | None) -> str:
    """The claim, without a full stop.

    Args:
        judged: the comparison that the claim rests on.
        metric: that decides.
        levelled: whether the control had stopped improving.
        rival: a transfer arm with a better score on so few examples that it could not stand for transfer.
    """
    score = metric_named(metric)
    times, digits = (100, 1) if score.share else (1, 3)
    named = "" if metric == "accuracy" else f" of {metric.replace('_', ' ')}"
    unit = (" points" if score.share else "") + named + ("" if score.higher_is_better else " saved")
    value, low, high = (number * times for number in (judged.gain.value, judged.gain.low, judged.gain.high))
    ends = (low, high) if judged.claim == "helped" else (signed(low, digits), signed(high, digits))
    between = ", ".join(end if isinstance(end, str) else f"{end:.{digits}f}" for end in ends)
    within = "" if levelled else ", within this budget"
    over = f"{signed(value, digits)}{unit} [{between}] over {OVER.get(judged.control, judged.control)}{within}"
    if judged.claim == "helped":
        return f"Transfer helped: {over}"
    beside = ""
    if rival is not None:
        beside = f" ({rival[0]} scored better, on only {rival[1]} examples: too few to stand for transfer)"
    opening = "Transfer hurt" if judged.claim == "hurt" else "Undecided whether transfer helps"
    return f"{opening}: {judged.transfer} {over}{beside}"


def wrong(kind: Kind, scores: Mapping[str, float], n: int, on: str, modality: str, off: float | None) -> str:
    """How often the delivered model is wrong, or how far.

    Args:
        kind: of task.
        scores: every metric of the delivered model, there.
        n: examples that it was measured on.
        on: "test" or "out-of-fold", where counts are means over fold maps.
        modality: the kind of data.
        off: numbers: 90 % are at most so far off, out of fold.
    """
    where = f"{n:,} test {examples(modality, n)}" if on == "test" else f"{n:,} {examples(modality, n)}"
    said = _WRONG[kind](scores, n, where, off)
    return said if on == "test" else f"{said}, out of fold"


def _classes(scores: Mapping[str, float], n: int, where: str, off: float | None) -> str:  # noqa: ARG001
    return f"{round((1 - scores['accuracy']) * n):,} of {where} wrong"


def _labels(scores: Mapping[str, float], n: int, where: str, off: float | None) -> str:  # noqa: ARG001
    return f"{round((1 - scores['exact_match']) * n):,} of {where} with a label missing or too many"


def _numbers(scores: Mapping[str, float], n: int, where: str, off: float | None) -> str:  # noqa: ARG001
    most = "" if off is None else f" (90 % at most {off:.3g})"
    return f"{where} are off by {scores['mae']:.3g} on average{most}"


_WRONG: Mapping[Kind, Callable[[Mapping[str, float], int, str, float | None], str]] = MappingProxyType(
    {"classification": _classes, "multi-label": _labels, "regression": _numbers}
)


def next_steps(record: Record) -> tuple[str, ...]:
    """What a verdict other than `helped` means for the user, and which command may settle it; else nothing."""
    verdict, decision = record.verdict, record.decision
    if verdict.claim == "helped":
        return ()
    if verdict.claim == "hurt":
        if decision.role == "control":
            return (f"Delivered instead: {decision.delivered}, which takes nothing from a source.",)
        return (f"Delivered all the same, as {decision.rule} asked: {decision.delivered}.",)
    if record.gain is not None and record.gain.low == record.gain.high == 0:
        return ("Both answer alike on these examples: either will do.", *_next(record))
    more = verdict.labels_to_decide
    decided = (
        f"about {more:,} more labels would decide, were the gain to stay" if more else "more labels would hardly decide"
    )
    return (f"The interval leaves room for a gain and for a loss: {decided}.", *_next(record))


def ranked(record: Record) -> tuple[Candidate, ...]:
    """The arms that were scored: transfer from best to worst, then the controls likewise."""
    sign = -1.0 if metric_named(record.metric).higher_is_better else 1.0
    scored = [(one.role == "control", sign * one.score.value, one) for one in record.candidates if one.score]
    return tuple(one for *_, one in sorted(scored, key=lambda each: each[:2]))


def left_out(record: Record) -> tuple[str, ...]:
    """The arms that were not scored, those with the same reason in one line."""
    by: dict[tuple[str, str], list[str]] = {}
    for one in record.candidates:
        if one.score is None:
            by.setdefault((one.status, one.why), []).append(one.name)
    return tuple(f"{status}: {', '.join(names)}" + f" ({why})" * bool(why) for (status, why), names in by.items())


def shown(record: Record) -> Shown:
    """A run in one table, with its sentences."""
    columns = ("arm", "role", "source", f"{record.metric} [{record.score.level:.0%}]", "seconds", "")
    rows = tuple(
        (one.name, one.role, one.source or "-", interval(one.score), f"{one.seconds:.1f}", one.why)
        for one in ranked(record)
    )
    return Shown(record.verdict.sentence, rows, columns, columns[3:5], (*next_steps(record), *left_out(record)))


def command(name: str, data: str, asked: AskedRecord, **said: str) -> str:
    """A command with what the user asked for, to be typed where the first one was.

    Args:
        name: "fit" or "compare".
        data: where it lies.
        asked: what is not the default is said; what that command has no option for is not.
        said: further options, without dashes.
    """
    options: list[str] = []
    for option, (field, commands) in OPTIONS.items():
        value = getattr(asked, field)
        if name in commands and value != AskedRecord.model_fields[field].default:
            options += [option] if value is True else [option, _typed(value)]
    further = [word for option, value in said.items() for word in (f"--{option}", value)]
    return shlex.join(["headstart", name, data, *options, *further])


def asked(record: Record) -> AskedRecord:
    """What the user asked for, as far as the record tells: those of before it was kept tell less."""
    if record.asked is not None:
        return record.asked
    task, data = record.tasks[0], record.data.path
    target = None if task.name == "class" and Path(data).suffix not in TABLES else task.name
    metric = None if record.metric == deciding(None, task.kind).name else record.metric
    given = {"target": target, "minutes": record.budget.minutes, "metric": metric, "seed": record.seed}
    return AskedRecord.model_validate({**given, "deliver": record.decision.asked})


def _typed(value: str | float | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _next(record: Record) -> tuple[str, str]:
    """More minutes where arms were left out for want of them; a comparison without a clock where none was."""
    said, data = asked(record), record.data.path
    out = [one for one in record.candidates if one.status == "unaffordable"]
    left = list(dict.fromkeys(one.name if one.source is None else one.source for one in out))
    if left:
        longer = said.model_copy(update={"minutes": 2 * record.budget.minutes})
        short = f"{', '.join(left[:3])}{', ...' * (len(left) > 3)}"
        return f"Next, with more of the time that was short for {short}:", f"  {command('fit', data, longer)}"
    sources = (*said.sources, NONE) if said.sources else ()
    every = said.model_copy(update={"sources": sources, "strategies": ()})
    return "Next, every strategy on every source, without a clock:", f"  {command('compare', data, every)}"
