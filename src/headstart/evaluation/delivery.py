"""Delivery is an action, not a claim: which model the user gets."""

from typing import Literal

from headstart.core.record import Decision
from headstart.evaluation.verdict import Comparison

Asked = Literal["auto", "transfer", "control"]

SURE = 0.8  # P(gain > 0) at which transfer is adopted: in simulation 3-6 % harm and two thirds of the gain kept
HARM = 0.05  # and at most this chance that it costs more than the margin
LIKELY = 0.25  # the outlook from which transfer stays when nothing is decided: on the bank, where always staying with
# transfer loses 0.59 points against the better arm and harms 14 % of tasks, this loses 0.57 and harms 10 %


def decide(comparison: Comparison, outlook: float | None, asked: Asked) -> Decision:
    """Deliver transfer if it is surely no worse, keep the incumbent while undecided; `--deliver` overrules.

    Args:
        comparison: of the best transfer arm with the strongest control.
        outlook: probability that transfer helps, from tasks that look like this one; without it the control stays.
        asked: for one of the two, or "auto".
    """
    role, rule = _choose(comparison, outlook, asked)
    return Decision(
        delivered=comparison.transfer if role == "transfer" else comparison.control,
        role=role,
        rule=rule,
        p_gain=comparison.p_gain,
        p_harm=comparison.p_harm,
        asked=asked,
    )


def _choose(comparison: Comparison, outlook: float | None, asked: Asked) -> tuple[Literal["transfer", "control"], str]:
    if asked != "auto":
        return asked, f"--deliver {asked}"
    if comparison.p_gain >= SURE and comparison.p_harm <= HARM:
        return "transfer", f"P(gain > 0) >= {SURE} and P(gain < -margin) <= {HARM}"
    if comparison.claim == "hurt":
        return "control", "transfer hurt"
    seen = "no outlook for this kind of data" if outlook is None else f"an outlook of {outlook:.0%} for transfer"
    if outlook is not None and outlook >= LIKELY:
        return "transfer", f"undecided, and {seen}"
    return "control", f"undecided, and {seen}"
