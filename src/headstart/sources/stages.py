"""Stage names of a plan -> the stages of a source."""

from collections.abc import Sequence

from headstart.core.errors import unknown_name

ALIASES = {"first": 0, "last": -1}


def resolve(names: Sequence[str], stages: Sequence[str]) -> tuple[str, ...]:
    """Names, aliases ("first", "last", "-2"), ranges ("..-2") and "*" as the stages they mean, input to output.

    Raises:
        UserError: a name is no stage of the source.

    >>> resolve(("..-2",), ("stem", "blocks", "head"))
    ('stem', 'blocks')
    """
    chosen = {stage for name in names for stage in _one(name, stages)}
    return tuple(stage for stage in stages if stage in chosen)


def _one(name: str, stages: Sequence[str]) -> Sequence[str]:
    if name == "*":
        return stages
    if name.startswith(".."):
        end = _position(name[2:], stages)
        return stages[: end + 1]
    return [stages[_position(name, stages)]]


def _position(name: str, stages: Sequence[str]) -> int:
    if name in stages:
        return list(stages).index(name)
    try:
        at = ALIASES[name] if name in ALIASES else int(name)
        return range(len(stages))[at]
    except (ValueError, IndexError):
        raise unknown_name("stage", name, [*stages, *ALIASES]) from None
