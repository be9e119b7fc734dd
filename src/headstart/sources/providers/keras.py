"""`keras:ARCH@PATH`: a weight file of Keras in timm's net of the same architecture, exact but for rounding.

`ARCH` is what `keras.applications` calls it, in lower case; `keras:PATH` alone takes the architecture that has as many
numbers in its convolutions as the file.
"""

import hashlib
from pathlib import Path

from timm.data.imagenet_info import ImageNetInfo
from torch import nn

from headstart.core.errors import UserError, unknown_name
from headstart.sources import trusted
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.anatomy import classifier_name
from headstart.sources.card import NOT_STATED, Architecture, ImageInput, Licence
from headstart.sources.describe import describe
from headstart.sources.formats.checks import few, sha256, there
from headstart.sources.formats.hdf5 import read
from headstart.sources.mappings.keras import Arrays, classifier, dense
from headstart.sources.mappings.keras_nets import NETS, RELEASED, Net
from headstart.sources.providers.timm import IMAGENET, build
from headstart.sources.source import Source

FLATTENED = {"fc1/kernel": (25088, 4096), "fc2/kernel": (4096, 4096)}  # the dense layers of a whole VGG


def construct(architecture: Architecture) -> nn.Module:
    """The empty net of a card.

    Args:
        architecture: its name is Keras'; options are `classes` of its own classifier (0: none) and, for VGG, `top`:
            whether it has the dense layers before that.

    Raises:
        UserError: a name that is not known here.
    """
    net = _net(architecture.name)
    asked = net.family.asked(architecture.options)
    model = build(net.timm, {"num_classes": int(architecture.options.get("classes", 0)), **asked})
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = net.family.eps
    net.family.alter(model, architecture.options)
    return model.eval()


def load(name: str, access: Access = NOTHING_SPECIAL) -> Source:
    """A weight file of Keras, `.h5`, `.weights.h5` or `.keras`, with its architecture's classifier or without.

    What a file says of its licence and training is what Keras' authors said of the files that they released; of any
    other file nothing is known.

    Raises:
        UserError: an unknown architecture, a file that nobody has vouched for, that is none of these or damaged, or
            weights that do not fit.
    """
    said, path = _parts(name)
    file_hash, released = sha256(there(path)), RELEASED.get(_md5(path))
    trusted.check(path, file_hash, trust=access.trust or released is not None)
    names = read(path)
    called = said or _told(names, path)
    architecture, model = filled(called, names)
    net, classes = _net(called), architecture.options["classes"]
    taken = net.family.pixels(names)
    official = released == called
    left = _left(names, architecture)
    card = describe(
        model, name=f"keras:{f'{said}@' if said else ''}{path.absolute()}", architecture=architecture,
        taken=ImageInput(size=net.size, crop=net.crop, mean=taken.mean, std=taken.std, colour=taken.colour),
        licence=Licence(name=net.family.licence, commercial=True) if official else NOT_STATED,
        trained_on=IMAGENET if official else None,
        head_classes=tuple(ImageNetInfo().label_descriptions()) if classes == 1000 else (),
        sha256=file_hash,
        changes=(f"Dense layers of the file's own ({few(left)}) were left out.",) if left else (),
    )  # fmt: skip
    return Source(card, model)


def filled(called: str, names: Arrays) -> tuple[Architecture, nn.Module]:
    """A net with the weights of a file in it, and how it was built; it has a classifier when the file has one for it.

    Args:
        called: Keras' name of the architecture.
        names: weights by `layer/weight`.

    Raises:
        UserError: the weights do not fit.
    """
    own = classifier(names)
    top = all(name in names and names[name].shape == shape for name, shape in FLATTENED.items())
    options: dict[str, bool | int] = {"classes": int(names[f"{own}/kernel"].shape[-1]) if own else 0}
    architecture = Architecture(name=called, builder="keras", options=options | ({"top": True} if top else {}))
    model = construct(architecture)
    weights = _net(called).family.mapping(names, model)
    if own and f"{classifier_name(model)}.weight" not in weights:  # it stands on something else than the trunk
        return filled(called, {name: values for name, values in names.items() if not name.startswith(f"{own}/")})
    model.load_state_dict(weights)
    return architecture, model


def _net(called: str) -> Net:
    if called not in NETS:
        raise unknown_name("Keras architecture", called, NETS)
    return NETS[called]


def _parts(name: str) -> tuple[str, Path]:
    """The architecture, if it is said, and the file; a path may have an "@" in it."""
    called, at, path = name.partition("@")
    if at and (called in NETS or not Path(name).expanduser().exists()):
        return _checked(called), Path(path).expanduser()
    return "", Path(name).expanduser()


def _checked(called: str) -> str:
    _net(called)
    return called


def _told(names: Arrays, path: Path) -> str:
    """The architecture whose convolutions have as many numbers as the file's."""
    count = sum(values.size for values in names.values() if values.ndim == 4)
    called = next((called for called, net in NETS.items() if net.kernels == count), None)
    if called is None:
        came = f"{path}, with {count:,} numbers in its convolutions"
        do = f"Name it, if it is one of them: keras:ARCH@PATH with ARCH of {', '.join(NETS)}."
        raise UserError("weights of an architecture that is known here", came, do)
    return called


def _left(names: Arrays, architecture: Architecture) -> list[str]:
    """Dense layers of the file that the net has no place for."""
    used = {classifier(names)} if architecture.options["classes"] else set[str | None]()
    used |= {name.partition("/")[0] for name in FLATTENED} if architecture.options.get("top") else set()
    return [layer for layer in dense(names) if layer not in used]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
