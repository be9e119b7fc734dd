"""The anatomy of any timm net: stages from input to output, where to tap them, which parameters lead to them.

timm's `group_matcher` orders the parameters; a dry run finds, for each group, the last module that belongs to it alone
and puts out maps or tokens. Nothing is written by hand for a family, so nothing breaks when a net changes.
"""

from collections.abc import Mapping

import torch
from timm.models import group_parameters
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.core.errors import UserError
from headstart.sources.card import Stage
from headstart.sources.source import pooled

NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm)


def classifier_name(model: nn.Module) -> str:
    """Dotted name of the net's own classifier; "" when it has none."""
    head = model.get_classifier()  # type: ignore[operator] # timm's contract
    return next((name for name, module in model.named_modules() if module is head), "")


def norm_names(model: nn.Module) -> tuple[str, ...]:
    """Dotted names of the normalisation modules."""
    return tuple(name for name, module in model.named_modules() if isinstance(module, NORMS))


def stages(model: nn.Module, size: int) -> tuple[Stage, ...]:
    """Stages of a net for (size, size) inputs; the last is what the classifier gets.

    Raises:
        UserError: the net cannot take images of that size.
    """
    head = classifier_name(model)
    grouped = group_parameters(model, model.group_matcher(coarse=True))  # type: ignore[operator]
    groups = [[n for n in names if not (head and n.startswith(f"{head}."))] for names in grouped.values()]
    order, dims, last = _dry_run(model, size)
    found: list[Stage] = []
    waiting: list[str] = []
    for group in groups:
        waiting += group
        tap = _tap(model, set(waiting), order)
        if tap is not None:
            name = tap if found or _prefix(waiting) else "stem"
            found.append(Stage(name=name, tap=tap, dim=dims[tap], parameters=tuple(waiting)))
            waiting = []
    if waiting or not found:
        found.append(Stage(name=_prefix(waiting) or "head", tap="", dim=last, parameters=tuple(waiting)))
    else:
        own = found[-1].name if _prefix(list(found[-1].parameters)) else "head"
        found[-1] = found[-1].model_copy(update={"name": own, "tap": "", "dim": last})
    return tuple(found)


def _dry_run(model: nn.Module, size: int) -> tuple[list[str], Mapping[str, int], int]:
    """Module names in the order they finish, the pooled width of each that puts out maps or tokens, the last width."""
    order: list[str] = []
    dims: dict[str, int] = {}

    def hook(name: str) -> object:
        def note(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim in (3, 4):
                order.append(name)
                dims[name] = pooled(output).shape[1]

        return note

    handles = [m.register_forward_hook(hook(n)) for n, m in model.named_modules() if n]  # type: ignore[arg-type]
    try:
        with torch.inference_mode():
            maps = model.forward_features(torch.zeros(1, 3, size, size))  # type: ignore[operator]
            last = model.forward_head(maps, pre_logits=True)  # type: ignore[operator]
    except (RuntimeError, AssertionError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError("an input size that the net takes", f"{size} ({said})", "Try its own size.") from None
    finally:
        for handle in handles:
            handle.remove()
    return order, dims, last.shape[1]


def _tap(model: nn.Module, group: set[str], order: list[str]) -> str | None:
    for name in reversed(order):
        own = {f"{name}.{n}" for n, _ in model.get_submodule(name).named_parameters()}
        if own and own <= group:
            return name
    return None


def _prefix(parameters: list[str]) -> str:
    """The module that a stage's parameters share ("blocks.3"); "" where there is none."""
    first, last = min(parameters).split("."), max(parameters).split(".")
    shared = [a for a, b in zip(first[:-1], last[:-1], strict=False) if a == b]
    return ".".join(shared) if shared == first[: len(shared)] else ""
