"""What can be asked of a source before a fit: whether its preprocessing is right, and how fast it is."""

from pathlib import Path

from headstart.core.progress import Progress, Silent
from headstart.data.labelled import Where
from headstart.data.store import Store
from headstart.features.engine import Missing, tried
from headstart.features.probe import Trial
from headstart.modalities.catalog import kind_of, read, reader
from headstart.selection.doctor import Finding, examine
from headstart.selection.doctor import verdict as diagnosis
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.load import load as load_source


def doctor(
    name: str,
    path: str | Path,
    *,
    target: str | None = None,
    access: Access = NOTHING_SPECIAL,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[tuple[Finding, ...], str]:
    """Whether a source's preprocessing fits its weights, on the user's own pictures.

    Args:
        name: provider:name.
        path: labelled data.
        target: the label column of a table.
        access: what is allowed.
        seed: of the bootstrap.
        progress: told how far it is.

    Returns:
        The ways of preparing pictures that were tried, the card's first, and one sentence.

    Raises:
        UserError: the source or the data cannot be had.
    """
    told, store = progress or Silent(), Store()
    data = read(Where(Path(path), target), store, told)
    examined = examine(load_source(name, access, told), data, store, told, seed)
    return examined, diagnosis(name, examined)


def bench(
    path: str | Path,
    name: str | None,
    *,
    target: str | None = None,
    access: Access = NOTHING_SPECIAL,
    progress: Progress | None = None,
) -> tuple[str, tuple[Trial, ...]]:
    """Every way of computing a source's features, timed on a few of the user's own examples and compared with float32.

    Args:
        path: labelled data.
        name: of the source; None takes the first that is tried on such data.
        target: the label column of a table.
        access: what is allowed.
        progress: told what is tried.

    Returns:
        The source, and what became of each way.

    Raises:
        UserError: the source or the data cannot be had.
    """
    told, store = progress or Silent(), Store()
    where = Where(Path(path), target)
    kind = reader(kind_of(where))
    data, name = kind.read(where, store, told), name or kind.sources[0]
    net = load_source(name, access, told)
    with told.step(f"engine {name}"):
        return name, tuple(tried(net, data, Missing(len(data), {}), store, every=True))
