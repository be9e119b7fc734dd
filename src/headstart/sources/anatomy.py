"""The anatomy of any net that keeps timm's contract: stages, where to tap them, which parameters lead there.

timm's `group_matcher` orders the parameters; a dry run finds, for each group, the last module that belongs to it alone
and puts out maps or tokens. Nothing is written by hand for a family, so nothing breaks when a net changes.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from timm.models import group_parameters
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.sources.card import ImageInput, Layout, Stage
from headstart.sources.formats.checks import said
from headstart.sources.pooling import cells, pooled

AT_END = {"layout": "NCHW", "grid": 1}  # what a net puts out itself is a vector, or maps that it has no more use for
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.LayerNorm, nn.GroupNorm)


def classifier_name(model: nn.Module) -> str:
    """Dotted name of the net's own classifier; "" when it has none.

    Raises:
        UserError: the net has several.
    """
    head = model.get_classifier()  # type: ignore[operator] # timm's contract
    if head is not None and not isinstance(head, nn.Module):
        raise UserError("a net with one classifier", f"{type(model).__name__} with several", "Choose another source.")
    return next((name for name, module in model.named_modules() if module is head), "")


def norm_names(model: nn.Module) -> tuple[str, ...]:
    """Dotted names of the normalisation modules."""
    return tuple(name for name, module in model.named_modules() if isinstance(module, NORMS))


def stages(model: nn.Module, taken: ImageInput) -> tuple[Stage, ...]:
    """Stages of a net for inputs of that size and number of channels; the last is what the classifier gets.

    Raises:
        UserError: the net cannot take images of that size, or timm does not say how its layers follow each other.
    """
    layout: Layout = "NHWC" if getattr(model, "output_fmt", None) == "NHWC" else "NCHW"
    run = _dry_run(model, taken, layout)
    found: list[Stage] = []
    waiting: list[str] = []
    for group in _groups(model):
        waiting += group
        owner = _owner(model, set(waiting), run.order)
        if owner is not None:
            tap = _after(model, owner, run.order)
            name = owner if found or "." in owner or _prefix(waiting) else "stem"
            dim, grid = run.shapes[tap]
            found.append(Stage(name=name, tap=tap, dim=dim, parameters=tuple(waiting), layout=layout, grid=grid))
            waiting = []
    if waiting or not found:
        return (*found, Stage(name=_prefix(waiting) or "head", tap="", dim=run.last, parameters=tuple(waiting)))
    name = found[-1].name if _prefix(found[-1].parameters) else "head"
    return (*found[:-1], found[-1].model_copy(update={"name": name, "tap": "", "dim": run.last} | AT_END))


def _groups(model: nn.Module) -> Iterator[list[str]]:
    """Parameter names in the order of depth, without the classifier's.

    timm joins what follows the last block to that block; here it is a group of its own.
    """
    head = classifier_name(model)
    if not hasattr(model, "group_matcher"):
        raise UserError("a net whose layers timm can order", type(model).__name__, "Choose another architecture.")
    before = ""
    for names in group_parameters(model, model.group_matcher(coarse=True)).values():  # type: ignore[operator]
        own = [name for name in names if not (head and name.startswith(f"{head}."))]
        beside = before.rpartition(".")[0]
        sibling = ".".join(own[0].split(".")[: before.count(".") + 1]) if own and beside else ""
        block = [name for name in own if name.startswith(f"{sibling}.")]
        if sibling.startswith(f"{beside}.") and 0 < len(block) < len(own):
            yield block
            yield [name for name in own if name not in set(block)]
        elif own:
            yield own
        before = _prefix(own)


@dataclass(frozen=True)
class _DryRun:
    """Which modules put out maps or tokens, in the order they finish; pooled width and grid; the classifier's input."""

    order: Sequence[str]
    shapes: Mapping[str, tuple[int, int]]
    last: int


def _dry_run(model: nn.Module, taken: ImageInput, layout: Layout) -> _DryRun:
    order: list[str] = []
    shapes: dict[str, tuple[int, int]] = {}
    head = classifier_name(model)
    given: list[Tensor] = []

    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        def note(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim in (3, 4):
                order.append(name)
                grid = cells(output, layout)
                shapes[name] = pooled(output, layout, grid=grid).shape[1], grid

        return note

    handles = [m.register_forward_hook(hook(n)) for n, m in model.named_modules() if n and n != head]
    if head:
        handles.append(model.get_submodule(head).register_forward_pre_hook(lambda _, inputs: given.append(inputs[0])))
    try:
        with torch.inference_mode():
            given.append(model(torch.zeros(1, taken.channels, taken.size, taken.size)))
    except (RuntimeError, AssertionError) as error:
        came = f"{taken.size} ({said(error)})"
        raise UserError("an input size that the net takes", came, "Try its own size.") from None
    finally:
        for handle in handles:
            handle.remove()
    return _DryRun(order, shapes, pooled(given[0], layout).shape[1])


def _owner(model: nn.Module, group: set[str], order: Sequence[str]) -> str | None:
    """The last module to finish whose parameters all belong to the group."""
    for name in reversed(order):
        own = {f"{name}.{n}" for n, _ in model.get_submodule(name).named_parameters()}
        if own and own <= group:
            return name
    return None


def _after(model: nn.Module, owner: str, order: Sequence[str]) -> str:
    """The activations and poolings behind a module: the mean of a map before its activation says next to nothing."""
    called = Counter(order)
    tap = owner
    for name in order[order.index(owner) + 1 :] if called[owner] == 1 else ():
        module = model.get_submodule(name)
        beside = owner.startswith(name.rpartition(".")[0])
        if not beside or called[name] > 1 or next(module.parameters(), None) is not None:
            break
        if isinstance(module, nn.Identity):
            continue
        tap = name
    return tap


def _prefix(parameters: Sequence[str]) -> str:
    """The module that all these parameters share ("blocks.3"); "" where there is none."""
    if not parameters:
        return ""
    first, last = min(parameters).split("."), max(parameters).split(".")
    shared = 0
    while shared < min(len(first), len(last)) - 1 and first[shared] == last[shared]:
        shared += 1
    return ".".join(first[:shared])
