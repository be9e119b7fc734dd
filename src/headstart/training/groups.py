"""Which parameter learns how fast, and which module stays as it is: the rules of a phase, applied to a net.

The whole policy of freezing and of normalisation layers stands here and nowhere else.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import Tensor, nn

from headstart.core.errors import HeadstartError, UserError, did_you_mean
from headstart.core.plan import Norm, Rule, Train
from headstart.sources import stages as stage_names
from headstart.sources.card import Card
from headstart.training import adapters

Rates = Mapping[str, float | None]

_NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.GroupNorm,
    nn.LayerNorm,
)
_FUSED = ("cpu", "cuda")  # devices with fused optimisers
_FORMS = ("head", "norm", "*", "stage:NAME", "stage:-1", "stage:..2", "extra:lora", "param:GLOB")


class FrozenMovedError(HeadstartError):
    """Something that a rule froze has changed: a bug, never the user's mistake."""

    def __init__(self, names: Sequence[str]) -> None:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        super().__init__(f"{len(names)} frozen tensors moved during training: {shown}")


@dataclass(frozen=True)
class GroupRow:
    """One line of the table that the record keeps of a training phase.

    Args:
        group: "head" or "stage:NAME".
        tensors: how many parameter tensors.
        parameters: how many numbers.
        rate: learning rate relative to `Train.lr`; None is frozen.
        norm: how its normalisation layers run: "frozen", "inference", "adapt", "train", "measured" where that is still
            open, or "none" where there are none.
    """

    group: str
    tensors: int
    parameters: int
    rate: float | None
    norm: Literal["frozen", "inference", "adapt", "train", "measured", "none"]


def resolve(card: Card, net: nn.Module, rules: Sequence[Rule]) -> dict[str, float | None]:
    """The relative rate of every parameter of the net, in its order; the first rule that matches wins.

    The source's own classifier (`card.head`), which the net may still carry and never calls, is always frozen.

    Raises:
        UserError: a rule matches nothing, or a parameter is matched by no rule.
    """
    names = [name for name, _ in net.named_parameters() if not _unused(name, card)]
    about = [rule for rule in rules if not _void(rule.where, card)]
    matched = [(rule, frozenset(_matches(rule.where, card, net, names))) for rule in about]
    for rule, found in matched:
        if not found:
            raise UserError(
                "a rule that matches a parameter",
                f"{rule.where!r}, which matches none of {card.name}",
                f"Leave it out, or name another part; the parameters begin with {', '.join(names[:3])}.",
            )
    rates: dict[str, float | None] = {name: None for name, _ in net.named_parameters()}
    for name in names:
        rule = next((rule for rule, found in matched if name in found), None)
        if rule is None:
            raise UserError("a rule for every parameter", f"none for {name!r}", 'End the rules with Rule("*", ...).')
        rates[name] = rule.rate
    return rates


def _unused(name: str, card: Card) -> bool:
    return bool(card.head) and _in_trunk(name).startswith(f"{card.head}.") and name.startswith("trunk.")


def _in_trunk(name: str) -> str:
    return name.removeprefix("trunk.")


def _void(where: str, card: Card) -> bool:
    """The rule is for a stage, counted from the end, that this net does not have, or for stages with nothing to learn.

    Plans are for nets of any depth.
    """
    kind, _, rest = where.partition(":")
    number = rest.removeprefix("-")
    if kind != "stage" or not rest:
        return False
    if number != rest and number.isdecimal() and int(number) > len(card.stages):
        return True
    chosen = stage_names.resolve((rest,), card.stage_names())
    return not any(stage.parameters for stage in card.stages if stage.name in chosen)


def _matches(where: str, card: Card, net: nn.Module, names: Sequence[str]) -> Iterator[str]:
    kind, _, rest = where.partition(":")
    if where == "*":
        yield from names
    elif where == "head":
        yield from (name for name in names if name.startswith("head."))
    elif where == "norm":
        norms = _norms(net, card)
        yield from (name for name in names if name.rpartition(".")[0] in norms)
    elif kind == "stage" and rest:
        chosen = set(stage_names.resolve((rest,), card.stage_names()))
        members = {f"trunk.{p}" for stage in card.stages if stage.name in chosen for p in stage.parameters}
        yield from (name for name in names if adapters.plain(name) in members)
    elif where == "extra:lora":
        yield from (name for name in names if adapters.added(name))
    elif kind == "param" and rest:
        yield from (name for name in names if fnmatchcase(name, rest) or fnmatchcase(_in_trunk(name), rest))
    else:
        raise UserError(f"the place of a rule, one of {', '.join(_FORMS)}", repr(where), did_you_mean(where, _FORMS))


def _norms(net: nn.Module, card: Card) -> frozenset[str]:
    listed = set(card.norms)
    named = net.named_modules()
    return frozenset(name for name, module in named if _in_trunk(name) in listed or isinstance(module, _NORMS))


def still_modules(card: Card, net: nn.Module, rates: Rates, norm: Norm) -> tuple[str, ...]:
    """Names of the modules that must run in eval mode, so that neither statistics nor dropout move.

    These are the modules all of whose parameters are frozen, with everything inside; what has no parameters (dropout)
    and stands in a frozen front; and, unless `norm` is "train", every normalisation layer.
    """
    trained = set(_owners(name for name, rate in rates.items() if rate is not None))
    fixed = set(_owners(rates)) - trained
    still = {name for name in _norms(net, card) if norm != "train" or name in fixed}
    for name, module in net.named_modules():
        for root in (name,) if name in fixed else _frozen_front(name, module, trained, fixed):
            still.update(f"{root}.{inner}".strip(".") for inner, _ in net.get_submodule(root).named_modules())
    return tuple(name for name, _ in net.named_modules() if name in still)


def adapting(card: Card, net: nn.Module, rates: Rates) -> tuple[str, ...]:
    """Names of the normalisation layers in the parts that learn: the only ones whose statistics may be replaced."""
    trained = set(_owners(name for name, rate in rates.items() if rate is not None))
    norms = _norms(net, card)
    return tuple(name for name, _ in net.named_modules() if name in norms and name in trained)


def _owners(parameters: Iterable[str]) -> Iterator[str]:
    """Every module that contains one of the parameters, at any depth; the net itself is ""."""
    for name in parameters:
        while name:
            name = name.rpartition(".")[0]
            yield name


def _frozen_front(name: str, module: nn.Module, trained: set[str], fixed: set[str]) -> Iterator[str]:
    """Children without parameters that come after a frozen sibling and before every trained one."""
    after = False
    for child, _ in module.named_children():
        path = f"{name}.{child}".strip(".")
        if path in trained:
            return
        if path in fixed:
            after = True
        elif after:
            yield path


def apply(net: nn.Module, rates: Rates, still: Sequence[str]) -> None:
    """Set gradients and modes for training: everything trains but what is frozen or still."""
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(rates[name] is not None)
    net.train()
    for name in still:
        # Not `eval()`, which would reach into children; `still` already names each of them.
        net.get_submodule(name).training = False


def fixed_tensors(net: nn.Module, rates: Rates, still: Sequence[str]) -> dict[str, Tensor]:
    """The parameters and buffers that this phase must not change."""
    quiet = set(still)
    tensors: dict[str, Tensor] = {name: p for name, p in net.named_parameters() if rates[name] is None}
    tensors.update((name, b) for name, b in net.named_buffers() if name.rpartition(".")[0] in quiet)
    return tensors


def moving_tensors(net: nn.Module, rates: Rates, still: Sequence[str]) -> dict[str, Tensor]:
    """All other parameters and buffers: what a checkpoint must hold."""
    fixed = fixed_tensors(net, rates, still)
    every: dict[str, Tensor] = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    return {name: tensor for name, tensor in every.items() if name not in fixed}


def digests(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """sha256 of the bits of each tensor."""
    return {name: _digest(tensor) for name, tensor in tensors.items()}


def _digest(tensor: Tensor) -> str:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return hashlib.sha256(flat.view(torch.uint8).numpy().tobytes()).hexdigest()


def assert_unmoved(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Compare digests from before and after a phase.

    Raises:
        FrozenMovedError: some differ in at least one bit.
    """
    moved = [name for name, digest in before.items() if after.get(name) != digest]
    if moved:
        raise FrozenMovedError(moved)


def optimiser(net: nn.Module, rates: Rates, phase: Train, lr: float) -> torch.optim.Optimizer:
    """AdamW or SGD with one parameter group per (rate, decayed or not); decay only on weights of >= 2 dimensions.

    Where the phase pulls the trunk to its start, only the head decays.

    Each group carries its full rate as "peak"; the schedule multiplies it.

    Raises:
        UserError: every parameter is frozen.
    """
    grouped: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        rate = rates[name]
        if rate is not None:
            decayed = parameter.ndim >= 2 and not (phase.pull and name.startswith("trunk."))
            grouped.setdefault((rate, decayed), []).append(parameter)
    if not grouped:
        raise UserError("a rule that trains something", "only frozen parameters", "Give at least one rule a rate.")
    groups = [
        {"params": members, "lr": lr * rate, "peak": lr * rate, "weight_decay": phase.decay if decayed else 0.0}
        for (rate, decayed), members in grouped.items()
    ]
    # One kernel for all tensors of a group: a quarter of the time of the default on the processor.
    fused = next(net.parameters()).device.type in _FUSED
    if phase.optimiser == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, fused=fused)
    return torch.optim.AdamW(groups, fused=fused)


def describe(card: Card, net: nn.Module, rules: Sequence[Rule], norm: Norm | None) -> tuple[GroupRow, ...]:
    """The resolved rules as a small table, input to output, head last."""
    rates = resolve(card, net, rules)
    stage_of = {f"trunk.{p}": f"stage:{stage.name}" for stage in card.stages for p in stage.parameters}
    norms = _norms(net, card)
    table: dict[tuple[str, float | None], list[str]] = {}
    for name, rate in rates.items():
        if not _unused(name, card):
            table.setdefault((stage_of.get(adapters.plain(name), "head"), rate), []).append(name)
    sizes = {name: p.numel() for name, p in net.named_parameters()}
    rows: list[GroupRow] = []
    for (group, rate), names in table.items():
        has_norm = any(name.rpartition(".")[0] in norms for name in names)
        mode = "none" if not has_norm else "frozen" if rate is None else norm or "measured"
        rows.append(GroupRow(group, len(names), sum(sizes[name] for name in names), rate, mode))
    return tuple(rows)
