"""What is to be learned: tasks, and the setting of transfer they make with the source."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["classification", "multi-label", "regression"]
Setting = Literal["inductive", "transductive", "unsupervised"]


@dataclass(frozen=True)
class Task:
    """A label space and a name: the T = {Y, f} of the field, f being what is learned.

    Args:
        name: the target's name (a column, or "class" for a folder a class).
        kind: what is predicted: one class, any number of labels, a number.
        classes: the names of classes or labels, in the order of the label codes 0 .. C-1; none of numbers.
    """

    name: str
    kind: Kind
    classes: tuple[str, ...]

    @property
    def outputs(self) -> int:
        """How many outputs a head for this task has."""
        return max(len(self.classes), 1)
