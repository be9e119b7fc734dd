"""The outlook: how likely transfer is to help, from what leave-one-out shows before anything is trained.

Not guessed but calibrated: on a bank of tasks made from real sets, frozen before it was looked at, the gain of transfer
over the strongest control was measured on held-out examples, and a logistic model was fitted to these outcomes
(`make calibrate`; outlook.json says what the bank holds and how the model did on targets that it had not seen).
The size and the similarity of the textbook's rule are among its signs, beside the gain that is already in sight.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.problem import Kind
from headstart.core.protocols import View
from headstart.core.record import StageScore
from headstart.selection.distance.stage_gap import stage_gaps
from headstart.selection.loo import ENOUGH, Floor

SUREST = 6.0  # standard errors; beyond them nobody is surer


@dataclass(frozen=True)
class Signs:
    """What is seen of a target before anything is trained. Scores are exact leave-one-out accuracies.

    Attributes:
        examples: with labels.
        scored: how many of them leave-one-out looked at.
        classes: how many there are.
        best: of the best stage of any source.
        last: of the last stage of the source whose last stage is best.
        earlier: of the best earlier stage of that source; None where it has none.
        random: of random features.
        control: of the best that does without transfer: raw input, random features, majority.
    """

    examples: int
    scored: int
    classes: int
    best: float
    last: float
    earlier: float | None
    random: float
    control: float

    @staticmethod
    def of(view: View, curve: Sequence[StageScore], floor: Floor) -> "Signs":
        """From the stage curve of the sources and the controls beside it."""
        top = max(stage_gaps(curve, floor.random), key=lambda gap: gap.last)
        return Signs(
            examples=len(view), scored=min(len(view), ENOUGH), classes=view.task.outputs,
            best=max(score.accuracy for score in curve), last=top.last, earlier=top.earlier, random=floor.random,
            control=floor.best,
        )  # fmt: skip


def _doubts(signs: Signs) -> float:
    """The gain in units of the standard error that it would have, were the two scores of different examples."""
    variance = signs.best * (1 - signs.best) + signs.control * (1 - signs.control)
    error = max((variance / signs.scored) ** 0.5, 1 / signs.scored)  # scores go by steps of one example
    return float(np.clip((signs.best - signs.control) / error, -SUREST, SUREST))


SIGNS: Mapping[str, Callable[[Signs], float]] = {
    "gain": lambda s: s.best - s.control,
    "gain in standard errors": _doubts,
    "last over earlier": lambda s: 0.0 if s.earlier is None else s.last - s.earlier,
    "last over random": lambda s: s.last - s.random,
    "room above the control": lambda s: 1 - s.control,
    "labels a class, log10": lambda s: float(np.log10(s.examples / s.classes)),
    "classes, log10": lambda s: float(np.log10(s.classes)),
}


@dataclass(frozen=True)
class Outlook:
    """What the bank makes of the signs.

    Attributes:
        helps: probability that transfer gains more than the margin on new examples.
        settled: the bank's tasks with such signs went one way often enough to run one arm; else run both.
    """

    helps: float
    settled: bool


def outlook(signs: Signs, modality: str, kind: Kind = "classification") -> Outlook | None:
    """The outlook; None for a modality, or a kind of task, that the bank has no tasks of."""
    model = stored()
    if modality not in model["modalities"] or kind != "classification":
        return None
    helps = float(chances(model, np.array([[sign(signs) for sign in SIGNS.values()]]))[0])
    low, high = model["both"]
    return Outlook(helps, not low < helps < high)


def chances(model: Mapping[str, Any], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) probabilities from (n, len(SIGNS)) signs."""
    standard = (rows - _numbers(model["mean"])) / _numbers(model["scale"])
    return 1 / (1 + np.exp(-(standard @ _numbers(model["weights"]) + model["bias"])))


@cache
def stored() -> Mapping[str, Any]:
    """The fitted model and what is known of it, as `benchmarks/calibrate.py` has written it.

    Raises:
        AssertionError: it was fitted on other signs than this version has.
    """
    model = json.loads(files("headstart.selection").joinpath("outlook.json").read_text(encoding="utf-8"))
    assert model["signs"] == list(SIGNS), "run `make calibrate` again"
    return model


def _numbers(values: Sequence[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)
