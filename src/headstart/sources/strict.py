"""Weights into a net, strictly: what does not fit is said by name and reason, or was allowed by name before."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.sources.formats.checks import few, shown

COUNTERS = "*num_batches_tracked"  # of batch norms: files from before torch 0.4.1 have none, and nothing reads them


@dataclass(frozen=True)
class Difference:
    """What was not loaded, by name.

    Attributes:
        missing: in the net, not in the file.
        unexpected: in the file, not in the net.
        unlike: in both, of another shape or type: (name, what came for what).
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    unlike: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.unlike)

    @property
    def fresh(self) -> tuple[str, ...]:
        """What of the net did not come from the file."""
        return tuple(sorted((*self.missing, *(name for name, _ in self.unlike))))

    def unless(self, allowed: Sequence[str]) -> "Difference":
        """What is left when the names that match a glob are allowed for."""

        def counts(name: str) -> bool:
            return not any(fnmatchcase(name, glob) for glob in allowed)

        return Difference(
            tuple(filter(counts, self.missing)),
            tuple(filter(counts, self.unexpected)),
            tuple(pair for pair in self.unlike if counts(pair[0])),
        )

    def __str__(self) -> str:
        return "; ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        if self.missing:
            yield f"{len(self.missing)} missing ({few(self.missing)})"
        if self.unexpected:
            yield f"{len(self.unexpected)} unexpected ({few(self.unexpected)})"
        for name, why in self.unlike[:1]:
            more = f" and {len(self.unlike) - 1} more" if len(self.unlike) > 1 else ""
            yield f"{len(self.unlike)} of another shape or type ({shown(name)}: {why}{more})"


def difference(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Difference:
    """What of one is not in the other, each sorted."""
    missing = [name for name in wanted if name not in found and not fnmatchcase(name, COUNTERS)]
    unlike = [(name, _unlike(found[name], wanted[name])) for name in sorted(found.keys() & wanted.keys())]
    return Difference(
        tuple(sorted(missing)),
        tuple(sorted(found.keys() - wanted.keys())),
        tuple((name, why) for name, why in unlike if why),
    )


def _unlike(found: Tensor, wanted: Tensor) -> str:
    scalar = not wanted.ndim and found.numel() == 1  # numpy and old versions of torch write those as (1,)
    if found.shape != wanted.shape and not scalar:
        return f"{tuple(found.shape)} for {tuple(wanted.shape)}"
    if found.is_floating_point() != wanted.is_floating_point():
        return f"{found.dtype} for {wanted.dtype}".replace("torch.", "")
    return ""


def fill(
    model: nn.Module, found: Mapping[str, Tensor], *, net: str, file: str, allowed: Sequence[str] = (), do: str = ""
) -> Difference:
    """Load weights into a net in place.

    Args:
        model: all of it is loaded, but for what is allowed to differ: that stays as it is.
        found: weights by the net's own names.
        net: what the net is called, for messages.
        file: likewise.
        allowed: globs of names that need not be loaded.
        do: what to do where it does not fit; how to allow for it, if nothing is said.

    Returns:
        What was not loaded; all of it is allowed.

    Raises:
        UserError: something else does not fit, or nothing does.
    """
    wanted = model.state_dict()
    differs = difference(found, wanted)
    wrong = differs.unless(allowed)
    fits = {name: found[name] for name in found.keys() & wanted.keys() - set(differs.fresh)}
    if wrong or not fits:
        allow = f"Name the net that it was saved from, or say what may be left out: --allow-missing {_glob(wrong)}"
        raise UserError(f"the {len(wanted)} tensors of {net}", f"{file}: {wrong or 'none of them'}", do or allow)
    with torch.no_grad():
        for name, tensor in fits.items():
            wanted[name].copy_(tensor.reshape(wanted[name].shape))  # keeps the net's type and memory format
    return differs


def _glob(wrong: Difference) -> str:
    """The one pattern that would allow for it, if it is one module's."""
    modules = {name.rpartition(".")[0] for name in (*wrong.fresh, *wrong.unexpected)}
    module = modules.pop() if len(modules) == 1 else ""
    return shown(f"{module}.*") if module else "GLOB"
