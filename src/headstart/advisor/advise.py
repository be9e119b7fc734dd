"""Advice: every option with its estimate, its minutes here, and the reason. Trains nothing for keeps."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from headstart.advisor.arms import Arms
from headstart.advisor.budget import climb_cost, optimistic, wish
from headstart.advisor.glance import Glance
from headstart.advisor.ladder import Bench
from headstart.advisor.rules import advice, says
from headstart.advisor.study import bound
from headstart.advisor.work import Work
from headstart.core.protocols import Role
from headstart.core.record import Advice, StageScore
from headstart.core.shown import Shown
from headstart.metrics.scores import metric as metric_named
from headstart.selection.outlook import outlook
from headstart.selection.rank import ranked
from headstart.sources.card import Card
from headstart.training.solve import AND

SHOWN = 3  # stages that are named; the rest stands in the JSON


@dataclass(frozen=True)
class Row:
    """One option."""

    strategy: str
    role: Role
    source: str | None
    stages: tuple[str, ...]
    estimate: float
    low: float
    high: float
    minutes: float
    reason: str


@dataclass(frozen=True)
class Static:
    """What is known of a source whatever the target: the rival that every transferability score has to beat.

    Attributes:
        source: its name.
        benchmark: its published score on its own task (ImageNet top-1, percent), if there is one.
        parameters: its size.
    """

    source: str
    benchmark: float | None
    parameters: int

    def __str__(self) -> str:
        score = "no published score" if self.benchmark is None else f"{self.benchmark:.1f} % on its own task"
        return f"{self.source} {score}, {self.parameters / 1e6:.1f} M parameters"


@dataclass(frozen=True)
class AdviceResult:
    """Options, best first, and the quadrant that was measured."""

    rows: tuple[Row, ...]
    advice: Advice
    metric: str
    ranking: tuple[StageScore, ...] = ()
    static: tuple[Static, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> str:
        """One JSON object."""
        rows: list[dict[str, Any]] = [asdict(row) for row in self.rows]
        ranking = [one.model_dump() for one in self.ranking]
        static = [asdict(one) for one in self.static]
        said = {"rows": rows, "ranking": ranking, "static": static, "advice": self.advice.model_dump()}
        return json.dumps({"schema": 1, "metric": self.metric, **said})

    def shown(self) -> Shown:
        """The table of options and the sentences."""
        columns = ("strategy", "source", "stage", f"{self.metric} [interval]", "minutes", "reason")
        rows = tuple(
            (
                row.strategy, row.source or "-", ", ".join(row.stages) or "-",
                f"{row.estimate:.3f} [{row.low:.3f}, {row.high:.3f}]", f"{row.minutes:.1f}", row.reason,
            )
            for row in self.rows
        )  # fmt: skip
        below = (*self.text().splitlines(), *(f"note: {one}" for one in self.warnings))
        return Shown("What is likely to work, and what it would cost", rows, columns, columns[3:5], below)

    def __str__(self) -> str:
        return str(self.shown())

    def _repr_html_(self) -> str:
        return self.shown().html()

    def text(self) -> str:
        """Sentences on the features and on the quadrant."""
        a, features = self.advice, "; ".join(map(_said, self.ranking[:SHOWN]))
        return (
            f"Best features, by leave-one-out and evidence: {features}.\n"
            f"Without a look at the data: {'; '.join(map(str, self.static))}.\n"
            f"Measured: {a.quadrant} ({a.n_per_class:.0f} labels a class; the last stage is {a.similarity * 100:+.1f} "
            f"points from the best earlier one, {a.over_random * 100:+.1f} over random features).\n"
            f"The textbook would choose {says(a.quadrant)}. That is a prior; the estimates above were measured."
            f"{_outlook(a)}"
        )


def _outlook(advice: Advice) -> str:
    if advice.p_helps is None:
        return ""
    do = "which is clear enough" if advice.settled else "which is not clear: run both arms, as fit does"
    return f"\nTransfer gains more than a point on {advice.p_helps:.0%} of tasks that look like this one, {do}."


def _said(one: StageScore) -> str:
    return f"{one.source} {one.stage} {one.accuracy:.3f} (most accurate in {one.sure:.0%} of redraws)"


def options(bench: Bench, arms: Arms, work: Work, seen: Glance, cards: Iterable[Card]) -> AdviceResult:
    """Closed forms with their leave-one-out scores; gradient arms with the range that they could plausibly reach."""
    metric, tier = metric_named(work.asked.metric), seen.tier
    closed = [_closed(bench, one.name, one.role, work, seen) for one in arms.closed]
    best = max((row.estimate for row in closed if row.role == "transfer"), default=0.0)
    gradient = [
        Row(
            strategy=one.name, role=one.role, source=next(iter(one.sources)), stages=(), estimate=best, low=best,
            high=optimistic(best),
            minutes=climb_cost(one, len(bench.data), work.machine, wish(one, len(bench.data)).wanted, 1) / 60,
            reason="could win back part of the errors that are left; only training tells",
        )
        for one in bound(arms, tier.source)
        if one.role == "transfer"
    ]  # fmt: skip
    said = advice(tier.signs, outlook(tier.signs, bench.data.modality.name, bench.data.task.kind))
    ordered = sorted(closed, key=lambda row: row.estimate, reverse=metric.higher_is_better)
    rows = (*_reasons(ordered), *gradient)
    static = (Static(card.name, card.benchmark, card.parameters) for card in cards)
    by_score = tuple(sorted(static, key=lambda one: (-(one.benchmark or 0.0), -one.parameters)))
    return AdviceResult(rows, said, metric.name, ranked(tier.curve), by_score, bench.data.warnings)


def _closed(bench: Bench, name: str, role: Role, work: Work, seen: Glance) -> Row:
    done, found = seen.tier.done[name][0], seen.scores[name]
    forward = sum(work.forward.get(source, 0.0) for source in (done.source or "").split(AND))
    seconds = sum(one.seconds for one in seen.tier.done[name]) + forward * len(bench.data)
    return Row(name, role, done.source, done.stages, found.value, found.low, found.high, seconds / 60, "")


def _reasons(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Why each closed form stands where it stands."""
    best = rows[0]
    out = [replace(best, reason="the best that was measured")]
    for row in rows[1:]:
        overlap = row.high >= best.low and row.low <= best.high
        reason = f"cannot be told from {best.strategy} yet" if overlap else f"below {best.strategy}"
        out.append(replace(row, reason=reason))
    return tuple(out)
