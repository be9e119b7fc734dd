"""`file:ARCH@PATH`: a file of weights for an architecture of timm; `file:NAME`: one that was added before;
`file:FOLDER`: what `headstart pretrain` has written.

Only weights are read, whoever is trusted. A file whose hash nobody has stated needs `trust`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.sources import added, trusted
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.added import Added
from headstart.sources.anatomy import classifier_name
from headstart.sources.card import NOT_STATED, Architecture, Licence, TrainedOn
from headstart.sources.describe import describe
from headstart.sources.formats import catalog
from headstart.sources.formats.checks import sha256 as sha256_of
from headstart.sources.formats.checks import there
from headstart.sources.layouts import bare, official
from headstart.sources.providers import folder
from headstart.sources.providers.timm import build, licence, taken
from headstart.sources.source import Source
from headstart.sources.strict import Difference, difference, fill

SEED = 0  # of what a file leaves open: the same name gives the same net


def load(name: str, access: Access = NOTHING_SPECIAL) -> Source:
    """A source from a file of weights.

    Args:
        name: ARCH@PATH, the name under which it was added, or a folder with a source in it.
        access: `trust` takes a file whose hash is not known, `allow_missing` one that is not the whole net.

    Raises:
        UserError: no such file, nobody has stated its hash, a damaged or hostile file, weights of another net.
    """
    if folder.is_source(whole := Path(name).expanduser()):
        return folder.load(whole)
    architecture, at, path = name.partition("@")
    if not at:
        return _added(added.entry(name), access.allow_missing)
    if not architecture or not path:
        raise UserError("file:ARCH@PATH or file:NAME", f"file:{name}", "See headstart sources list 'file:*'.")
    file = Path(path).expanduser()
    found = sha256_of(there(file))
    trusted.check(file, found, trust=access.trust)
    called = f"file:{architecture}@{file.absolute()}"
    return _source(called, file, architecture, found, NOT_STATED, None, access.allow_missing)


def add(
    path: str | Path,
    architecture: str,
    *,
    name: str,
    licence: str | None = None,
    trained_on: str | None = None,
    n: int | None = None,
) -> Added:
    """Check that a file fits an architecture strictly and keep a copy under a name: `file:NAME` needs no trust then.

    Args:
        path: of the weights.
        architecture: timm's name.
        name: to use it by.
        licence: of the weights, as their authors state it ("Apache-2.0").
        trained_on: the source task ("ImageNet-1k").
        n: how many examples that had.

    Raises:
        UserError: as for `load`; or a name that is taken; or only one of `trained_on` and `n`.
    """
    added.check_name(name)
    if (trained_on is None) != (n is None) or (n is not None and n < 1):
        do = "Give --trained-on NAME and --n NUMBER, or neither."
        raise UserError("what it was trained on, and how many examples", f"{trained_on} and {n}", do)
    file = there(Path(path).expanduser())
    found = sha256_of(file)
    _filled(file, architecture, ())
    kept = f"{found}{file.suffix.lower()}"
    new = Added(
        name=name, file=kept, sha256=found, architecture=architecture, licence=licence, trained_on=trained_on, n=n
    )
    return added.put(file, new)


def _added(kept: Added, allow_missing: Sequence[str]) -> Source:
    if not kept.path.is_file():
        do = f"Add the file again: headstart sources add FILE --name {kept.name}"
        raise UserError(f"the weights of file:{kept.name}", "a cache that was cleared", do)
    found = sha256_of(kept.path)
    trusted.check(kept.path, found, trust=False, stated=kept.sha256)
    on = None if kept.trained_on is None else TrainedOn(name=kept.trained_on, n=kept.n or 1, kind="image")
    stated = licence(kept.licence)
    return _source(f"file:{kept.name}", kept.path, kept.architecture, found, stated, on, allow_missing)


def _source(
    name: str,
    file: Path,
    architecture: str,
    sha256: str,
    licence: Licence,
    trained_on: TrainedOn | None,
    allow_missing: Sequence[str],
) -> Source:
    model, differs, options = _filled(file, architecture, allow_missing)
    card = describe(
        model, name=name, architecture=Architecture(name=architecture, options=options), taken=taken(model),
        licence=licence, trained_on=trained_on, sha256=sha256, changes=_changes(differs),
    )  # fmt: skip
    return Source(card, model)


def _filled(
    file: Path, architecture: str, allowed: Sequence[str]
) -> tuple[nn.Module, Difference, dict[str, bool | int | float | str]]:
    """A net with the file's weights, what was not loaded, and the options that it was built with."""
    model = _empty(architecture, {})
    tensors = {name: _tensor(array) for name, array in catalog.read(file).items()}
    found = _named(tensors, model)
    options: dict[str, bool | int | float | str] = {}
    classes = _classes(found, model)
    if classes is not None:
        options = {"num_classes": classes}
        model = _empty(architecture, options)
    differs = fill(model, found, net=architecture, file=str(file), allowed=allowed)
    return model.eval(), differs, options


def _empty(architecture: str, options: Mapping[str, bool | int | float | str]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return build(architecture, options)


def _tensor(array: Any) -> Tensor:
    return array if isinstance(array, Tensor) else torch.from_numpy(np.array(array))


def _named(tensors: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The weights under the net's own names: without prefixes, and as timm calls what its authors called otherwise."""
    wanted = model.state_dict()
    names = bare(tensors, wanted)
    found = {names[name]: tensor for name, tensor in tensors.items()}
    if not difference(found, wanted):
        return found
    renamed = official({_short(name): tensor for name, tensor in tensors.items()}, model)
    better = renamed is not None and len(renamed.keys() & wanted.keys()) > len(found.keys() & wanted.keys())
    return renamed if renamed is not None and better else found


def _short(name: str) -> str:
    """A name without the word that a wrapper put before it."""
    return name.removeprefix("module.").removeprefix("_orig_mod.")


def _classes(found: Mapping[str, Tensor], model: nn.Module) -> int | None:
    """How many classes the file's classifier has, where it is the net's but for that number."""
    head = classifier_name(model)
    name = f"{head}.weight"
    came, own = found.get(name), model.state_dict().get(name)
    if came is None or own is None or came.shape[1:] != own.shape[1:] or not came.ndim or len(came) in (0, len(own)):
        return None
    return len(came)


def _changes(differs: Difference) -> tuple[str, ...]:
    """What was not loaded, for the card; it was allowed."""
    said = []
    if differs.fresh:
        said.append(f"not in the file, re-initialised (seed {SEED}): {', '.join(differs.fresh)}")
    if differs.unexpected:
        said.append(f"in the file, left out: {', '.join(ascii(name) for name in differs.unexpected)}")
    return tuple(said)
