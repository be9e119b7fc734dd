"""Errors are part of the interface: what was expected, what came, what to do."""

import difflib
from collections.abc import Iterable


class HeadstartError(Exception):
    """Base of every error that headstart raises on purpose."""


class UserError(HeadstartError, ValueError):
    """A mistake the user can mend; the command line prints it in one or two lines and exits with status 2.

    Args:
        expected: what was expected, as a noun phrase ("a folder with one sub-folder a class").
        came: what came instead.
        do: what to do about it.
    """

    def __init__(self, expected: str, came: str, do: str) -> None:
        self.expected, self.came, self.do = expected, came, do
        super().__init__(f"expected {expected}, got {came}\n{do}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the nearest known names, or lists a few of them.

    >>> did_you_mean("liner", ["linear", "lp-ft"])
    'Did you mean linear?'
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"Known: {shown}."


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that no registry has, with did-you-mean."""
    return UserError(f"the name of a {kind}", repr(name), did_you_mean(name, known))
