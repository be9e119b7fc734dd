"""Examples that are nearly the same: which, in which part each was, and whether they are labelled alike."""

from dataclasses import dataclass

import pyarrow as pa

from headstart.core.record import Record
from headstart.data.inspect import LEAK

GROUPS, MEMBERS = 8, 4  # that are shown


@dataclass(frozen=True)
class Member:
    """One of several that are nearly the same.

    Attributes:
        name: the example.
        part: where it was used.
        truth: what it is labelled; None where that was not kept.
    """

    name: str
    part: str
    truth: str | None


@dataclass(frozen=True)
class Alike:
    """Examples that are nearly the same.

    Attributes:
        members: the first of them.
        more: how many others there are.
        leak: whether one was left out because another is in the test part.
        contradict: whether they are not labelled alike.
    """

    members: tuple[Member, ...]
    more: int
    leak: bool
    contradict: bool


def alike(record: Record, rows: pa.Table | None) -> tuple[Alike, ...]:
    """The groups to look at first: leaks, then those with unlike labels, then the others as they were found.

    Args:
        record: names the groups.
        rows: the delivered model's predictions; they know parts and labels.
    """
    known: dict[str, Member] = {}
    if rows is not None:
        for name, truth, on in zip(*(rows[c].to_pylist() for c in ("example", "truth", "on")), strict=True):
            known[name] = Member(name, "test" if on == "test" else "training", truth)
    left = {one.name for one in record.data.skipped if one.why == LEAK}
    found = [_group(names, known, left) for names in record.data.duplicates]
    return tuple(sorted(found, key=lambda one: (not one.leak, not one.contradict)))[:GROUPS]


def _group(names: tuple[str, ...], known: dict[str, Member], left: set[str]) -> Alike:
    out = {name: Member(name, "left out of the training part", None) for name in left}
    members = [out.get(name) or known.get(name) or Member(name, "", None) for name in names]
    members.sort(key=lambda one: one.part)  # what was left out beside what it is a copy of
    labels = {one.truth for one in members if one.truth is not None}
    return Alike(
        members=tuple(members[:MEMBERS]),
        more=max(len(members) - MEMBERS, 0),
        leak=any(name in left for name in names),
        contradict=len(labels) > 1,
    )
