"""The names of weights in a file -> the names of the net that they are for.

Training scripts wrap a net and so put words before its names; the authors of a net may name its parts otherwise than
timm does, which keeps a function for that beside each family.
"""

import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.sources.formats.checks import few

PREFIXES = (
    "module.", "_orig_mod.", "model.", "backbone.", "encoder.", "net.", "network.", "trunk.", "features_extractor.",
    "base_model.", "state_dict.",
)  # fmt: skip
OFFICIAL = ("checkpoint_filter_fn", "_filter_fn")  # what timm calls the functions that rename


def bare(found: Collection[str], wanted: Collection[str]) -> dict[str, str]:
    """Name in the file -> the same without the prefixes that stand before a name of the net.

    A name that fits nothing stays as it is, so that a report shows what the file says.

    Raises:
        UserError: two names become one.

    >>> bare(["module.backbone.fc.bias", "module.queue"], ["fc.bias"])
    {'module.backbone.fc.bias': 'fc.bias', 'module.queue': 'module.queue'}
    """
    names = {name: _bare(name, wanted) for name in found}
    whose: dict[str, list[str]] = {}
    for name, now in names.items():
        whose.setdefault(now, []).append(name)
    twice = next((both for both in whose.values() if len(both) > 1), None)
    if twice:
        raise UserError(
            "one net in the file", f"{few(twice)} for the same weight", "Save the one that is wanted alone."
        )
    return names


def _bare(name: str, wanted: Collection[str]) -> str:
    form = name
    while form not in wanted:
        prefix = next((prefix for prefix in PREFIXES if form.startswith(prefix)), None)
        if prefix is None:
            return name
        form = form.removeprefix(prefix)
    return form


def official(tensors: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor] | None:
    """The same weights under the names of timm, where they had those of the net's authors.

    Only renaming, reshaping and leaving out is taken over. Such a function may also resample what does not fit the
    input size, which no file asked for.

    Returns:
        The renamed weights, or None where timm knows no other names or they are not these.
    """
    home = vars(sys.modules[type(model).__module__])
    rename: Callable[..., Any] | None = next((home[name] for name in OFFICIAL if name in home), None)
    if rename is None:
        return None
    takes = len([p for p in inspect.signature(rename).parameters.values() if p.default is inspect.Parameter.empty])
    try:
        found: Any = rename(*(dict(tensors), model)[:takes])
    except Exception:  # noqa: BLE001 - written for the official files only: on others it may fail anyhow
        return None
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        return None
    stored = {(t.untyped_storage().data_ptr(), t.numel()) for t in tensors.values()}
    same = all((t.untyped_storage().data_ptr(), t.numel()) in stored for t in found.values())
    return found if same and found.keys() != tensors.keys() else None
