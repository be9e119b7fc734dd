"""What transfer takes for granted, checked and said."""

from headstart.data.dataset import Dataset
from headstart.sources.card import Card

RATIO = 10  # "much more data for the source task": at least so many times the target's


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
