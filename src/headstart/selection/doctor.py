"""Does the preprocessing fit the weights? Leave-one-out accuracy under the card's, and under the usual mistakes.

Weights never complain about pixels in another range or order; they only see worse. So each of the classic mistakes is
made on purpose, and the card's preprocessing should win, or be within noise of whatever does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from headstart.core.errors import UserError
from headstart.core.predictions import Floats
from headstart.core.progress import Progress
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.features.allocator import keep_blocks
from headstart.features.decode import batches
from headstart.features.extract import sample, time_batches
from headstart.linear.heads import Ridge
from headstart.metrics.intervals import Interval, group_weights, max_t
from headstart.metrics.kinds import KINDS
from headstart.sources.card import ImageInput
from headstart.sources.preconditions import check_readable
from headstart.sources.source import Source

ENOUGH = 600  # examples; leave-one-out on more would not find a smaller mistake worth mending
FEWEST = 60  # with fewer, noise hides even a wrong range
MINUTES = 2.0  # a large net sees fewer pictures rather than keep the user waiting
MARGIN = 0.01
CARD = "as the card says"
RANGES = {  # (mean, deviation) of values scaled to 0..1
    "0..1": (0.0, 1.0),
    "0..255": (0.0, 1 / 255),
    "-1..1": (0.5, 0.5),
}
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SIZES = {"three quarters of the size": 0.75, "five quarters of the size": 1.25}
STEP = 16  # sides stay multiples of it


@dataclass(frozen=True)
class Finding:
    """One way of preparing the pictures.

    Attributes:
        name: what was changed.
        n: pictures that were looked at.
        accuracy: leave-one-out, of a ridge head on the last stage.
        gain: over the card's preprocessing, paired; the lower end is for the best of all, so picking it is fair.
        better: it wins by more than noise and by the margin: the card is probably wrong.
    """

    name: str
    n: int
    accuracy: float
    gain: Interval
    better: bool


def examine(source: Source, data: Dataset, store: Store, progress: Progress, seed: int = 0) -> tuple[Finding, ...]:
    """Leave-one-out accuracy of a source under its card's preprocessing and under perturbed ones, the card's first.

    Args:
        source: an image source.
        data: labelled pictures; at most `ENOUGH` are looked at, and about as many as `MINUTES` are enough for.
        store: counts what is decoded.
        progress: told how far it is.
        seed: of the bootstrap.

    Raises:
        UserError: no class has two examples, or the source takes no pictures as they are read.
    """
    check_readable(source.card, data)
    inputs = _inputs(source)
    affordable = int(MINUTES * 60 / (len(inputs) * time_batches(source, sample(source.input, data))))
    count = min(len(data), ENOUGH, max(affordable, FEWEST))
    part = data.take(np.linspace(0, len(data) - 1, count).astype(int))
    if max(part.counts().values()) < 2 or len([c for c in part.counts().values() if c]) < 2:
        raise UserError("at least two classes, one with two examples", f"{part.counts()}", "Give more examples.")
    right = _right(source, inputs, part, store, progress)
    weights = group_weights(part.groups, seed)
    weights = weights / weights.sum(axis=1, keepdims=True)
    others = [name for name in right if name != CARD]
    gaps = np.array([right[name] - right[CARD] for name in others])
    draws, values = gaps @ weights.T, gaps.mean(axis=1)
    findings = [Finding(CARD, count, float(right[CARD].mean()), Interval(0.0, 0.0, 0.0), better=False)]
    for at, name in enumerate(others):
        gain = max_t(draws, values, at)
        findings.append(Finding(name, count, float(right[name].mean()), gain, gain.low > 0 and gain.value > MARGIN))
    return tuple(findings)


def verdict(source: str, findings: Sequence[Finding]) -> str:
    """One sentence: whether the card's preprocessing stands."""
    better = [finding for finding in findings if finding.better]
    if not better:
        return f"The preprocessing of {source} stands: nothing that was tried beats it by more than noise."
    best = max(better, key=lambda finding: finding.gain.value)
    gain = best.gain
    return (
        f"The preprocessing of {source} is probably wrong: {best.name} gains {100 * gain.value:.1f} points "
        f"[{100 * gain.low:.1f}, {100 * gain.high:.1f}]."
    )


def _inputs(source: Source) -> dict[str, ImageInput]:
    """The card's preprocessing and the perturbed ones that differ from it.

    Raises:
        UserError: the source is none for pictures.
    """
    own = source.input
    if not isinstance(own, ImageInput):
        do = "How texts are prepared its tokenizer says."
        raise UserError("a source for pictures", f"{source.name}, a text encoder", do)
    three = own.channels == 3
    tried: dict[str, ImageInput] = {CARD: own}
    if three:
        tried["channels in the other order"] = _with(own, {"colour": "RGB" if own.colour == "BGR" else "BGR"})
        tried["mean and deviation of ImageNet"] = _with(own, IMAGENET)
    for name, (mean, std) in RANGES.items():
        tried[f"range {name}"] = _with(own, {"mean": (mean,) * own.channels, "std": (std,) * own.channels})
    for name, share in SIZES.items():
        side = max(STEP, round(own.size * share / STEP) * STEP)
        if _takes(source, side):
            tried[name] = _with(own, {"size": side})
    return {name: one for name, one in tried.items() if name == CARD or one != own}


def _with(own: ImageInput, change: Mapping[str, object]) -> ImageInput:
    return ImageInput.model_validate({**own.model_dump(), **change})


def _takes(source: Source, side: int) -> bool:
    """Whether the net runs at another size: nets with learned positions or flattened maps do not."""
    try:
        source.tapper()(torch.zeros(1, side, side, 3, dtype=torch.uint8))
    except (RuntimeError, AssertionError):
        return False
    return True


def _right(
    source: Source, inputs: dict[str, ImageInput], data: Dataset, store: Store, progress: Progress
) -> dict[str, Floats]:
    """For every preprocessing, (n,) ones where leave-one-out is right. Pictures are decoded once a size."""
    cards = {name: source.card.model_copy(update={"input": taken}) for name, taken in inputs.items()}
    taps = {name: Source(card, source.model).tapper() for name, card in cards.items()}
    rows: dict[str, list[np.ndarray]] = {name: [] for name in inputs}
    last = source.card.stage_names()[-1]
    keep_blocks()
    sizes = {taken.size: taken for taken in inputs.values()}
    with progress.step(f"{len(inputs)} ways to prepare pictures", len(data) * len(inputs)) as step:
        for size, taken in sizes.items():
            names = [name for name, one in inputs.items() if one.size == size]
            for part, (pixels,) in batches(data.items, 32, data.modality, [taken], store):
                for name in names:
                    rows[name].append(taps[name](torch.from_numpy(pixels))[last].float().numpy())
                step.advance(len(part) * len(names))
    task = data.task
    heads = {
        name: Ridge.fit([np.vstack(found)], data.targets, task.outputs, None, kind=task.kind)
        for name, found in rows.items()
    }
    return {name: KINDS[task.kind].right(head.loo, data.targets).astype(float) for name, head in heads.items()}
