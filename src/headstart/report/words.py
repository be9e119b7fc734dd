"""How numbers are written on the page."""

from headstart.core.record import Audit, Gain, LearningCurve, Price, Score, Span, TaskRecord, Threshold
from headstart.core.said import signed
from headstart.metrics.scores import metric as scored


def value(metric: str, number: float) -> str:
    """A score: `87.6 %` for shares, three decimals for the rest.

    >>> value("accuracy", 0.876), value("log_loss", 0.41)
    ('87.6 %', '0.410')
    """
    return f"{100 * number:.1f} %" if scored(metric).share else f"{number:.3f}"


def between(metric: str, score: Score | None) -> str:
    """The interval of a score: `86.1 - 89.0 %`, with an en dash."""
    if score is None:
        return ""
    if scored(metric).share:
        return f"{100 * score.low:.1f} \N{EN DASH} {100 * score.high:.1f} %"
    return f"{score.low:.3f} \N{EN DASH} {score.high:.3f}"


def change(metric: str, number: float) -> str:
    """A difference of scores with its sign: `+3.1 points` for shares.

    >>> change("accuracy", 0.031), change("log_loss", 0.031)
    ('+3.1 points', '+0.031')
    """
    return f"{signed(100 * number, 1)} points" if scored(metric).share else signed(number)


def gain_between(metric: str, gain: Gain | Audit | Span) -> str:
    """The interval of a gain, `+1.2 to +4.9`."""
    by, digits = (100, 1) if scored(metric).share else (1, 3)
    return f"{signed(by * gain.low, digits)} to {signed(by * gain.high, digits)}"


def times(curve: LearningCurve) -> str:
    """How many times the labels of transfer the control needs; what the curves do not see is `over` or `under`.

    >>> from headstart.core.record import LabelsSaved
    >>> span = Span(value=4.1, low=2.2, high=8.0)
    >>> saved = LabelsSaved(ratio=span, most=8.0, score=0.8, transfer=98, control=400)
    >>> times(LearningCurve.model_construct(saved=saved))
    '4.1 times as many, 2.2 to over 8'
    """
    most, ratio = curve.saved.most, curve.saved.ratio
    rim = {most: "over ", 1 / most: "under "}
    value, low, high = (f"{rim.get(number, '')}{number:.2g}" for number in (ratio.value, ratio.low, ratio.high))
    return f"{value} times as many" + (f", {low} to {high}" if low != high else "")


def saved(metric: str, curve: LearningCurve) -> str:
    """What one side does with fewer labels than the other; nothing where it is not sure that there are fewer."""
    found = curve.saved
    if found.ratio.low <= 1 <= found.ratio.high:
        return f"Whether {curve.transfer} needs fewer labels than {curve.control} is not settled."
    sides = [(found.transfer, curve.transfer), (found.control, curve.control)]
    (few, saver), (many, other) = sorted(sides)
    fewest = " at most" if many / few >= found.most else ""
    scored = value(metric, found.score)
    return f"{saver} needs{fewest} {few:,.0f} labels to score what {other} does with {many:,.0f} ({scored})."


def price(metric: str, found: Price) -> str:
    """What more labels are worth: the last doubling, which as many again will hardly exceed."""
    of = "" if found.label is None else f" of {found.label}"
    worth = f"{change(metric, found.worth.value)} ({gain_between(metric, found.worth)})"
    return f"About {found.had:,} more labels{of} are worth {worth} at most: so much did the last doubling bring."


def soon(found: Threshold) -> str:
    """How long training took to what the control could do at best."""
    theirs = f"{found.control} by epoch {found.control_epochs} ({seconds(found.control_seconds)})"
    at = f"{percent(found.accuracy)} of the validation part right, the best of {found.control}"
    if found.epochs is None or found.seconds is None:
        return f"{found.transfer} never got {at}; {theirs}."
    return f"{found.transfer} got {at}, by epoch {found.epochs} ({seconds(found.seconds)}); {theirs}."


def labels(task: TaskRecord) -> str:
    """What is predicted, counted."""
    several = len(task.classes)
    return {"classification": f"{several} classes", "multi-label": f"{several} labels", "regression": "numbers"}[
        task.kind
    ]


def amount(change: float, *, number: bool) -> str:
    """A change of what is stated: points of a probability, or the number's own unit.

    >>> amount(-0.314, number=False), amount(2.5, number=True)
    ('-31 points', '+2.5')
    """
    if number:
        return f"{change:+.3g}"
    return f"{100 * change:+.0f} points" if abs(change) >= 0.0095 else f"{100 * change:+.1f} points"


def percent(number: float) -> str:
    """A probability or share in whole percent; never 0 or 100 unless it is.

    >>> percent(0.9), percent(0.9999), percent(0.0001), percent(1.0)
    ('90 %', 'over 99 %', 'under 1 %', '100 %')
    """
    if 0.99 < number < 1:
        return "over 99 %"
    return "under 1 %" if 0 < number < 0.01 else f"{100 * number:.0f} %"


def seconds(number: float) -> str:
    """A duration that fits its size.

    >>> seconds(0.04), seconds(7.31), seconds(75), seconds(4020)
    ('0.04 s', '7.3 s', '1 min 15 s', '1 h 07 min')
    """
    if number < 60:
        return f"{number:.2f} s" if number < 1 else f"{number:.1f} s"
    whole = round(number)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def name(metric: str) -> str:
    """A metric's name for people."""
    return metric.replace("_", " ")
