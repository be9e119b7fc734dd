"""What labelled examples must be, beyond readable: no leaks, two examples a class, two classes; numbers that differ."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from headstart.core.errors import UserError
from headstart.core.predictions import Ints
from headstart.core.problem import Kind
from headstart.core.record import SkippedFile
from headstart.data.dataset import Dataset

LEAST_NUMBERS = 2
SHOWN = 6  # names in a warning; the record's `skipped` has them all


def checked(data: Dataset) -> Dataset:
    """The data without what cannot be used, with warnings that say so.

    Raises:
        UserError: fewer than two classes are left, no label that some have and some have not, or one number.
    """
    return _USABLE[data.task.kind](_without_leaks(_with_conflicts_named(data)))


def _classes(data: Dataset) -> Dataset:
    data = _without_single_examples(data)
    if len(data.task.classes) >= 2:
        return data
    found = ", ".join(data.task.classes) or "none"
    first = "".join(f"; {len(data.skipped)} files skipped, such as {one.name}: {one.why}" for one in data.skipped[:1])
    raise UserError(
        "at least two classes with two readable examples each",
        f"{len(data.task.classes)} ({found}{first})",
        "Add examples, or check the layout of the data.",
    )


def _labels(data: Dataset) -> Dataset:
    """Without labels that fewer than two different training examples have, or lack: nothing says what they mean."""
    kept = [code for code in range(data.task.outputs) if all(_different(data, code, has) >= 2 for has in (1, 0))]
    few = [name for code, name in enumerate(data.task.classes) if code not in kept]
    if not kept:
        came = f"{', '.join(few) or 'none'} in {len(data)} readable examples"
        raise UserError("a label that some examples have and some have not, two of each", came, "Add examples.")
    if not few:
        return data
    said = f"labels that fewer than two different training examples have, or lack, left out: {_some(few)}"
    task = replace(data.task, classes=tuple(data.task.classes[code] for code in kept))
    return replace(data, targets=data.targets[:, kept], task=task, warnings=(*data.warnings, said))


def _different(data: Dataset, code: int, has: int) -> int:
    """How many different training examples have a label, or have it not."""
    return len({data.items[i].key for i in np.flatnonzero(data.targets[:, code] == has) if _trains(data, int(i))})


def _numbers(data: Dataset) -> Dataset:
    different = len({data.targets[i] for i in range(len(data)) if _trains(data, i)})
    if different >= LEAST_NUMBERS:
        return data
    came = f"{different} among {len(data)} readable examples"
    raise UserError(f"at least {LEAST_NUMBERS} different numbers to learn from", came, "Add examples.")


def _trains(data: Dataset, at: int) -> bool:
    return data.parts is None or data.parts[at] == "train"


def _with_conflicts_named(data: Dataset) -> Dataset:
    """Name equal examples with different targets: one of them is wrong. They share a group already."""
    labels: dict[str, set[bytes]] = {}
    for item, target in zip(data.items, data.targets, strict=True):
        labels.setdefault(item.key, set()).add(target.tobytes())
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
        if _trains(data, i):
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


_USABLE: Mapping[Kind, Callable[[Dataset], Dataset]] = MappingProxyType(
    {"classification": _classes, "multi-label": _labels, "regression": _numbers}
)


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
