"""Delivery is an action, not a claim: which model the user gets."""

from typing import Literal

from headstart.core.record import Decision
from headstart.evaluation.verdict import Comparison

Asked = Literal["auto", "transfer", "control"]

SURE, HARM = 0.8, 0.05  # P(gain > 0) from which transfer is adopted, and the largest P(gain < -margin)
# The same two chances say which arm is the incumbent while nothing is decided: of the values tried the largest with
# which what is delivered truly cost over the margin on at most 3 % of the tasks of `benchmarks/bench_gate.py` of even
# number (2.8 %, 76 % of the gain kept). Where an outlook from 0.25 made transfer the incumbent, 17 % and 65 %.
LIKELY, RISK = 0.5, 0.2


def decide(comparison: Comparison, asked: Asked) -> Decision:
    """Deliver transfer if it is surely no worse, the incumbent while undecided, or what was asked for.

    Args:
        comparison: of the best transfer arm with the strongest control.
        asked: for one of the two, or "auto".
    """
    role, rule = _choose(comparison, asked)
    return Decision(
        delivered=comparison.transfer if role == "transfer" else comparison.control,
        role=role,
        rule=rule,
        p_gain=comparison.p_gain,
        p_harm=comparison.p_harm,
        asked=asked,
    )


def _choose(comparison: Comparison, asked: Asked) -> tuple[Literal["transfer", "control"], str]:
    if asked != "auto":
        return asked, f"--deliver {asked}"
    if comparison.p_gain >= SURE and comparison.p_harm <= HARM:
        return "transfer", f"P(gain > 0) >= {SURE} and P(gain < -margin) <= {HARM}"
    if comparison.claim == "hurt":
        return "control", "transfer hurt"
    if comparison.p_gain >= LIKELY and comparison.p_harm <= RISK:
        return "transfer", f"undecided, and likely: P(gain > 0) >= {LIKELY} and P(gain < -margin) <= {RISK}"
    return "control", f"undecided, and not likely: P(gain > 0) < {LIKELY} or P(gain < -margin) > {RISK}"
