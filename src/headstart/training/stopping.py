"""When to stop, which epoch to keep, and whether the net overfitted: functions of the curves alone."""

from collections.abc import Sequence

_PATIENCE, _SHARE = 3, 5  # at least three epochs, and a fifth of them: with few examples an epoch is a step or two
_CLEARLY = 0.05  # share of the best validation loss; a smaller rise is noise on a few hundred examples


def best(losses: Sequence[float]) -> int:
    """Index of the least validation loss; the first one of equals."""
    return min(range(len(losses)), key=lambda epoch: losses[epoch])


def patience(epochs: int) -> int:
    """Epochs to wait for an improvement, of so many that are planned: many epochs are short ones.

    >>> patience(6), patience(40)
    (3, 8)
    """
    return max(_PATIENCE, epochs // _SHARE)


def should_stop(losses: Sequence[float], patience: int) -> bool:
    """The validation loss has not improved for `patience` epochs.

    >>> should_stop([0.5, 0.4, 0.45, 0.41], patience=3), should_stop([0.5, 0.4, 0.45, 0.41], patience=2)
    (False, True)
    """
    return bool(losses) and len(losses) - 1 - best(losses) >= patience


def overfitted(train_losses: Sequence[float], validation_losses: Sequence[float]) -> bool:
    """The validation loss ended clearly above its best while the training loss went on falling.

    >>> overfitted([0.6, 0.3, 0.1], [0.5, 0.4, 0.6]), overfitted([0.6, 0.3, 0.1], [0.5, 0.4, 0.41])
    (True, False)
    """
    if not validation_losses:
        return False
    at = best(validation_losses)
    rose = validation_losses[-1] > validation_losses[at] * (1 + _CLEARLY)
    return rose and train_losses[-1] < train_losses[at]
