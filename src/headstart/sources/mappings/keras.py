"""Weights by Keras' names of layers -> weights by timm's names of parameters, exact and without remainder.

Each family says in its own file which layer is which module; the arithmetic is here. Keras keeps convolutions as
(height, width, in, out), depthwise ones as (height, width, in, 1) and dense layers as (in, out).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.sources.anatomy import classifier_name
from headstart.sources.formats.checks import few

Arrays = Mapping[str, NDArray[Any]]
HEADS = ("predictions", "fc1000", "probs", "Logits")  # what Keras has called its 1000-class layer over the years


@dataclass(frozen=True)
class Part:
    """One weight of a layer.

    Args:
        name: Keras' name of the weight.
        parameter: torch's, below the module.
        turn: from Keras' order of axes to torch's.
    """

    name: str
    parameter: str
    turn: Callable[[NDArray[Any]], NDArray[Any]]


def kept(values: NDArray[Any]) -> NDArray[Any]:
    """As it is."""
    return values


def _convolution(values: NDArray[Any]) -> NDArray[Any]:
    return values.transpose(3, 2, 0, 1)


def _depthwise(values: NDArray[Any]) -> NDArray[Any]:
    return values.transpose(2, 3, 0, 1)


def _dense(values: NDArray[Any]) -> NDArray[Any]:
    return values.transpose(1, 0)


BIAS = Part("bias", "bias", kept)
CONV = (Part("kernel", "weight", _convolution),)
DEPTHWISE = (Part("depthwise_kernel", "weight", _depthwise),)
SEPARABLE = (
    Part("depthwise_kernel", "conv1.weight", _depthwise), Part("pointwise_kernel", "pointwise.weight", _convolution),
)  # fmt: skip
NORM = (
    Part("gamma", "weight", kept), Part("beta", "bias", kept), Part("moving_mean", "running_mean", kept),
    Part("moving_variance", "running_var", kept),
)  # fmt: skip
DENSE = (Part("kernel", "weight", _dense), BIAS)


@dataclass(frozen=True)
class Row:
    """One layer of Keras and the module that it becomes."""

    layer: str
    module: str
    parts: tuple[Part, ...]


def converted(names: Arrays, model: nn.Module, rows: Sequence[Row]) -> dict[str, Tensor]:
    """The state of a net out of the weights of a file.

    Args:
        names: weights by `layer/weight`.
        model: the net; its shapes are what the weights must have.
        rows: every layer of its trunk. Its classifier is looked for under the names that Keras has for it.

    Returns:
        All of the trunk, and the classifier when the file has one of that shape; `num_batches_tracked`, which Keras
        does not count, is left out (torch fills it in).

    Raises:
        UserError: the trunk lacks a weight or has one of another shape, or the file has layers that it does not.
    """
    given = {f"{row.layer}/{p.name}": (f"{row.module}.{p.parameter}", p) for row in rows for p in row.parts}
    wanted = model.state_dict()
    found = {name: _found(names, name) for name in given}
    missing = [name for name, values in found.items() if values is None]
    if missing:
        raise _misfit(f"the layers of {_called(model)}", f"a file without {few(missing)}")
    result = {given[name][0]: _turned(v, given[name][1]) for name, v in found.items() if v is not None}
    result |= _classifier(names, model)
    for name, (parameter, _) in given.items():
        if parameter in wanted and result[parameter].shape != wanted[parameter].shape:
            came = f"{tuple(result[parameter].shape)} from {name}"
            raise _misfit(f"{parameter} of {_called(model)} as {tuple(wanted[parameter].shape)}", came)
    _check_complete(result, model)
    _check_used(names, {row.layer for row in rows}, model)
    return result


def classifier(names: Arrays) -> str | None:
    """The layer of a file that is a classifier under one of Keras' own names."""
    return next((layer for layer in HEADS if all(f"{layer}/{p.name}" in names for p in DENSE)), None)


def dense(names: Arrays) -> tuple[str, ...]:
    """The dense layers of a file, in its order."""
    flat = {name.rpartition("/")[0] for name, values in names.items() if values.ndim == 2}
    return tuple(layer for layer in layers(names) if layer in flat)


def layers(names: Arrays) -> tuple[str, ...]:
    """The layers of a file, in its order."""
    return tuple(dict.fromkeys(name.rpartition("/")[0] for name in names))


def numbered(names: Arrays, kind: str) -> tuple[str, ...]:
    """Layers that Keras named by itself (`conv2d`, `conv2d_1`, ...), in the order in which they were made.

    Args:
        names: weights by `layer/weight`.
        kind: a pattern of their name without its number.
    """
    found = {layer: match for layer in layers(names) if (match := re.fullmatch(rf"(?:{kind})(?:_(\d+))?", layer))}
    return tuple(sorted(found, key=lambda layer: int(found[layer][1] or 0)))


def slashless(names: Arrays) -> dict[str, NDArray[Any]]:
    """Keras 2 put a "/" into some names of layers where Keras 3 has a "_"."""
    split = {name: name.rpartition("/") for name in names}
    return {f"{layer.replace('/', '_')}/{weight}": names[name] for name, (layer, _, weight) in split.items()}


def biases_in_norms(names: Arrays) -> dict[str, NDArray[Any]]:
    """Each bias of a convolution taken from the mean of the norm behind it: (x + b) - mean = x - (mean - b), exactly.

    In training it is the same net too: a norm takes away the mean of the batch, and every bias with it.
    """
    result = dict(names)
    for name in names:
        layer, _, weight = name.rpartition("/")
        mean = f"{layer.removesuffix('_conv')}_bn/moving_mean"
        if weight == "bias" and layer.endswith("_conv") and mean in names:
            result[mean] = names[mean].astype(np.float64) - result.pop(name)
    return result


def children(model: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """The modules right below one, by their dotted names."""
    return ((f"{name}.{child}", module) for child, module in model.get_submodule(name).named_children())


def _found(names: Arrays, name: str) -> NDArray[Any] | None:
    """A weight by its name; the kernel of a depthwise convolution is called so only by Keras 2."""
    return names.get(name, names.get(name.replace("/depthwise_kernel", "/kernel")))


def _turned(values: NDArray[Any], part: Part) -> Tensor:
    try:
        turned = part.turn(values)
    except (ValueError, IndexError):  # another number of axes: the shapes are compared later, and the error names both
        turned = values
    return torch.from_numpy(np.ascontiguousarray(turned, dtype=np.float32))


def _classifier(names: Arrays, model: nn.Module) -> dict[str, Tensor]:
    """The file's own classifier, when it has one that fits the net's."""
    own = classifier_name(model)
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items() if own and name.startswith(f"{own}.")}
    layer = classifier(names)
    if layer is None or not wanted:
        return {}
    found = {f"{own}.{p.parameter}": _turned(names[f"{layer}/{p.name}"], p) for p in DENSE}
    return found if {name: tensor.shape for name, tensor in found.items()} == wanted else {}


def _check_complete(result: Mapping[str, Tensor], model: nn.Module) -> None:
    """A mapping that leaves a parameter of the trunk as it was is wrong, whatever the file."""
    own = classifier_name(model)
    trunk = {n for n in model.state_dict() if not (own and n.startswith(f"{own}.")) and "num_batches" not in n}
    wrong = sorted(trunk - set(result)) + sorted(set(result) - set(model.state_dict()))
    if wrong:
        raise _misfit(f"a net whose parameters this mapping knows, such as {_called(model)}", few(wrong))


def _check_used(names: Arrays, used: set[str], model: nn.Module) -> None:
    """What the trunk has no place for must be a head: layers without maps, beside a dense one."""
    own = {layer for layer in layers(names) if layer not in used}
    maps = [layer for layer in own if any(names[n].ndim > 2 for n in names if n.rpartition("/")[0] == layer)]
    if maps:
        raise _misfit(f"the layers of {_called(model)} and of a head on them", f"also {few(maps)}")


def _called(model: nn.Module) -> str:
    return str(cast(Any, model).pretrained_cfg["architecture"])


def _misfit(expected: str, came: str) -> UserError:
    do = "Name the architecture that the file is of: keras:ARCH@PATH. A .weights.h5 must have the layers' names in it."
    return UserError(expected, came, do)
