"""The page's tables, from the record and the predictions."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.plan import Plan, Rule, Solve, Train
from headstart.core.predictions import Floats, Ints
from headstart.core.record import Candidate, Record, Span
from headstart.evaluation.closing import asked, command
from headstart.metrics.scores import metric
from headstart.report.inputs import Outputs
from headstart.report.words import percent

Row = dict[str, Any]


def ranked(record: Record) -> tuple[Candidate, ...]:
    """The candidates: scored ones from best to worst, then those that were ruled out, in their order."""
    sign = -1 if metric(record.metric).higher_is_better else 1
    return tuple(sorted(record.candidates, key=lambda c: (c.score is None, sign * c.score.value if c.score else 0.0)))


def counts(found: Outputs) -> Floats:
    """(C, C) confusion counts, truth by rows; an example that was predicted several times counts once in all."""
    size = len(found.classes)
    cells = found.truth * size + found.named()
    matrix = np.zeros(size * size)
    np.add.at(matrix, cells, found.weights())
    return matrix.reshape(size, size)


def per_class(confusion: Floats, classes: Sequence[str], n_per_class: Mapping[str, int]) -> list[Row]:
    """Recall and precision of each class, the worst recall first."""
    said, true, right = confusion.sum(axis=0), confusion.sum(axis=1), np.diag(confusion)
    rows = [
        {
            "name": name,
            "examples": n_per_class.get(name, 0),
            "scored": round(float(true[i])),
            "recall": float(right[i] / true[i]) if true[i] > 0 else None,
            "precision": float(right[i] / said[i]) if said[i] > 0 else None,
        }
        for i, name in enumerate(classes)
    ]
    return sorted(rows, key=lambda r: 2.0 if r["recall"] is None else r["recall"])


def per_label(found: Outputs, n_per_class: Mapping[str, int]) -> list[Row]:
    """Recall and precision of each label, the worst recall first; an example counts once, however often predicted."""
    said, true, weights = found.scaled() >= 0.5, found.truth > 0, found.weights()
    both, named, there = (weights @ table for table in (said & true, said, true))
    rows = [
        {
            "name": name,
            "examples": n_per_class.get(name, 0),
            "scored": round(float(there[i])),
            "recall": float(both[i] / there[i]) if there[i] > 0 else None,
            "precision": float(both[i] / named[i]) if named[i] > 0 else None,
        }
        for i, name in enumerate(found.classes)
    ]
    return sorted(rows, key=lambda r: 2.0 if r["recall"] is None else r["recall"])


def confused(confusion: Floats, classes: Sequence[str], n: int = 6) -> list[Row]:
    """The pairs that are mixed up most often."""
    off = confusion - np.diag(np.diag(confusion))
    flat = np.argsort(-off, axis=None, kind="stable")[:n]
    pairs = [(int(i) // len(classes), int(i) % len(classes)) for i in flat]
    return [{"truth": classes[i], "said": classes[j], "n": round(float(off[i, j]))} for i, j in pairs if off[i, j] >= 1]


def hardest(confusion: Floats, limit: int) -> Ints:
    """Positions of at most `limit` classes, those with the most errors, in their own order."""
    errors = confusion.sum(axis=0) + confusion.sum(axis=1) - 2 * np.diag(confusion)
    return np.sort(np.argsort(-errors, kind="stable")[:limit])


def doubled(record: Record) -> Span | None:
    """The score with twice the labels of the arm whose labels are priced, if the last doubling is surely worth any."""
    found = record.measures
    worth = next((one.worth for one in found.prices if one.label is None), None) if found else None
    if found is None or found.curve is None or worth is None or worth.low <= 0:
        return None
    last = found.curve.points[-1]
    now = (last.transfer if found.priced == found.curve.transfer else last.control).value
    sign = 1 if metric(record.metric).higher_is_better else -1
    low, high = sorted((now + sign * worth.low, now + sign * worth.high))
    return Span(value=now + sign * worth.value, low=low, high=high)


def plan_rows(plan: Plan) -> list[tuple[str, list[tuple[str, str]]]]:
    """The resolved plan: a heading a phase, and what was fixed in it."""
    start = "the source's weights" if plan.start == "weights" else "random weights"
    phases = [(f"{i}. {phase.phase}", _phase(phase)) for i, phase in enumerate(plan.phases, 1)]
    hidden = [("hidden layers of the head", ", ".join(map(str, plan.hidden)))] if plan.hidden else []
    found = [("start", [("from", start), *hidden]), *phases]
    return [(heading, [(key[0].upper() + key[1:], entry) for key, entry in rows]) for heading, rows in found]


def _phase(phase: Solve | Train) -> list[tuple[str, str]]:
    if isinstance(phase, Solve):
        penalty = "exact leave-one-out" if phase.penalty is None else f"{phase.penalty:g}"
        stages = ", ".join(phase.stages)
        return [("estimator", phase.estimator), ("stages", f"{stages} ({phase.select})"), ("penalty", penalty)]
    fixed = [
        ("epochs", str(phase.epochs)),
        ("optimiser", f"{phase.optimiser}, decay {phase.decay:g}, batches of {phase.batch}"),
        ("schedule", f"{phase.schedule}, warm-up {percent(phase.warmup)}"),
        ("norm layers", phase.norm or "measured"),
        ("augmentation", "yes" if phase.augment else "no"),
    ]
    fixed += [("pull to the start", f"{phase.pull:g}")] if phase.pull else []
    fixed += [("source's classifier beside the head", f"weight {phase.co_tune:g}")] if phase.co_tune else []
    fixed += [("adapters", f"rank {phase.rank}")] if phase.rank else []
    return fixed + [(f"rate of {rule.where}", _rate(rule, phase.lr)) for rule in phase.rules]


def _rate(rule: Rule, lr: float | None) -> str:
    if rule.rate is None:
        return "frozen"
    return f"{rule.rate:g} \N{MULTIPLICATION SIGN} the base rate" if lr is None else f"{rule.rate * lr:.3g}"


def times(record: Record) -> list[Row]:
    """Where the time went: name, seconds, share in percent of the total."""
    spent = record.seconds.model_dump()
    total = max(spent.pop("total"), sum(spent.values()), 1e-9)
    rest = total - sum(spent.values())
    parts = {**spent, **({"other": rest} if rest > 0.01 * total else {})}
    return [{"name": name, "seconds": s, "share": round(100 * s / total, 2)} for name, s in parts.items()]


def work(record: Record) -> list[tuple[str, str]]:
    """What the time was turned into, and the memory."""
    budget = record.budget
    counted = [(name.replace("_", " ").capitalize(), f"{n:,}") for name, n in record.work_done.items()]
    folds = f"{budget.repeats} \N{MULTIPLICATION SIGN} {budget.folds} folds; gradient arms on {budget.m}"
    return [("Work", folds), *counted, ("Peak memory", f"{record.peak_memory_mb:,.0f} MB")]


def similarity(record: Record) -> list[tuple[str, str]]:
    """The textbook's size and similarity, in measured quantities."""
    advice, numbers = record.advice, record.tasks[0].kind == "regression"
    points = f"{100 * advice.similarity:+.1f} points{' of R2' if numbers else ''}"
    chance = [] if advice.p_helps is None else [("Chance that transfer helps", percent(advice.p_helps))]
    return [
        ("Quadrant", advice.quadrant),
        ("Examples" if numbers else "Examples per class", f"{advice.n_per_class:,.0f}"),
        ("Similarity", f"{points}, last stage against the best earlier one"),
        ("Over random", f"{100 * advice.over_random:+.1f} points, last stage against random features"),
        *chance,
    ]


def commands(record: Record, run: Path) -> list[str]:
    """What to type, beside the run's folder, to do the same work again and to check the numbers."""
    at = Path(run.name) if run.is_absolute() else run
    said = {"replay": (at / "work.json").as_posix(), "out": f"{at.as_posix()}-again"}
    again = command("fit", record.data.path, asked(record), **said)
    return [again, shlex.join(["headstart", "verify", at.as_posix()])]
