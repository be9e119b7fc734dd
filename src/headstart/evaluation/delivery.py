"""Delivery is an action, not a claim: which model the user gets."""

from typing import Literal

from headstart.core.record import Decision
from headstart.evaluation.verdict import Comparison

Asked = Literal["auto", "transfer", "control"]

SURE = 0.8  # P(gain > 0) at which transfer is adopted: in simulation 3-6 % harm and two thirds of the gain kept
HARM = 0.05  # and at most this chance that it costs more than the margin
INCUMBENT = {"image": "transfer"}  # who stays when nothing is decided; until calibrated


def decide(comparison: Comparison, modality: str, asked: Asked) -> Decision:
    """Deliver transfer if it is surely no worse, keep the incumbent while undecided; `--deliver` overrules."""
    role, rule = _choose(comparison, modality, asked)
    return Decision(
        delivered=comparison.transfer if role == "transfer" else comparison.control,
        role=role,
        rule=rule,
        p_gain=comparison.p_gain,
        p_harm=comparison.p_harm,
        asked=asked,
    )


def _choose(comparison: Comparison, modality: str, asked: Asked) -> tuple[Literal["transfer", "control"], str]:
    if asked != "auto":
        return asked, f"--deliver {asked}"
    if comparison.p_gain >= SURE and comparison.p_harm <= HARM:
        return "transfer", f"P(gain > 0) >= {SURE} and P(gain < -margin) <= {HARM}"
    if comparison.claim == "hurt":
        return "control", "transfer hurt"
    if INCUMBENT.get(modality, "control") == "transfer" and comparison.claim == "undecided":
        return "transfer", f"undecided, and transfer is the incumbent for {modality} data"
    return "control", "undecided, and the control is the incumbent"
