"""timm's nets as Keras computes them: padding, strides, epsilons, what goes in, and which released file is whose.

InceptionV3 is not among them (its average pooling leaves the border out, timm's does not), nor the second ResNets, nor
ResNet50 files of 2017 and 2018 (other names, another epsilon).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from timm.layers.classifier import ClassifierHead
from timm.layers.pool2d_same import MaxPool2dSame
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.sources.mappings.keras import Arrays, numbered
from headstart.sources.mappings.keras_densenet import densenet
from headstart.sources.mappings.keras_mobile import efficientnet, mobilenet_v2
from headstart.sources.mappings.keras_resnet import resnet
from headstart.sources.mappings.keras_vgg import vgg
from headstart.sources.mappings.keras_xception import xception

Options = Mapping[str, bool | int | float | str]

# --- what goes in


@dataclass(frozen=True)
class Pixels:
    """How values of 0..255 become what a net was trained on.

    Args:
        mean: in the order of the channels that the net sees, of values of 0..1.
        std: likewise.
        colour: that order.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    colour: Literal["RGB", "BGR"] = "RGB"


CAFFE = Pixels((103.939 / 255, 116.779 / 255, 123.68 / 255), (1 / 255, 1 / 255, 1 / 255), "BGR")
TF = Pixels((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
TORCH = Pixels((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def caffe(_: Arrays) -> Pixels:
    """Blue first, the mean taken away, nothing divided."""
    return CAFFE


def tf(_: Arrays) -> Pixels:
    """-1 to 1."""
    return TF


def pytorch(_: Arrays) -> Pixels:
    """ImageNet's mean and deviation."""
    return TORCH


def inside(names: Arrays) -> Pixels:
    """What the file's own normalisation does.

    The released EfficientNets hold the deviation where the variance belongs, and a layer without weights behind it
    makes up for that (https://github.com/tensorflow/tensorflow/issues/49930).
    """
    layer = next(iter(numbered(names, "normalization")), "")
    if f"{layer}/mean" not in names or f"{layer}/variance" not in names:
        do = "Save the whole model, with its first layers: model.save('NAME.keras')."
        raise UserError("a normalization layer, as every EfficientNet of Keras has", "a file without one", do)
    mean, variance = (np.ravel(names[f"{layer}/{kind}"]).astype(float) for kind in ("mean", "variance"))
    std = TORCH.std if np.allclose(variance, TORCH.std, atol=1e-4) else np.sqrt(variance).tolist()
    return Pixels(tuple(mean.tolist()), tuple(std))


# --- timm's nets as Keras computes them


def nothing(_: Options) -> Options:
    """Nothing: the net as timm has it."""
    return {}


def same_padding(_: Options) -> Options:
    """TensorFlow's padding, which is an option of timm's."""
    return {"pad_type": "same"}


def narrow(options: Options) -> Options:
    """VGG: dense layers that will be taken away need not be 400 MB."""
    return {} if options.get("top") else {"mlp_ratio": 1 / 4096}


def as_timm(_: nn.Module, __: Options) -> None:
    """What timm's own options do is enough."""


def without_dense(model: Any, options: Options) -> None:
    """VGG: the dense layers before the classifier stay only where the file has them."""
    if not options.get("top"):
        model.pre_logits = nn.Identity()
        model.head = ClassifierHead(512, int(options.get("classes", 0)))
        model.head_hidden_size = 512


def same_pooling(model: nn.Module, _: Options) -> None:
    """Xception: pooling pads right and below first, as TensorFlow does."""
    pools = [name for name, module in model.named_modules() if isinstance(module, nn.MaxPool2d)]
    for name in pools:
        model.set_submodule(name, MaxPool2dSame(3, stride=2))


def early_strides(model: nn.Module, _: Options) -> None:
    """ResNet: the first convolution of a block steps, as in the paper; timm's second one does."""
    for stage in (2, 3, 4):
        first = model.get_submodule(f"layer{stage}.0.conv1")
        second = model.get_submodule(f"layer{stage}.0.conv2")
        assert isinstance(first, nn.Conv2d)
        assert isinstance(second, nn.Conv2d)
        first.stride, second.stride = second.stride, first.stride


@dataclass(frozen=True)
class Family:
    """What the nets of a family share.

    Args:
        mapping: weights by Keras' names and the empty net -> its state.
        pixels: weights -> how pictures go in.
        eps: of its batch norms.
        alter: makes timm's net compute as Keras' does.
        licence: of the weights that Keras' authors released, as their documentation states it.
        asked: options of a card -> options of timm's.
    """

    mapping: Callable[[Arrays, nn.Module], dict[str, Tensor]]
    pixels: Callable[[Arrays], Pixels]
    eps: float
    alter: Callable[[nn.Module, Options], None]
    licence: str
    asked: Callable[[Options], Options] = nothing


VGG = Family(vgg, caffe, 1e-3, without_dense, "CC-BY-4.0", narrow)
XCEPTION = Family(xception, tf, 1e-3, same_pooling, "MIT")
RESNET = Family(resnet, caffe, 1.001e-5, early_strides, "MIT")
DENSENET = Family(densenet, pytorch, 1.001e-5, as_timm, "BSD-3-Clause")
MOBILENET = Family(mobilenet_v2, tf, 1e-3, as_timm, "Apache-2.0", same_padding)
EFFICIENTNET = Family(efficientnet, inside, 1e-3, as_timm, "Apache-2.0", same_padding)


@dataclass(frozen=True)
class Net:
    """One architecture.

    Args:
        timm: timm's name of it.
        family: what it shares with others.
        size: side of the pictures that it was trained on.
        kernels: numbers in all of its convolution kernels together; no other net has as many.
        crop: share of the resized picture that its authors took.
    """

    timm: str
    family: Family
    size: int
    kernels: int
    crop: float = 0.875


NETS = {
    "vgg16": Net("vgg16", VGG, 224, 14_710_464),
    "vgg19": Net("vgg19", VGG, 224, 20_018_880),
    "xception": Net("legacy_xception", XCEPTION, 299, 20_752_424, crop=0.8975),
    "resnet50": Net("resnet50", RESNET, 224, 23_454_912),
    "resnet101": Net("resnet101", RESNET, 224, 42_394_816),
    "resnet152": Net("resnet152", RESNET, 224, 57_992_384),
    "densenet121": Net("densenet121", DENSENET, 224, 6_870_208),
    "densenet169": Net("densenet169", DENSENET, 224, 12_326_080),
    "densenet201": Net("densenet201", DENSENET, 224, 17_863_872),
    "mobilenetv2": Net("mobilenetv2_100", MOBILENET, 224, 2_189_760),
    "mobilenetv2_035": Net("mobilenetv2_035", MOBILENET, 224, 382_048),
    "mobilenetv2_050": Net("mobilenetv2_050", MOBILENET, 224, 669_136),
    "mobilenetv2_075": Net("mobilenetv2_075", MOBILENET, 224, 1_328_784),
    "mobilenetv2_140": Net("mobilenetv2_140", MOBILENET, 224, 4_267_840),
    "efficientnetb0": Net("tf_efficientnet_b0", EFFICIENTNET, 224, 3_956_192),
    "efficientnetb1": Net("tf_efficientnet_b1", EFFICIENTNET, 240, 6_436_976, crop=0.882),
    "efficientnetb2": Net("tf_efficientnet_b2", EFFICIENTNET, 260, 7_618_016, crop=0.89),
    "efficientnetb3": Net("tf_efficientnet_b3", EFFICIENTNET, 300, 10_588_856, crop=0.904),
    "efficientnetb4": Net("tf_efficientnet_b4", EFFICIENTNET, 380, 17_394_376, crop=0.922),
    "efficientnetb5": Net("tf_efficientnet_b5", EFFICIENTNET, 456, 28_127_728, crop=0.934),
    "efficientnetb6": Net("tf_efficientnet_b6", EFFICIENTNET, 528, 40_458_672, crop=0.942),
    "efficientnetb7": Net("tf_efficientnet_b7", EFFICIENTNET, 600, 63_403_040, crop=0.949),
}

# MD5, as Keras has them, of the files that it downloads for ImageNet: with the classifier, without it.
RELEASED = {
    "64373286793e3c8b2b4e3219cbf3544b": "vgg16",
    "6d6bbae143d832006294945121d1f1fc": "vgg16",
    "cbe5617147190e668d6c5d5026f83318": "vgg19",
    "253f8cb515780f3b799900260a226db6": "vgg19",
    "0a58e3b7378bc2990ea3b43d5981f1f6": "xception",
    "b0042744bf5b25fce3cb969f33bebb97": "xception",
    "2cb95161c43110f7111970584f804107": "resnet50",
    "4d473c1dd8becc155b73f8504c6f6626": "resnet50",
    "f1aeb4b969a6efcfb50fad2f0c20cfc5": "resnet101",
    "88cf7a10940856eca736dc7b7e228a21": "resnet101",
    "100835be76be38e30d865e96f2aaae62": "resnet152",
    "ee4c566cf9a93f14d82f913c2dc6dd0c": "resnet152",
    "9d60b8095a5708f2dcce2bca79d332c7": "densenet121",
    "30ee3e1110167f948a6b9946edeeb738": "densenet121",
    "d699b8f76981ab1b30698df4c175e90b": "densenet169",
    "b8c4d4c20dd625c148057b9ff1c1176b": "densenet169",
    "1ceb130c1ea1b78c3bf6114dbdfd8807": "densenet201",
    "c13680b51ded0fb44dff2d8f86ac8bb1": "densenet201",
    "902e53a9f72be733fc0bcb005b3ebbac": "efficientnetb0",
    "50bc09e76180e00e4465e1a485ddc09d": "efficientnetb0",
    "1d254153d4ab51201f1646940f018540": "efficientnetb1",
    "74c4e6b3e1f6a1eea24c589628592432": "efficientnetb1",
    "b15cce36ff4dcbd00b6dd88e7857a6ad": "efficientnetb2",
    "111f8e2ac8aa800a7a99e3239f7bfb39": "efficientnetb2",
    "ffd1fdc53d0ce67064dc6a9c7960ede0": "efficientnetb3",
    "af6d107764bb5b1abb91932881670226": "efficientnetb3",
    "18c95ad55216b8f92d7e70b3a046e2fc": "efficientnetb4",
    "ebc24e6d6c33eaebbd558eafbeedf1ba": "efficientnetb4",
    "ace28f2a6363774853a83a0b21b9421a": "efficientnetb5",
    "38879255a25d3c92d5e44e04ae6cec6f": "efficientnetb5",
    "165f6e37dce68623721b423839de8be5": "efficientnetb6",
    "9ecce42647a20130c1f39a5d4cb75743": "efficientnetb6",
    "8c03f828fec3ef71311cd463b6759d99": "efficientnetb7",
    "cbcfe4450ddf6f3ad90b1b398090fe4a": "efficientnetb7",
}
