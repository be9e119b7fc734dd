"""A net that timm does not have, with timm's contract: its classifier by name, its parameters in the order of depth.

Nothing is written by hand for a family: a dry run shows which modules only hand on what one of their blocks put out,
and which layer gives the classes.
"""

import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.sources.anatomy import NORMS
from headstart.sources.card import Layout, Stage
from headstart.sources.formats.checks import said

REGISTERS = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")
CONTAINERS = (nn.Sequential, nn.ModuleList)
PASSED_ON = "passed_on"


class Backbone(nn.Module):
    """A net with timm's contract: `get_classifier`, `reset_classifier`, `group_matcher`.

    It shares the net's registers of parameters and modules, so every name stays as its authors gave it, and what is
    replaced in one is replaced in the other. Blocks that put out several values get a module `passed_on` that puts out
    the first of them, so that it can be tapped: see `opened`.

    Args:
        net: takes pixels and gives one tensor; set to eval mode.
        pixels: (n, C, H, W) pixels that it takes, for a dry run.
        classes: that its classifier tells apart; 0 when it has none.
        output_fmt: which axes of its maps are channels.

    Raises:
        UserError: the net does not take the pixels, or no layer of it gives so many classes.
    """

    def __init__(self, net: nn.Module, pixels: Tensor, *, classes: int = 0, output_fmt: Layout = "NCHW") -> None:
        super().__init__()
        self.output_fmt = output_fmt  # timm's name for it
        self._net = [net.eval()]  # in a list, so that it is no child: its names would get a prefix
        for register in REGISTERS:
            vars(self)[register] = vars(net)[register]
        self.eval()
        seen = _dry_run(net, pixels)
        self._head = _classifier(net, seen, classes) if classes else ""
        head = self.get_classifier()
        self._width = head.in_features if isinstance(head, nn.Linear) else 0
        self._depth = _depths(net, seen)
        self._several = tuple(seen.several)
        for name in self._several:
            _pass_on(net.get_submodule(name))

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, C, H, W) normalised pixels -> (n, classes) logits, or (n, D) features without the classifier."""
        return self._net[0](pixels)

    def train(self, mode: bool = True) -> "Backbone":
        """As of any module; the net that runs must know too."""
        self._net[0].training = mode
        super().train(mode)
        return self

    def get_classifier(self) -> nn.Module | None:
        """The layer that gives the classes; None when there is none."""
        return self.get_submodule(self._head) if self._head else None

    def reset_classifier(self, num_classes: int) -> None:
        """Another linear classifier where there was one; with 0 classes none: the net gives the features it read."""
        if self._head:
            linear = nn.Linear(self._width, num_classes) if num_classes and self._width else nn.Identity()
            self.set_submodule(self._head, linear)

    def group_matcher(self, coarse: bool = True) -> Callable[[str], int]:  # noqa: ARG002 - timm's contract
        """A function from the name of a parameter to the number of its block, counted from the input."""
        return self._depth.__getitem__

    def opened(self, stages: Sequence[Stage]) -> tuple[Stage, ...]:
        """Stages with their taps behind the whole block, where a block puts out several values.

        A tap can only be a module that gives one tensor, so such a block was tapped inside, before its residual sum.
        """
        return tuple(map(self._opened, stages))

    def _opened(self, stage: Stage) -> Stage:
        for name in reversed(self._several):  # the last to finish is the outermost
            own = {f"{name}.{parameter}" for parameter, _ in self.get_submodule(name).named_parameters()}
            if own <= set(stage.parameters) and stage.name.startswith(f"{name}."):
                inside = stage.tap.startswith(f"{name}.")
                return stage.model_copy(update={"name": name, "tap": f"{name}.{PASSED_ON}" if inside else stage.tap})
        return stage


@dataclass
class _DryRun:
    """What one pass shows.

    Attributes:
        examples: that the net is given.
        order: modules that put out tensors, as they finish.
        wrappers: modules that put out, unchanged, what one of their own modules with parameters put out.
        folded: modules that put out another number of examples than the net was given: parts of pictures.
        several: modules with parameters that put out more than one value, the first of them maps or tokens.
        outputs: what modules with parameters put out last; a sum in place makes another version of a tensor.
    """

    examples: int
    order: list[str] = field(default_factory=list[str])
    wrappers: set[str] = field(default_factory=set[str])
    folded: set[str] = field(default_factory=set[str])
    several: list[str] = field(default_factory=list[str])
    outputs: dict[str, tuple[weakref.ref[Tensor], int]] = field(default_factory=dict[str, Any])

    def note(self, name: str, module: nn.Module, output: object) -> None:
        """A module is done."""
        first = _first(output)
        if first is None:
            return
        self.order.append(name)
        if first.ndim and len(first) != self.examples:
            self.folded.add(name)
        inside = (made for other, made in self.outputs.items() if other.startswith(f"{name}."))
        if any(made() is first and version == first._version for made, version in inside):
            self.wrappers.add(name)
        if next(module.parameters(), None) is None:
            return
        self.outputs[name] = weakref.ref(first), first._version
        if isinstance(output, tuple) and first.ndim in (3, 4) and name not in self.several:
            self.several.append(name)


def _dry_run(net: nn.Module, pixels: Tensor) -> _DryRun:
    seen = _DryRun(len(pixels))

    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        return lambda module, _inputs, output: seen.note(name, module, output)

    handles = [module.register_forward_hook(hook(name)) for name, module in net.named_modules() if name]
    try:
        with torch.no_grad():  # not inference_mode, whose tensors have no versions
            net(pixels)
    except UserError:
        raise
    except (RuntimeError, AssertionError, ValueError) as error:
        came = f"{pixels.shape[-1]} ({said(error)})"
        raise UserError("an input size that the net takes", came, "Try its own.") from None
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _first(output: Any) -> Tensor | None:
    """The tensor that a module puts out, the first of several."""
    if isinstance(output, dict):
        output = tuple(cast("dict[str, object]", output).values())
    if isinstance(output, (tuple, list)):
        output = next(iter(cast("tuple[object, ...]", output)), None)
    return output if isinstance(output, Tensor) else None


def _classifier(net: nn.Module, seen: _DryRun, classes: int) -> str:
    """The last linear layer that was reached, or convolution at the very end, with one output a class."""
    layers = [name for name in reversed(seen.order) if any(True for _ in net.get_submodule(name).parameters(False))]
    for name in layers:
        match net.get_submodule(name):
            case nn.Linear(out_features=outputs) if outputs == classes:
                return name
            case nn.Conv2d(out_channels=outputs) if outputs == classes and name == layers[0]:
                return name
            case _:
                continue
    came = f"{type(net).__name__}, where none does"
    raise UserError(f"a net with a layer that gives {classes} classes", came, "Choose another net.")


def _depths(net: nn.Module, seen: _DryRun) -> dict[str, int]:
    """Parameter -> number of its block, in the order in which blocks finish.

    Parameters between the blocks belong to the block before them, and so do norms, except at the beginning of a
    container: there they prepare for what follows.
    """
    depths: dict[str, int] = {}
    at, before, waiting = -1, "", False
    for name in _in_order(_units(net, "", seen), seen.order):
        module, parent = _module(net, name), name.rpartition(".")[0]
        beside = bool(before) and (module is None or not parent or before.startswith(f"{parent}."))
        loose = module is None or isinstance(module, NORMS)
        if waiting or not (loose and beside):
            at += not waiting
            waiting = loose
        before = before if waiting else name
        names = [name] if module is None else [f"{name}.{own}" for own, _ in module.named_parameters()]
        depths.update(dict.fromkeys(names, at))
    return depths


def _in_order(units: Iterable[str], order: Sequence[str]) -> list[str]:
    """Units in the order in which they finish; what puts out nothing stays behind what it was registered behind."""
    finished = {name: at for at, name in reversed(list(enumerate(order)))}
    places: dict[str, int] = {}
    place = -1
    for name in units:
        place = places[name] = finished.get(name, place)
    return sorted(places, key=places.__getitem__)


def _units(module: nn.Module, name: str, seen: _DryRun) -> Iterator[str]:
    """Names of blocks, and of parameters outside of all blocks, in the order of registration."""
    dot = f"{name}." if name else ""
    for own, _ in module.named_parameters(recurse=False):
        yield f"{dot}{own}"
    for child, part in module.named_children():
        if next(part.parameters(), None) is None:
            continue
        if isinstance(part, CONTAINERS) or _is_wrapper(part, f"{dot}{child}", seen):
            yield from _units(part, f"{dot}{child}", seen)
        else:
            yield f"{dot}{child}"


def _is_wrapper(module: nn.Module, name: str, seen: _DryRun) -> bool:
    """Whether a module is no more than its blocks one behind the other."""
    inside = [(f"{name}.{child}", part) for child, part in module.named_children()]
    if name not in seen.wrappers or any(child in seen.folded for child, _ in inside):
        return False
    return any(_repeats(part) or _is_wrapper(part, child, seen) for child, part in inside)


def _repeats(part: nn.Module) -> bool:
    """Whether a container holds at least two composite blocks of one kind: the layers inside a block are plain."""
    if not isinstance(part, CONTAINERS):
        return False
    blocks = [block for block in part if not isinstance(block, CONTAINERS) and any(True for _ in block.children())]
    return max(Counter(map(type, blocks)).values(), default=0) > 1


def _module(net: nn.Module, name: str) -> nn.Module | None:
    """The module of that name; None where the name is a parameter's."""
    holder, _, leaf = name.rpartition(".")
    return dict(net.get_submodule(holder).named_children()).get(leaf)


class _PassedOn(nn.Module):
    """Puts out what it is given."""

    def forward(self, features: Tensor) -> Tensor:
        return features


def _pass_on(module: nn.Module) -> None:
    """Let the first of the values that a module puts out pass a module of its own."""
    module.add_module(PASSED_ON, _PassedOn())
    module.register_forward_hook(_through)


def _through(module: nn.Module, _inputs: object, output: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (module.get_submodule(PASSED_ON)(output[0]), *output[1:])
