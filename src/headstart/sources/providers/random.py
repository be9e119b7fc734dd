"""`random:ARCH[@SIZE][#SEED]`: the architecture only. The control of every pre-trained source."""

import re
from collections.abc import Callable, Mapping

import torch

from headstart.core.errors import UserError
from headstart.nets.table_net import OUT, WIDTH, TableNet
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.builders import table_net, text_cnn
from headstart.sources.card import Architecture, Card, Licence, Stage, TableInput, TextInput
from headstart.sources.describe import describe
from headstart.sources.providers.series import SERIES_CNN, TIMENET, describe_series, untrained
from headstart.sources.providers.timm import build, taken
from headstart.sources.source import Source

NAME = re.compile(r"(?P<architecture>[^@#]+)(@(?P<size>[1-9]\d{0,3}))?(#(?P<seed>\d+))?")
TEXT_CNN, TABLE_NET = "text-cnn", "table-net"
WORDS = TextInput(tokenizer="")
FREE = Licence(name="none needed", commercial=True)


def load(name: str, access: Access = NOTHING_SPECIAL) -> Source:  # noqa: ARG001 - nothing is fetched
    """An untrained net of timm; `@` sets the side of its input in pixels, `#` the seed of its weights.

    Raises:
        UserError: a name of another form, an unknown architecture, or a size that it does not take.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise UserError("random:ARCH, random:ARCH@SIZE or random:ARCH@SIZE#SEED", f"random:{name}", "See timm's names.")
    if (small := match["architecture"]) in SMALL:
        if match["size"]:
            raise UserError(f"random:{small} or random:{small}#SEED", f"random:{name}", "It has no size.")
        return SMALL[small](name, match)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(match["seed"] or 0))
        model = build(match["architecture"])
    size = int(match["size"]) if match["size"] else None
    card = describe(
        model, name=f"random:{name}", architecture=Architecture(name=match["architecture"]), taken=taken(model, size),
        licence=FREE, trained_on=None,
    )  # fmt: skip
    return Source(card, model)


def _text(name: str, match: re.Match[str]) -> Source:
    """The small net for texts."""
    architecture = Architecture(name=TEXT_CNN, builder=TEXT_CNN)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(match["seed"] or 0))
        model = text_cnn(architecture)
    parameters = [key for key, _ in model.named_parameters()]
    stages = (
        Stage(name="words", tap="words", dim=model.words.embedding_dim, parameters=tuple(parameters[:1])),
        Stage(name="phrases", tap="", dim=model.convolution.out_channels, parameters=tuple(parameters[1:])),
    )
    card = Card(
        name=f"random:{name}", architecture=architecture, input=WORDS, stages=stages, head="", pooling="max",
        licence=FREE, trained_on=None, parameters=sum(p.numel() for p in model.parameters()),
    )  # fmt: skip
    return Source(card, model)


def _rows(name: str, match: re.Match[str]) -> Source:
    """The small net for tables of any columns."""
    architecture = Architecture(name=TABLE_NET, builder=TABLE_NET)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(match["seed"] or 0))
        model = table_net(architecture)
    card = Card(
        name=f"random:{name}", architecture=architecture, input=TableInput(), stages=table_stages(model), head="",
        norms=("columns.norm",), licence=FREE, trained_on=None, parameters=sum(p.numel() for p in model.parameters()),
    )  # fmt: skip
    return Source(card, model)


def table_stages(model: TableNet) -> tuple[Stage, ...]:
    """The layers of a net for tables that learn."""
    names = [name for name, _ in model.named_parameters()]

    def stage(name: str, tap: str, dim: int) -> Stage:
        return Stage(name=name, tap=tap, dim=dim, parameters=tuple(n for n in names if n.startswith(f"{name}.")))

    return stage("columns", "columns", WIDTH), stage("hidden", "hidden", WIDTH), stage("upper", "", OUT)


def _series(name: str, match: re.Match[str]) -> Source:
    """A net for series."""
    architecture, model = untrained(match["architecture"], int(match["seed"] or 0))
    card = describe_series(model, name=f"random:{name}", architecture=architecture, licence=FREE, trained_on=None)
    return Source(card, model)


SMALL: Mapping[str, Callable[[str, re.Match[str]], Source]] = {
    TEXT_CNN: _text,
    SERIES_CNN: _series,
    TIMENET: _series,
    TABLE_NET: _rows,
}
