"""What transfer takes for granted, checked and said."""

from headstart.core.errors import UserError
from headstart.data.dataset import Dataset
from headstart.sources.card import KINDS, Card, ImageInput
from headstart.sources.source import Source

RATIO = 10  # "much more data for the source task": at least so many times the target's

CHANCE = 0.01  # share of examples that may be equal to others by chance
PICTURE = ("RGB", "BGR", "L")  # what a reader of pictures can give


def check_readable(card: Card, data: Dataset) -> None:
    """Refuse a source whose input no reader of the data gives.

    Raises:
        UserError: it takes another kind of data, or another number of channels.
    """
    taken = card.input
    kind = KINDS[type(taken)]
    if kind != data.modality.name:
        came = f"{card.name}, which takes {kind} data"
        raise UserError(f"a source for {data.modality.name} data", came, "See headstart sources list.")
    if isinstance(taken, ImageInput) and taken.colour not in PICTURE and taken.channels != len("RGB"):
        came = f"{card.name}, which takes {taken.channels} channels"
        raise UserError(f"a source that takes {data.modality.name} data as it is read", came, "Leave +channels: out.")


def check_unseen(source: Source, data: Dataset) -> None:
    """Refuse a source that has learned from these very examples: what it knows of them is no transfer.

    Raises:
        UserError: it has, and not by chance.
    """
    brought = source.brought
    if brought is None or brought.repeats > CHANCE:
        return
    seen = [item.name for item in data.items if item.key in brought.keys]
    if len(seen) > max(1, CHANCE * len(data)):
        came = f"{len(seen)} of {len(data)} that it has learned from, such as {seen[0]}"
        raise UserError(f"examples that {source.name} does not have", came, "Leave these out of the source.")


def preconditions(card: Card, data: Dataset) -> tuple[str, ...]:
    """What transfer takes for granted: the same kind of input, and much more data at the source than here."""
    trained = card.trained_on
    if trained is None:
        return (f"{card.name} was not trained on anything known",)
    if trained.kind != data.modality.name:
        return (f"{card.name} was trained on {trained.kind} data, this is {data.modality.name} data",)
    if trained.n < RATIO * len(data):
        return (f"{card.name} has seen {trained.n:,} examples, fewer than {RATIO} times the {len(data):,} here",)
    return ()
