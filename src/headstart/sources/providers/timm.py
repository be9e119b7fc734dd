"""`timm:ARCHITECTURE.TAG`: all of timm, with the weights that its own hub loading brings."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import timm
from huggingface_hub import constants, try_to_load_from_cache
from timm.data.imagenet_info import ImageNetInfo
from torch import nn

from headstart.core.errors import HeadstartError, UserError, did_you_mean
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.card import Architecture, ImageInput, Licence, TrainedOn
from headstart.sources.describe import describe
from headstart.sources.formats.checks import said, sha256
from headstart.sources.network import reachable
from headstart.sources.source import Source
from headstart.sources.wheels import IMAGENET

OPTIONS = {"num_classes", "in_chans", "img_size", "pad_type", "bn_eps"}  # what a card may ask of a constructor
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
COMMERCIAL = re.compile(r"(apache|mit|bsd)([- ,]*(licen[cs]e|version|clause|\d(\.\d)?))*")  # and nothing beside it
TRAINED_ON = (  # marks in timm's tags, the largest set first; the 12k set has about that many
    ("in22k", TrainedOn(name="ImageNet-22k", n=14_197_122, kind="image")),
    ("in21k", TrainedOn(name="ImageNet-21k", n=14_197_122, kind="image")),
    ("in12k", TrainedOn(name="ImageNet-12k", n=12_000_000, kind="image")),
    ("in1k", IMAGENET),
)


def build(architecture: str, options: Mapping[str, bool | int | float | str] | None = None) -> nn.Module:
    """A net of timm with random weights, in eval mode.

    Args:
        architecture: timm's name.
        options: keyword arguments of its constructor.

    Raises:
        UserError: timm has no such architecture; near names are offered.
    """
    _check(architecture)
    return timm.create_model(architecture, pretrained=False, **cast("dict[str, Any]", options or {})).eval()


def configuration(model: nn.Module) -> dict[str, Any]:
    """How timm's authors evaluated the net: input, mean and deviation, licence."""
    cfg: dict[str, Any] = cast(Any, model).pretrained_cfg
    return cfg


def construct(architecture: Architecture) -> nn.Module:
    """The empty net of a card; options that change its shape go to timm's constructor, others are refused.

    Raises:
        UserError: an option that could do more: a card may come from elsewhere.
    """
    foreign = sorted(architecture.options.keys() - OPTIONS)
    if foreign:
        raise UserError(f"options of an architecture, of {', '.join(sorted(OPTIONS))}", ", ".join(foreign), "Not used.")
    return build(architecture.name, architecture.options)


def taken(model: nn.Module, size: int | None = None) -> ImageInput:
    """The preprocessing that timm's authors evaluated the net with, at that size or its own."""
    cfg = configuration(model)
    return ImageInput(
        size=size or int(cfg["input_size"][-1]),
        crop=cfg["crop_pct"], interpolation=cfg["interpolation"], mean=cfg["mean"], std=cfg["std"],
    )  # fmt: skip


def own_classes(model: nn.Module) -> tuple[str, ...]:
    """The names of a pre-trained net's classes, where timm knows them: ImageNet's thousand."""
    return tuple(ImageNetInfo().label_descriptions()) if configuration(model)["num_classes"] == 1000 else ()


def load(name: str, access: Access = NOTHING_SPECIAL) -> Source:
    """A pre-trained net of timm, from the hub's own cache or from the hub.

    Raises:
        UserError: no such net, no weights for it, or the hub cannot be reached.
    """
    _check_pretrained(name)
    cached = _hub_file(name)
    if cached is None and (access.offline or not hub_answers()):
        do = f"Connect, or use a packaged source (headstart sources list) or random:{name.split('.')[0]}."
        raise UserError(f"the weights of timm:{name}", "no connection to the model hub", do)
    try:
        model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=_from(cached)).eval()
    except (OSError, RuntimeError) as error:
        raise HeadstartError(f"the weights of timm:{name} could not be loaded: {said(error)}") from None
    cfg = configuration(model)
    file = cached or _hub_file(name)
    card = describe(
        model, name=f"timm:{name}", architecture=Architecture(name=name), taken=taken(model),
        licence=licence(cfg.get("license")), trained_on=trained_on(str(cfg.get("tag") or "")),
        head_classes=own_classes(model),
        sha256=None if file is None else sha256(file),
    )  # fmt: skip
    return Source(card, model)


def licence(stated: str | None) -> Licence:
    """What a stated licence permits; one that is not on the list counts as not permitting commercial use."""
    return Licence(name=stated or None, commercial=COMMERCIAL.fullmatch((stated or "").lower()) is not None)


def trained_on(tag: str) -> TrainedOn | None:
    """What a tag of timm says of the training data: the largest set that it names, None if it names none we know."""
    return next((data for mark, data in TRAINED_ON if mark in tag), None)


def _check(name: str) -> None:
    """Refuse what timm has no architecture for, or no such set of weights of it."""
    architecture, _, _ = name.partition(".")
    if not timm.is_model(architecture):
        hint = did_you_mean(architecture, timm.list_models())
        raise UserError("the name of an architecture of timm", repr(architecture), hint)
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError:
        hint = did_you_mean(name, _pretrained(architecture) or [architecture])
        raise UserError("the name of pre-trained weights of timm", repr(name), hint) from None


def _pretrained(architecture: str) -> list[str]:
    return [full for full in timm.list_pretrained() if full.partition(".")[0] == architecture]


def _check_pretrained(name: str) -> None:
    _check(name)
    architecture, _, tag = name.partition(".")
    known = _pretrained(architecture)
    if tag and name not in known:
        raise UserError("the name of pre-trained weights of timm", repr(name), did_you_mean(name, known or ["none"]))
    if not known:
        do = f"Use random:{architecture}, or another source."
        raise UserError(f"pre-trained weights for {architecture}", "an architecture without them", do)


def _hub_file(name: str) -> Path | None:
    """The weight file, if the hub's own cache has it."""
    cfg = timm.get_pretrained_cfg(name)
    hub = None if cfg is None else cfg.hf_hub_id
    found = [try_to_load_from_cache(hub, file) for file in WEIGHT_FILES] if hub else []
    return next((Path(file) for file in found if isinstance(file, str)), None)


def _from(cached: Path | None) -> dict[str, Any]:
    """For timm: the file itself where it is there, or even that would be asked for over the network."""
    return {} if cached is None else {"file": str(cached), "custom_load": False}


def hub_answers() -> bool:
    """Whether the model hub may be asked, and is there."""
    return not constants.HF_HUB_OFFLINE and reachable(constants.ENDPOINT)
