"""The anatomy of any text encoder: embedding, then every block. Found by a dry run, like that of nets for pictures."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.sources.card import Stage, TextInput

LENGTH = 4  # tokens of a dry run: no other axis is likely to have so many


def text_stages(model: nn.Module, taken: TextInput) -> tuple[Stage, ...]:
    """Stages of a net (w, t) -> (w, t, D); the last is its output.

    The blocks are the longest list of modules of one kind, as every family has it; what learns before them belongs to
    the embedding, what learns behind them to the last block.

    Raises:
        UserError: the net has no such list, or its blocks give more than tokens.
    """
    blocks = _blocks(model)
    outputs, last = _outputs(model, taken)
    order = [name for name, _ in outputs]
    if not set(blocks) <= set(order):
        came = f"{type(getattr(model, 'model', model)).__name__}, whose blocks give more"
        raise UserError("a text encoder whose blocks give one vector a token", came, "Choose another source.")
    before = [name for name in order[: order.index(blocks[0])] if not name.startswith(f"{blocks[0]}.")]
    dims = dict(outputs)
    taps = [*before[-1:], *blocks]
    names = ["embedding", *(f"block.{at}" for at in range(len(blocks)))][-len(taps) :]
    found = [
        Stage(name=name, tap=tap, dim=dims[tap], parameters=own)
        for name, tap, own in zip(names, taps, _shared_out(model, blocks, len(taps)), strict=True)
    ]
    return (*found[:-1], found[-1].model_copy(update={"tap": "", "dim": last}))


def _blocks(model: nn.Module) -> Sequence[str]:
    """Dotted names of the longest list of like modules."""
    lists = [
        [f"{name}.{at}" for at in range(len(module))]
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len({type(one) for one in module}) == 1
    ]
    if not lists:
        raise UserError("a net of blocks that follow each other", type(model).__name__, "Choose another source.")
    return max(lists, key=len)


def _outputs(model: nn.Module, taken: TextInput) -> tuple[list[tuple[str, int]], int]:
    """(module, width) of all that put out a vector a token, in the order they finish; the width of the net's output."""
    found: list[tuple[str, int]] = []

    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        def note(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 3 and output.shape[1] == LENGTH:
                found.append((name, output.shape[2]))

        return note

    handles = [module.register_forward_hook(hook(name)) for name, module in model.named_modules() if name]
    try:
        with torch.inference_mode():
            last = model(torch.full((1, LENGTH), taken.pad + 1))
    finally:
        for handle in handles:
            handle.remove()
    return found, last.shape[2]


def _shared_out(model: nn.Module, blocks: Sequence[str], stages: int) -> Sequence[tuple[str, ...]]:
    """Parameter names of every stage; all together hold each parameter once."""
    first = len(blocks) + 1 - stages  # 1 where no embedding can be tapped: its parameters lead to the first block
    own: list[list[str]] = [[] for _ in range(len(blocks) + 1)]
    reached = 0
    for name, _ in model.named_parameters():
        at = next((number for number, block in enumerate(blocks, 1) if name.startswith(f"{block}.")), None)
        reached = max(reached, at or 0)
        own[at if at is not None else (len(blocks) if reached == len(blocks) else 0)].append(name)
    if first:
        own[1] = [*own[0], *own[1]]
    return [tuple(names) for names in own[first:]]
