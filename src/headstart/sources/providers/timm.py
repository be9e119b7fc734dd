"""`timm:ARCHITECTURE.TAG`: all of timm, with the weights that its own hub loading brings."""

import socket
from typing import Any, cast

import timm
from timm.data.imagenet_info import ImageNetInfo
from torch import nn

from headstart.core.errors import HeadstartError, UserError, did_you_mean
from headstart.sources.anatomy import classifier_name, norm_names, stages
from headstart.sources.card import Card, ImageInput, Licence, TrainedOn
from headstart.sources.source import Source

HUB = ("huggingface.co", 443)
COMMERCIAL = ("apache", "mit", "bsd")
IMAGENET = TrainedOn(name="ImageNet-1k", n=1_281_167, kind="image")


def build(architecture: str) -> nn.Module:
    """A net of timm with random weights, in eval mode.

    Raises:
        UserError: timm has no such architecture; near names are offered.
    """
    if not timm.is_model(architecture.split(".")[0]):
        hint = did_you_mean(architecture.split(".")[0], timm.list_models())
        raise UserError("the name of an architecture of timm", repr(architecture), hint)
    return timm.create_model(architecture, pretrained=False).eval()


def configuration(model: nn.Module) -> dict[str, Any]:
    """How timm's authors evaluated the net: input, mean and deviation, licence."""
    cfg: dict[str, Any] = cast(Any, model).pretrained_cfg
    return cfg


def describe(
    model: nn.Module,
    *,
    name: str,
    architecture: str,
    licence: Licence,
    trained_on: TrainedOn | None,
    size: int | None = None,
    sha256: str | None = None,
    benchmark: float | None = None,
) -> Card:
    """The card of a timm net: preprocessing from its configuration, stages from its anatomy."""
    cfg = configuration(model)
    side = size or int(cfg["input_size"][-1])
    taken = ImageInput(
        size=side, crop=cfg["crop_pct"], interpolation=cfg["interpolation"], mean=cfg["mean"], std=cfg["std"]
    )
    names = ImageNetInfo().label_descriptions() if trained_on == IMAGENET and cfg["num_classes"] == 1000 else []
    return Card(
        name=name,
        architecture=architecture,
        input=taken,
        stages=stages(model, side),
        head=classifier_name(model),
        head_classes=tuple(names),
        norms=norm_names(model),
        sha256=sha256,
        licence=licence,
        trained_on=trained_on,
        benchmark=benchmark,
        parameters=sum(p.numel() for p in model.parameters()),
    )


def load(name: str, *, offline: bool = False) -> Source:
    """A pre-trained net of timm.

    Raises:
        UserError: no such net, no weights for it, or the hub cannot be reached.
    """
    build(name)
    if name not in timm.list_pretrained() and name not in timm.list_models(pretrained=True):
        near = did_you_mean(name, timm.list_pretrained())
        raise UserError(f"pre-trained weights for {name}", "an architecture without them", near)
    if offline or not _reachable():
        do = f"Connect, or use a packaged source (headstart sources list) or random:{name.split('.')[0]}."
        raise UserError(f"the weights of timm:{name}", "no connection to the model hub", do)
    try:
        model = timm.create_model(name, pretrained=True).eval()
    except (OSError, RuntimeError) as error:
        raise HeadstartError(f"the weights of timm:{name} could not be loaded: {str(error).splitlines()[0]}") from None
    cfg = configuration(model)
    stated = str(cfg.get("license") or "")
    licence = Licence(name=stated or None, commercial=stated.lower().startswith(COMMERCIAL))
    trained = IMAGENET if "in1k" in str(cfg.get("tag", "")) else None
    return Source(describe(model, name=f"timm:{name}", architecture=name, licence=licence, trained_on=trained), model)


def _reachable() -> bool:
    """One quick try, so that a machine behind a firewall hears so at once instead of after minutes of retries."""
    try:
        socket.create_connection(HUB, timeout=3).close()
    except OSError:
        return False
    return True
