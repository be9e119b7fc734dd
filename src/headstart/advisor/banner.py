"""What a run begins with, in a few lines: the data, how it is tested, the sources, the machine, the time."""

from collections.abc import Iterable, Mapping

import numpy as np

from headstart.advisor.survey import LARGE, TEST_SHARE, Question
from headstart.core.said import examples
from headstart.data.dataset import Dataset
from headstart.evaluation.folds import FOLDS, repeats
from headstart.features.devices import machine
from headstart.sources.card import Card

NO_BUDGET = 1e6  # minutes: whatever was asked for is affordable
FEW = 4  # classes that are named one by one


def facts(question: Question, tested: str | None = None) -> Mapping[str, str]:
    """The lines, by what they are about.

    Args:
        question: what is to be found out.
        tested: how scores come about; as `fit` does it unless said.
    """
    asked = question.asked
    time = "as long as it takes" if asked.minutes >= NO_BUDGET else f"{asked.minutes:g} min"
    return {
        "data": described(question.data),
        "tested": tested or _tested(question.data),
        "sources": sources(one.card for one in question.sources),
        "machine": machine(),
        "time": f"{time}; {asked.metric.replace('_', ' ')} decides; seed {asked.seed}",
    }


def described(data: Dataset) -> str:
    """How many examples of what, and what is to be learned of them."""
    n, kind = len(data), data.task.kind
    said = f"{n:,} {examples(data.modality.name, n)}"
    if kind == "regression":
        low, high = float(np.min(data.targets)), float(np.max(data.targets))
        return f"{said}, each with a number ({data.task.name}, {low:.4g} to {high:.4g})"
    of = "classes" if kind == "classification" else "labels"
    return f"{said} in {data.task.outputs} {of} ({_spread(data.counts())})"


def _spread(counts: Mapping[str, int]) -> str:
    """How many of each: all of them where they are few, else of the rarest and the most frequent."""
    if len(set(counts.values())) == 1:
        return f"{next(iter(counts.values())):,} each"
    if len(counts) <= FEW:
        return ", ".join(f"{count:,} {name}" for name, count in counts.items())
    least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    return f"{counts[least]:,} of {least} to {counts[most]:,} of {most}"


def _tested(data: Dataset) -> str:
    """How scores come about: near-copies may still move between the parts, so numbers are about."""
    held = 0 if data.parts is None else sum(part == "test" for part in data.parts)
    if held:
        what = f"the {held:,} test {examples(data.modality.name, held)} that were given, opened once"
    elif len(data) >= LARGE:
        what = f"{TEST_SHARE:.0%} held out and opened once"
    else:
        return f"out of fold: {FOLDS} folds, {repeats(len(data))} times over; a test part needs {LARGE:,} or --test"
    return f"{what}; choices by {FOLDS} folds of the rest"


def sources(cards: Iterable[Card]) -> str:
    """Names by their licence, in their order."""
    by: dict[str, list[str]] = {}
    for card in cards:
        by.setdefault(card.licence.name or "licence not stated", []).append(card.name)
    return "; ".join(f"{', '.join(names)} ({licence})" for licence, names in by.items())
