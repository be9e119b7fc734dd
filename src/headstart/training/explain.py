"""What a plan does to a source, said before it is done: every phase, and in it every part of the net."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

from headstart.core.plan import Plan, Solve, Train
from headstart.sources.source import Source
from headstart.training import adapters, groups
from headstart.training.groups import GroupRow
from headstart.training.plan_learner import headed

CLASSES = 2  # of the head that is counted: how many there will be is for the data to say


@dataclass(frozen=True)
class PhaseView:
    """A phase and what it means for a source.

    Args:
        kind: "solve" or "train".
        facts: what is fixed in it; None is still open.
        rules: (where, relative rate or None for frozen), as they are written.
        parts: the resolved rules, input to output, head last; empty without a source, and for closed forms.
    """

    kind: str
    facts: Mapping[str, Any]
    rules: tuple[tuple[str, float | None], ...]
    parts: tuple[GroupRow, ...]

    @property
    def trains(self) -> int:
        """Parameters that learn, as far as parts are known."""
        return sum(part.parameters for part in self.parts if part.rate is not None)


def explain(plan: Plan, source: Source | None = None) -> tuple[PhaseView, ...]:
    """Every phase of the plan, resolved for the source where one is given; the head is counted with two outputs.

    Raises:
        UserError: a rule does not fit the source.
    """
    return tuple(_view(plan, phase, source) for phase in plan.phases)


def _view(plan: Plan, phase: Solve | Train, source: Source | None) -> PhaseView:
    facts = {name: value for name, value in asdict(phase).items() if name not in ("rules", "phase")}
    if isinstance(phase, Solve):
        return PhaseView(phase.phase, facts, (), ())
    rules = tuple((rule.where, rule.rate) for rule in phase.rules)
    return PhaseView(phase.phase, facts, rules, () if source is None else _parts(headed(source, plan), phase))


def _parts(source: Source, phase: Train) -> tuple[GroupRow, ...]:
    card, kept = source.card, len(source.card.head_classes) if source.card.new_head.keep else 0
    net = source.net(sum(card.new_head.outputs) or kept + CLASSES)
    with adapters.attached(net, card, phase.rank, seed=0):
        rows = groups.describe(card, net, phase.rules, phase.norm)
    order = [f"stage:{stage}" for stage in card.stage_names()]
    return tuple(sorted(rows, key=lambda row: order.index(row.group) if row.group in order else len(order)))


def differences(first: Plan, second: Plan, source: Source | None = None) -> tuple[str, ...]:
    """What differs between two plans, a line each; none where only their names do.

    Closed forms are compared with closed forms and training with training, each in its order.

    Raises:
        UserError: a rule does not fit the source.
    """
    pairs = [("start", first.start, second.start)]
    pairs += [("hidden layers of the head", said(first.hidden), said(second.hidden))]
    lines = [f"{what}: {a} -> {b}" for what, a, b in pairs if a != b]
    mine, others = explain(first, source), explain(second, source)
    for kind in ("solve", "train"):
        both = zip_longest(*([view for view in views if view.kind == kind] for views in (mine, others)))
        for at, (a, b) in enumerate(both, 1):
            lines += _between(f"{kind} {at}", (first.name, a), (second.name, b))
    return tuple(lines)


def _between(title: str, first: tuple[str, PhaseView | None], second: tuple[str, PhaseView | None]) -> list[str]:
    (name, a), (other, b) = first, second
    if a is None or b is None:
        there, view = (name, a) if b is None else (other, b)
        return [] if view is None else [f"{title}: only in {there} ({summary(view)})"]
    one, two = _comparable(a), _comparable(b)
    keys = dict.fromkeys((*one, *two))
    return [f"{title}, {k}: {one.get(k, '-')} -> {two.get(k, '-')}" for k in keys if one.get(k) != two.get(k)]


def _comparable(view: PhaseView) -> dict[str, str]:
    found = {name: said(value) for name, value in view.facts.items()}
    if not view.parts:
        # One line for all rules: the first that matches wins, so none means anything without those before it.
        return found | (
            {"rules": ", ".join(f"{at} {rate_said(rate)}" for at, rate in view.rules)} if view.rules else {}
        )
    for group in dict.fromkeys(part.group for part in view.parts):
        parts = [part for part in view.parts if part.group == group]
        found[group] = " + ".join(_part_said(part) for part in parts)
    return found


def _part_said(part: GroupRow) -> str:
    norm = "" if part.norm in ("none", "frozen") else f", norm {part.norm}"
    return f"{rate_said(part.rate)} ({part.parameters:,} parameters{norm})"


def summary(view: PhaseView) -> str:
    """A phase in a line.

    >>> summary(PhaseView("train", {"epochs": None, "lr": 0.1, "pull": 0.0}, (), ()))
    'epochs open, lr 0.1, pull 0'
    """
    return ", ".join(f"{name} {said(value)}" for name, value in view.facts.items())


def rate_said(rate: float | None) -> str:
    """A relative rate in words."""
    return "frozen" if rate is None else f"rate {rate:.3g}"


def said(value: Any) -> str:
    """A value of a plan in words; None is a choice that is left open."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value)) or "none"
    return "open" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
