"""Delivery is an action, not a claim: which model the user gets."""

from typing import Literal

from headstart.core.record import Decision
from headstart.evaluation.verdict import Comparison

Asked = Literal["auto", "transfer", "control"]

SURE = 0.5  # P(gain > 0) from which transfer is delivered
HARM = 0.15  # and at most this chance that it costs more than the margin: on the 126 tasks of even number of
# `benchmarks/bench_gate.py` it truly did on 3.2 %, and 77 % of the gain was kept; 0.2 cost more on 4.0 % and kept 76 %.
# There 0.8 and 0.05, with an outlook from 0.25 instead while nothing was decided, cost more on 19 % and kept 58 %.


def decide(comparison: Comparison, asked: Asked) -> Decision:
    """Deliver transfer if a gain is likely and harm is not, else the control; `--deliver` overrules.

    The claim is not asked: what is undecided is delivered by the same two chances, and whatever helped or hurt beyond
    doubt is far on its side of both.

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
    return "control", f"P(gain > 0) < {SURE} or P(gain < -margin) > {HARM}"
