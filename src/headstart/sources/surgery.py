"""Surgery on a net: other heads, other inputs, cuts, fresh weights. Each gives a new card and a new net.

What was done stands in the card's `changes`, what was re-initialised by name. `empty` and `shaped` do the same to an
empty net, so that the card alone is enough to build the frame for a run's own weights.
"""

import copy
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import torch
from timm.layers.std_conv import ScaledStdConv2d, ScaledStdConv2dSame, StdConv2d, StdConv2dSame
from torch import Tensor, nn

from headstart.core.errors import UserError, unknown_name
from headstart.core.predictions import Floats
from headstart.nets.word_table import WordTable
from headstart.nets.word_tops import OUT, TOPS
from headstart.sources.anatomy import classifier_name
from headstart.sources.card import KINDS, Architecture, Card, Head, ImageInput, Pooling, SeriesInput, Stage
from headstart.sources.catalog import BUILDERS
from headstart.sources.front import noise
from headstart.sources.pooling import POOLINGS, SERIES
from headstart.sources.staged import KeptHead, StagedNet
from headstart.sources.stages import resolve

Channels = Literal["sum", "tile", "average"]
Operated = tuple[Card, nn.Module]
SPOKEN = {"text": "texts", "series": "series", "table": "tables"}
FRESH = "fresh"  # marks the name of a source with fresh weights
STANDARDISED = (StdConv2d, StdConv2dSame, ScaledStdConv2d, ScaledStdConv2dSame)


def empty(card: Card) -> nn.Module:
    """A net of the card's architecture with random weights, cut, widened and sized as the card says, in eval mode."""
    return shaped(_whole(card), card).eval()


def shaped(model: nn.Module, card: Card) -> nn.Module:
    """The same net, without what the card's stages leave out."""
    if card.stages[-1].tap:
        drop(model, {name for stage in card.stages for name in stage.parameters})
    return model


def cut_at(card: Card, model: nn.Module, stage: str) -> Operated:
    """Up to and including a stage.

    Raises:
        UserError: no such stage, or `with_head` keeps old classes, whose classifier would go.
    """
    (name,) = resolve((stage,), card.stage_names())
    at = card.stage_names().index(name)
    kept = card.stages[: at + 1]
    if at == len(card.stages) - 1:
        return card, model
    _check_head_may_go(card)
    cut = drop(copy.deepcopy(model), {p for one in kept for p in one.parameters})
    said = f"cut behind stage {name}: {', '.join(card.stage_names()[at + 1 :])} and the head are gone"
    update = {"stages": kept, "head": "", "head_classes": ()}
    return _operated(card, cut, f"cut:{name}", said, update)


def reinitialised(card: Card, model: nn.Module, stage: str, seed: int) -> Operated:
    """Fresh weights from a stage on, batch-norm statistics included; the source's own classifier goes with them.

    Raises:
        UserError: no such stage, or `with_head` keeps old classes, whose classifier would go.
    """
    (name,) = resolve((stage,), card.stage_names())
    at = card.stage_names().index(name)
    _check_head_may_go(card)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        new = empty(card)
    kept = {p for one in card.stages[:at] for p in one.parameters}
    holders = {p.rpartition(".")[0] for p in kept}  # their buffers, such as batch-norm statistics, stay with them
    parameters = {name for name, _ in model.named_parameters()}
    stays = {k for k in model.state_dict() if k in kept or (k not in parameters and k.rpartition(".")[0] in holders)}
    if isinstance(model, WordTable):  # which words there are is not learned, but how to read: without it all are empty
        stays.add("numbers")
    new.load_state_dict({k: v for k, v in model.state_dict().items() if k in stays}, strict=False)
    said = f"re-initialised from stage {name} on (seed {seed}): {', '.join(card.stage_names()[at:])}"
    unlearned = {} if at else {"trained_on": None, "benchmark": None}
    return _operated(card, new, f"{FRESH}:{name if at else 'first'}", said, {"head_classes": (), **unlearned})


def widen_input(card: Card, model: nn.Module, count: int, how: Channels) -> Operated:
    """Another number of input channels; the first convolution's weights are carried over as `widened` says.

    The number that there was changes nothing.

    Raises:
        UserError: fewer than one channel, or a net that does not begin with a convolution over all channels whose
            weights are used as they are.
    """
    if count < 1:
        raise UserError("at least one input channel", str(count), "Give the number of channels of your data.")
    if isinstance(card.input, SeriesInput):
        return _each_channel(card, model, count), model
    taken = _pictures(card)
    if count == taken.channels:
        return card, model
    conv = first_conv(model, card)
    if conv is None:
        raise UserError("a net that begins with a convolution", card.name, "Choose another source.")
    old = model.get_submodule(conv)
    if isinstance(old, STANDARDISED):  # weights over more channels are standardised to something else
        came = f"{card.name}, which standardises them"
        raise UserError("a first convolution that uses its weights as they are", came, "Choose another source.")
    new = replace_input(copy.deepcopy(model), conv, widened(cast(Tensor, old.weight).detach(), count, how))
    if count == 1:
        mean, std = (sum(taken.mean) / len(taken.mean),), (sum(taken.std) / len(taken.std),)
    else:
        mean = tuple(taken.mean[i % len(taken.mean)] for i in range(count))
        std = tuple(taken.std[i % len(taken.std)] for i in range(count))
    colour = "L" if count == 1 else taken.colour if count == taken.channels else "any"
    said = f"input widened from {taken.channels} to {count} channels ({how}): {conv}.weight"
    sees = taken.model_copy(update={"mean": mean, "std": std, "colour": colour})
    return _operated(card, new, f"channels:{count}", said, {"input": sees})


def _each_channel(card: Card, model: nn.Module, count: int) -> Card:
    """For series of so many channels: the net reads each by itself, so nothing in it changes."""
    assert isinstance(card.input, SeriesInput), "of series only"
    if count == card.input.channels:
        return card
    sees = card.input.model_copy(update={"channels": count})
    new, _ = _operated(card, model, f"channels:{count}", f"reads {count} channels one by one", {"input": sees})
    return measured(new, model)


def measured(card: Card, model: nn.Module) -> Card:
    """The card with the number of features that its stages give, found by one pass."""
    net = StagedNet(copy.deepcopy(model), card.model_copy(update={"new_head": Head()}), 1).eval()
    with torch.inference_mode():
        found = net.stages(noise(card.input, 1))
    stages = tuple(one.model_copy(update={"dim": found[one.name].shape[1]}) for one in card.stages)
    return card.model_copy(update={"stages": stages})


def widened(weight: Tensor, count: int, how: Channels) -> Tensor:
    """(out, C, k, k) weights of a first convolution for `count` channels.

    Args:
        weight: as trained.
        count: channels wanted.
        how: "sum": every channel gets the sum over the old ones, shared out evenly. "tile": the old channels over
            and over, each shared out among its copies. "average": old channels stay as they are, new ones get their
            mean. With the first two, pictures whose channels repeat the old ones give the old output
            ("tile" from as many channels on as there were).
    """
    old = weight.shape[1]
    if how == "sum" or count < old:
        return (weight.sum(1, keepdim=True) / count).repeat(1, count, 1, 1)
    at = [i % old for i in range(count)]
    if how == "tile":
        copies = torch.tensor([at.count(i) for i in at], dtype=weight.dtype).view(1, -1, 1, 1)
        return weight[:, at] / copies
    return torch.cat([weight, weight.mean(1, keepdim=True).repeat(1, count - old, 1, 1)], dim=1)


def at_size(card: Card, model: nn.Module, size: int) -> Operated:
    """Another side of the input. Nets with learned positions interpolate them, where timm can.

    Raises:
        UserError: a size that the net does not take.
    """
    taken = _pictures(card).model_copy(update={"size": size})
    new, architecture = copy.deepcopy(model), card.architecture
    try:
        if _resizes(new):
            if card.stages[-1].tap:  # timm sizes whole nets only: put back what was cut off, and cut it off again
                new = _whole(card)
                new.load_state_dict(model.state_dict(), strict=False)
            new = shaped(_resized(new, size), card).eval()
            architecture = architecture.model_copy(update={"size": size})
        _try(card.model_copy(update={"input": taken}), new)
    except (RuntimeError, AssertionError, ValueError, ZeroDivisionError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"an input size that {card.name} takes", f"{size} ({said})", "Try its own size.") from None
    said = f"input size {_pictures(card).size} -> {size}"
    return _operated(card, new, f"size:{size}", said, {"input": taken, "architecture": architecture})


def pooled_as(card: Card, model: nn.Module, how: Pooling) -> Operated:
    """Another way from maps and tokens to features.

    Nets of timm leave their own pooling at the end out for it; other nets keep theirs there, unless they were cut.

    Raises:
        UserError: no such way, or a class token is asked of a net without one.
    """
    ways = SERIES if isinstance(card.input, SeriesInput) else tuple(POOLINGS)
    if how not in ways:
        raise unknown_name("pooling", how, ways)
    if isinstance(card.input, SeriesInput):
        new, _ = _operated(card, model, f"pool:{how}", f"features pooled by {how}", {"pooling": how})
        return measured(new, model), model
    if not isinstance(card.input, ImageInput):  # its trunk puts out tokens: there is nothing to leave out
        return _operated(card, model, f"pool:{how}", f"features pooled by {how}", {"pooling": how})
    if how == "cls" and not getattr(model, "num_prefix_tokens", 0):  # timm's name for it
        raise UserError("a net of timm with a class token", card.name, "Choose avg, max or gem.")
    *early, last = (one.model_copy(update={"dim": one.dim // one.grid**2, "grid": 1}) for one in card.stages)
    own = not last.tap and not _unpools(model)
    if not last.tap and not own:  # what was a vector becomes maps
        last = last.model_copy(update={"layout": getattr(model, "output_fmt", "NCHW")})
    said = f"features pooled by {how}{'; the last stage keeps its own pooling' if own else ''}"
    new, _ = _operated(card, model, f"pool:{how}", said, {"pooling": how, "stages": (*early, last)})
    try:
        fits = _try(new, model) == last.dim
    except (RuntimeError, AssertionError, ValueError):
        fits = False
    if not fits:
        raise UserError("a net that can do without its own pooling", card.name, "Cut it before the last stage first.")
    return new, model


def topped(card: Card, model: nn.Module, net: str) -> Operated:
    """A table of word vectors with an untrained net on top, whose stage is the last: what a head reads.

    Raises:
        UserError: no such net, or a source that is no bare table of word vectors.
    """
    if net not in TOPS:
        raise unknown_name("net for +top:", net, list(TOPS))
    if not isinstance(model, WordTable) or model.top is not None or len(card.stages) != 2:
        raise UserError("a table of word vectors, whole and bare", card.name, "Leave +top: out, or put it first.")
    options = {**card.architecture.options, "top": net}
    architecture = card.architecture.model_copy(update={"options": options})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        top = TOPS[net](model.words.table.embedding_dim)
    new = copy.deepcopy(model)
    new.top = top.eval()
    words, weighted = card.stages
    own = tuple(f"top.{name}" for name, _ in top.named_parameters())
    stages = words, weighted.model_copy(update={"tap": "weighted"}), Stage(name=net, tap="", dim=OUT, parameters=own)
    said = f"an untrained {net} on top"
    return _operated(card, new, f"top:{net}", said, {"architecture": architecture, "stages": stages})


def drop_classifier(model: nn.Module, card: Card) -> None:
    """Take a net's own classifier off, and its own pooling where the card asks for another."""
    reset = cast(Any, model).reset_classifier  # timm's contract
    if card.pooling and _unpools(model):
        reset(0, "")
    else:
        reset(0)


def _unpools(model: nn.Module) -> bool:
    """The net's own pooling can be left out."""
    return "global_pool" in inspect.signature(cast(Any, model).reset_classifier).parameters


def check_keeps(card: Card, classes: int, head: Head) -> None:
    """Refuse a head that has no room for the old classes."""
    if head.widths:
        raise UserError("a linear head, to keep old classes in it", f"hidden layers {head.widths}", "Leave widths out.")
    if head.outputs and head.outputs[0] < classes:
        do = f"Give the old classes and the new ones: {classes} + the number of new ones."
        raise UserError(f"at least the {classes} classes of {card.name}", f"{head.outputs[0]} outputs", do)


def keep_rows(head: nn.Module, weight: Floats, bias: Floats) -> None:
    """Put the old classes' weights into a new head that keeps them."""
    old = head.old if isinstance(head, KeptHead) else head
    if not isinstance(old, nn.Linear) or old.out_features != len(weight):
        wanted = f"a linear head of at least {len(weight)} outputs"
        raise UserError(wanted, f"one of {old.out_features}", "Count the old classes and the new ones.")
    with torch.no_grad():
        old.weight.copy_(torch.from_numpy(weight))
        old.bias.copy_(torch.from_numpy(bias))


def no_old_classes(card: Card) -> UserError:
    """The error of keeping classes that are not there."""
    wanted = "a source with a linear classifier whose classes have names"
    return UserError(wanted, card.name, "Only such a source has old classes to keep.")


def first_conv(model: nn.Module, card: Card) -> str | None:
    """Name of the convolution that sees the picture; None where the net does not begin with one."""
    names = [name for stage in card.stages[:1] for name in stage.parameters if name.endswith(".weight")]
    for name in (n.rpartition(".")[0] for n in names):
        module = model.get_submodule(name)
        if isinstance(module, nn.Conv2d) and module.groups == 1:
            return name
    return None


def replace_input(model: nn.Module, conv: str, weight: Tensor) -> nn.Module:
    """The same net with these weights, over another number of channels, in its first convolution."""
    new = copy.deepcopy(model.get_submodule(conv))  # its own class, with its own padding
    assert isinstance(new, nn.Conv2d)
    new.in_channels = weight.shape[1]
    new.weight = nn.Parameter(weight)
    model.set_submodule(conv, new)
    return model


def fresh_input(weight: Tensor, count: int) -> Tensor:
    """(out, C, k, k) initial weights -> other initial weights for `count` channels, of the same gain."""
    out, old, *kernel = weight.shape
    return torch.randn(out, count, *kernel) * weight.std() * (old / count) ** 0.5


def drop(model: nn.Module, kept: set[str]) -> nn.Module:
    """The same net with every module that holds only other parameters turned into an identity."""
    for name, module in list(model.named_modules()):
        own = [f"{name}.{p}" for p, _ in module.named_parameters()]
        if name and own and kept.isdisjoint(own):
            model.set_submodule(name, nn.Identity())
    for name, _ in list(model.named_parameters()):
        holder, _, leaf = name.rpartition(".")
        if name not in kept:
            setattr(model.get_submodule(holder), leaf, None)
    return model


def _whole(card: Card) -> nn.Module:
    """The card's architecture with random weights, with its size and its channels, nothing cut off."""
    make: Callable[[Architecture], nn.Module] = BUILDERS.load(card.architecture.builder)
    model = make(card.architecture)
    _as_headed(model, card)
    if card.architecture.size is not None:
        _resized(model, card.architecture.size)
    name = first_conv(model, card)
    conv = model.get_submodule(name) if name else None
    if name and isinstance(conv, nn.Conv2d) and conv.in_channels != (channels := _pictures(card).channels):
        replace_input(model, name, fresh_input(conv.weight.detach(), channels))
    return model


def _as_headed(model: nn.Module, card: Card) -> None:
    """Give an empty net the classifier that the card says: a run has put its own there, or has taken it away."""
    own = classifier_name(model) if isinstance(card.input, ImageInput) else ""  # other encoders come without one
    if not own:
        return
    head = model.get_submodule(own)
    classes = len(card.head_classes) or (head.out_features if isinstance(head, nn.Linear) else 0)
    if own != card.head or (isinstance(head, nn.Linear) and head.out_features != classes):
        cast(Any, model).reset_classifier(classes if card.head else 0)


def _resizes(model: nn.Module) -> bool:
    return callable(getattr(model, "set_input_size", None))  # timm's name for it; few nets need it


def _resized(model: nn.Module, size: int) -> nn.Module:
    resize: Callable[..., None] = getattr(model, "set_input_size")  # noqa: B009 - not in torch's contract, in timm's
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its interpolation warns of its own indexing
        resize(img_size=size)
    return model


def _pictures(card: Card) -> ImageInput:
    """What a net for pictures takes.

    Raises:
        UserError: the net takes something else.
    """
    if not isinstance(card.input, ImageInput):
        came = f"{card.name}, a net for {SPOKEN[KINDS[type(card.input)]]}"
        raise UserError("a net for pictures", came, "Leave +size: and +channels: out.")
    return card.input


def _try(card: Card, model: nn.Module) -> int:
    """One pass up to the last stage; how many features it gives."""
    trunk = copy.deepcopy(model)
    if card.head:
        drop_classifier(trunk, card)
    net = StagedNet(trunk, card.model_copy(update={"new_head": Head()}), 1).eval()
    with torch.inference_mode():
        return net.features(noise(card.input, 1)).shape[1]


def _check_head_may_go(card: Card) -> None:
    if card.new_head.keep:
        do = "Leave keep out: behind the cut or the fresh weights there are no old classes."
        raise UserError("a source whose own classifier may go", f"{card.name}, which keeps it", do)


def _operated(card: Card, model: nn.Module, mark: str, said: str, update: Mapping[str, object]) -> Operated:
    """The net with a card that says what was done to it, in its name and in a sentence."""
    modules = dict(model.named_modules())
    left = tuple(name for name in card.norms if not isinstance(modules.get(name, nn.Identity()), nn.Identity))
    count = sum(p.numel() for p in model.parameters())
    facts = {"name": f"{card.name}+{mark}", "changes": (*card.changes, said), "norms": left, "parameters": count}
    return card.model_copy(update={**facts, **update}), model
