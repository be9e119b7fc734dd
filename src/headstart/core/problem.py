"""What is to be learned: tasks, and the setting of transfer they make with the source."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["classification"]
Setting = Literal["inductive", "transductive", "unsupervised"]


@dataclass(frozen=True)
class Task:
    """A label space and a name: the T = {Y, f} of the field, f being what is learned.

    Args:
        name: the target's name (a column, or "class" for a folder a class).
        kind: what is predicted.
        classes: the label names, in the order of the label codes 0 .. C-1.
    """

    name: str
    kind: Kind
    classes: tuple[str, ...]

    @property
    def outputs(self) -> int:
        """How many outputs a head for this task has."""
        return len(self.classes)
