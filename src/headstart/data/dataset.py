"""A data set: examples by content key, label codes, groups, and the functions that turn examples into model input."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from headstart.core.errors import HeadstartError
from headstart.core.predictions import Floats, Ints, Targets
from headstart.core.problem import Task
from headstart.core.record import SkippedFile
from headstart.metrics.kinds import KINDS

Part = Literal["train", "test"]


@dataclass(frozen=True)
class Item:
    """One example where it lies.

    Args:
        name: what a person calls it: the path relative to the data set's root, or its row in a table.
        path: where to read it: a file of its own, or the table.
        key: sha256 of the content; equal content has equal keys, so its features are computed once.
        content: the example itself, where it lies in no file of its own.
    """

    name: str
    path: Path
    key: str
    content: str = ""


class UnreadableError(HeadstartError):
    """An example that cannot be prepared, such as a damaged file.

    Args:
        name: of the example.
        why: it cannot.
    """

    def __init__(self, name: str, why: str) -> None:
        self.name, self.why = name, why
        super().__init__(f"{name}: {why}")


@dataclass(frozen=True)
class Piece:
    """A piece of an example, and the example without it.

    Attributes:
        name: what a person calls it: words, a column and its cell, the steps of a window, the place of a patch.
        span: where it is: first step and the one behind the last of a series; left, top, right and bottom of a patch,
            in shares of the picture; nothing where the name says it.
        without: the example with this part left out.
    """

    name: str
    span: tuple[float, ...]
    without: Item


class Modality(Protocol):
    """The stateless functions of one kind of data, carried by its data sets. What is fitted belongs to a Learner."""

    @property
    def name(self) -> str:
        """The kind of data."""
        ...

    @property
    def version(self) -> str:
        """Changes when prepared examples would; part of every cache key."""
        ...

    @property
    def baseline(self) -> Any:
        """The raw input as a source of features, for the `raw` control."""
        ...

    @property
    def controls(self) -> Mapping[str, Any]:
        """Further controls of this kind of data, by the name of their plan, and what each reads."""
        ...

    @property
    def untrained(self) -> tuple[str, str]:
        """Names of an untrained net whose features are taken, and of a small one to train from scratch."""
        ...

    @property
    def copied(self) -> bool:
        """Whether unequal examples may be copies of one thing, which features and raw inputs then tell."""
        ...

    @property
    def changes(self) -> str:
        """What `augment` may do; part of the keys of augmented examples. "" where nothing is changed."""
        ...

    def fitting(self, sources: Sequence[str]) -> tuple[str, ...]:
        """Names of sources with the surgery behind them that data like these need: as many channels as there are."""
        ...

    def suited(self, raw: Floats) -> tuple["Modality", tuple[str, ...]]:
        """The modality for data like these, and what is worth knowing: without changes that they could not have met.

        Args:
            raw: (n, D) features of the baseline's only stage.
        """
        ...

    def prepare(self, item: Item, card_input: Any) -> NDArray[Any]:
        """One example as the array that a source's card asks for: (H, W, 3) uint8 pixels, (t,) token numbers.

        Raises:
            UnreadableError: it is damaged.
        """
        ...

    def sample(self, items: Sequence[Item], card_input: Any, count: int) -> NDArray[Any]:
        """(count, ...) examples as `prepare` gives them, to time a net with; real ones where they are cheap to have."""
        ...

    def size(self, item: Item) -> int:
        """How much work an example is beside others: batches are of like ones."""
        ...

    def caveats(self, items: Sequence[Item], card_input: Any) -> tuple[str, ...]:
        """What is worth knowing of how these examples are prepared for such an input."""
        ...

    def augment(self, batch: Any, seed: int) -> Any:
        """A prepared batch (a tensor), changed in ways that keep the label; same seed, same change."""
        ...

    def pieces(self, item: Item, others: Sequence[Item], folder: Path) -> tuple[Item, tuple[Piece, ...]]:
        """What an example consists of, for occlusion.

        Args:
            item: the example.
            others: of the same data set, where what is usual stands in for what is left out.
            folder: an empty one, for examples that are files.

        Returns:
            The example as its parts are taken from it (a large picture is made smaller), and the parts in the order of
            reading; none where it has fewer than two.
        """
        ...


@dataclass(frozen=True)
class Dataset:
    """Examples with labels. Immutable; `take` gives a part that shares everything.

    Args:
        path: where the data was read from, as the user named it.
        items: the examples.
        targets: (n,) label codes into `task.classes`, -1 where unknown; (n, L) zeros and ones; or (n,) numbers.
        groups: (n,) group ids; a group never crosses a fold or the test part.
        task: the label space.
        modality: the functions of this kind of data.
        parts: (n,) "train"/"test" as the data itself says, or None.
        skipped: files that were left out.
        warnings: what a reader of the record should know about the data.
        duplicates: names of examples that are nearly the same, group by group.
        column: of a table that the examples stand in.
    """

    path: str
    items: tuple[Item, ...]
    targets: Targets
    groups: Ints
    task: Task
    modality: Modality
    parts: tuple[Part, ...] | None = None
    skipped: tuple[SkippedFile, ...] = ()
    warnings: tuple[str, ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = field(default=())
    column: str | None = None

    def __len__(self) -> int:
        return len(self.items)

    @property
    def keys(self) -> Sequence[str]:
        """Content keys in order."""
        return [item.key for item in self.items]

    def take(self, index: Ints) -> "Dataset":
        """The examples at these positions, in this order."""
        at = np.asarray(index, dtype=np.int64)
        parts = None if self.parts is None else tuple(self.parts[i] for i in at)
        items = tuple(self.items[i] for i in at)
        return replace(self, items=items, targets=self.targets[at], groups=self.groups[at], parts=parts)

    @property
    def strata(self) -> Ints:
        """(n,) codes that splits share out evenly: the classes; the rarest label of each; bins of numbers."""
        return KINDS[self.task.kind].strata(self.targets)

    def after(self, classes: Sequence[str]) -> "Dataset":
        """The same examples in a label space that begins with these classes; what has the same name is the same.

        Args:
            classes: old ones. Examples have one class each.
        """
        old = tuple(classes)
        every = (*old, *(name for name in self.task.classes if name not in old))
        codes = np.array([every.index(name) for name in self.task.classes], dtype=np.int64)
        targets = np.where(self.targets < 0, self.targets, codes[self.targets])
        return replace(self, targets=targets, task=replace(self.task, classes=every))

    @property
    def fingerprint(self) -> str:
        """sha256 over contents, labels, parts and class names: equal data, equal fingerprint, wherever it lies."""
        digest = hashlib.sha256("\0".join(self.task.classes).encode())
        for i, item in enumerate(self.items):
            part = "" if self.parts is None else self.parts[i]
            digest.update(f"{item.key} {self.targets[i]} {part}\n".encode())
        return digest.hexdigest()

    def counts(self) -> dict[str, int]:
        """Examples of each class or label; of numbers there are none."""
        if self.task.kind == "regression":
            return {}
        counts = KINDS[self.task.kind].seen(self.targets, self.task.outputs).sum(axis=0)
        return {name: int(count) for name, count in zip(self.task.classes, counts, strict=True)}
