"""What labelled examples must be, beyond readable: no leaks, two examples a class, two classes."""

from dataclasses import replace

import numpy as np

from headstart.core.errors import UserError
from headstart.core.predictions import Ints
from headstart.core.record import SkippedFile
from headstart.data.dataset import Dataset

SHOWN = 6  # names in a warning; the record's `skipped` has them all


def checked(data: Dataset) -> Dataset:
    """The data without what cannot be used, with warnings that say so.

    Raises:
        UserError: fewer than two classes are left.
    """
    data = _without_single_examples(_without_leaks(_with_conflicts_named(data)))
    if len(data.task.classes) >= 2:
        return data
    found = ", ".join(data.task.classes) or "none"
    first = "".join(f"; {len(data.skipped)} files skipped, such as {one.name}: {one.why}" for one in data.skipped[:1])
    raise UserError(
        "at least two classes with two readable examples each",
        f"{len(data.task.classes)} ({found}{first})",
        "Add examples, or check the layout of the data.",
    )


def _with_conflicts_named(data: Dataset) -> Dataset:
    """Name equal examples with different labels: one of them is wrong. They share a group already."""
    labels: dict[str, set[int]] = {}
    for item, code in zip(data.items, data.targets.tolist(), strict=True):
        labels.setdefault(item.key, set()).add(code)
    torn = [item.name for item in data.items if len(labels[item.key]) > 1]
    if not torn:
        return data
    return replace(data, warnings=(*data.warnings, f"{len(torn)} equal examples carry different labels: {_some(torn)}"))


def _without_leaks(data: Dataset) -> Dataset:
    """Drop from the training part what the test part has too."""
    if data.parts is None or "test" not in data.parts:
        return data
    tested = {item.key for item, part in zip(data.items, data.parts, strict=True) if part == "test"}
    leak = np.array([p == "train" and i.key in tested for i, p in zip(data.items, data.parts, strict=True)])
    names = [data.items[i].name for i in np.flatnonzero(leak)]
    return _drop(
        data, leak, "also in the test part",
        f"{len(names)} training examples left out because the test part has them too: {_some(names)}",
    )  # fmt: skip


def _without_single_examples(data: Dataset) -> Dataset:
    """Drop classes with one training example (or copies of one): it cannot be both learned from and scored."""
    different: list[set[str]] = [set() for _ in data.task.classes]
    for i, (item, code) in enumerate(zip(data.items, data.targets.tolist(), strict=True)):
        if data.parts is None or data.parts[i] == "train":
            different[code].add(item.key)
    few = [code for code, keys in enumerate(different) if len(keys) < 2]
    names = [data.task.classes[code] for code in few]
    left = _drop(
        data, np.isin(data.targets, few), "its class has fewer than two different training examples",
        f"classes with fewer than two different training examples left out: {_some(names)}",
    )  # fmt: skip
    return _relabelled(left)


def _drop(data: Dataset, which: np.ndarray, why: str, warning: str) -> Dataset:
    if not which.any():
        return data
    dropped = tuple(SkippedFile(name=data.items[i].name, why=why) for i in np.flatnonzero(which))
    left = data.take(np.flatnonzero(~which))
    return replace(left, skipped=(*data.skipped, *dropped), warnings=(*data.warnings, warning))


def _relabelled(data: Dataset) -> Dataset:
    """Label codes without gaps, after classes were dropped."""
    used: Ints = np.unique(data.targets)
    if len(used) == len(data.task.classes):
        return data
    classes = tuple(data.task.classes[code] for code in used)
    return replace(data, targets=np.searchsorted(used, data.targets), task=replace(data.task, classes=classes))


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
