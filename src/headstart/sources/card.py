"""The card of a source: everything about a pre-trained net but the net. Loads no framework."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, Field, model_validator

from headstart.core.shown import Shown

Availability = Literal["cached", "packaged", "hub", "local", "made"]
Layout = Literal["NCHW", "NHWC"]
Pooling = Literal["avg", "max", "gem", "cls", "last", "moments"]


class _Part(BaseModel, frozen=True, extra="forbid"):
    """A record that does not change, and that knows all its keys."""


class ImageInput(_Part, frozen=True):
    """The exact preprocessing that the weights were trained with. It travels with the weights.

    Attributes:
        size: side of the square input in pixels.
        crop: share of the resized image that the centre crop keeps.
        interpolation: resampling filter.
        mean: per channel in the order that the net sees them, of values scaled to 0..1.
        std: likewise.
        colour: what the channels are; "L" is luminance (ITU-R 601), "any" is whatever the data brings.
    """

    size: int
    crop: float = 0.875
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    colour: Literal["RGB", "BGR", "L", "any"] = "RGB"

    @property
    def channels(self) -> int:
        """Channels of the net's input."""
        return len(self.mean)

    @property
    def fixed(self) -> bool:
        """Whether every batch has the same shape inside the net."""
        return True

    @property
    def bytes(self) -> int:
        """Of a prepared example."""
        return 3 * self.size**2

    @property
    def prepared(self) -> str:
        """What prepared examples depend on; means and deviations are the net's own business."""
        return self.model_dump_json(include={"size", "crop", "interpolation"})

    @property
    def said(self) -> Mapping[str, str]:
        """In words, by what they are about."""
        return {
            "input": f"{self.size} x {self.size} {self.colour}, crop {self.crop}, {self.interpolation}",
            "normalised by": f"mean {_few(self.mean)}, deviation {_few(self.std)} of 0..1",
        }

    @model_validator(mode="after")
    def _agree(self) -> "ImageInput":
        wanted = {"RGB": 3, "BGR": 3, "L": 1}.get(self.colour, len(self.mean))
        if not len(self.mean) == len(self.std) == wanted:
            raise ValueError(f"{self.colour} input needs {wanted} means and deviations, got {self.mean} and {self.std}")
        return self


class TextInput(_Part, frozen=True):
    """How texts become the numbers that the net was trained on. It travels with the weights.

    Attributes:
        tokenizer: what stands in its tokenizer.json; "" numbers lower-case words by their hash, which needs no list.
        window: tokens that the net sees at once, marks of beginning and end included.
        windows: a longer text is read in so many windows at most; what is behind the last one is not read.
        pad: the number of an empty position.
    """

    tokenizer: str
    window: int = Field(default=256, ge=1)
    windows: int = Field(default=4, ge=1)
    pad: int = 0

    @property
    def fixed(self) -> bool:
        """Whether every batch has the same shape inside the net."""
        return False

    @property
    def bytes(self) -> int:
        """Of a prepared example."""
        return 8 * self.window * self.windows

    @property
    def prepared(self) -> str:
        """What prepared examples depend on."""
        return self.model_dump_json()

    @property
    def said(self) -> Mapping[str, str]:
        """In words, by what they are about."""
        by = "its tokenizer" if self.tokenizer else "words, by their hash"
        return {"input": f"text, {by}, windows of {self.window} tokens, at most {self.windows}"}


class Column(_Part, frozen=True):
    """A column of a table, as a source knows it.

    Attributes:
        name: by which it is found in other tables.
        kind: of its values.
        quantiles: of the source's numbers, evenly spaced from the least to the largest; empty where nothing is known.
        categories: that the source has seen; empty where nothing is known.
    """

    name: str
    kind: Literal["number", "category"]
    quantiles: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()


class TableInput(_Part, frozen=True):
    """How the rows of a table become two numbers a cell: see `headstart.modalities.table.prepare`.

    Attributes:
        columns: that the net reads, in this order; none stands for all that a row has, in the order of their names.
    """

    columns: tuple[Column, ...] = ()

    @property
    def fixed(self) -> bool:
        """Whether every batch has the same shape inside the net."""
        return False

    @property
    def bytes(self) -> int:
        """Of a prepared example; of one whose columns are not known, more than most have."""
        return 8 * (len(self.columns) or 256)

    @property
    def prepared(self) -> str:
        """What prepared examples depend on; what is known of the columns is the net's own business."""
        return "\0".join(f"{one.kind} {one.name}" for one in self.columns)

    @property
    def said(self) -> Mapping[str, str]:
        """In words, by what they are about."""
        names = ", ".join(f"{one.name} ({one.kind})" for one in self.columns)
        return {"input": f"rows of a table: {names or 'any columns'}"}


class SeriesInput(_Part, frozen=True):
    """How series become the numbers that the net was trained on. It travels with the weights.

    A prepared series is (channels, length) float32; a shorter one is padded with NaN, which no series has.

    Attributes:
        channels: of a series; the net reads each by itself, and its features stand side by side. None takes what there
            is, and the channels share the length.
        length: steps at most; a longer series is averaged down to it.
        scale: each channel of each series has mean 0 and deviation 1 ("z"), runs from 0 to 1 ("range"), or is as it is.
        padding: of a shorter series: behind it, before it, or none: it is stretched.
    """

    channels: int | None = Field(default=1, ge=1)
    length: int = Field(default=512, ge=8)
    scale: Literal["z", "range", "none"] = "z"
    padding: Literal["behind", "before", "none"] = "behind"

    @property
    def fixed(self) -> bool:
        """Whether every batch has the same shape inside the net."""
        return False

    @property
    def bytes(self) -> int:
        """Of a prepared example."""
        return 4 * (self.channels or 1) * self.length

    @property
    def prepared(self) -> str:
        """What prepared examples depend on."""
        return self.model_dump_json()

    @property
    def said(self) -> Mapping[str, str]:
        """In words, by what they are about."""
        scaled = {"z": "mean 0, deviation 1", "range": "0..1", "none": "nothing"}[self.scale]
        return {"input": f"series, {self.channels} channels, {self.length} steps at most, each scaled to {scaled}"}


def _few(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in dict.fromkeys(values))


Input = ImageInput | TextInput | SeriesInput | TableInput
KINDS: Mapping[type[Input], str] = {
    ImageInput: "image",
    TextInput: "text",
    SeriesInput: "series",
    TableInput: "table",
}
"""The kind of data that an input is of."""


class Architecture(_Part, frozen=True):
    """How the empty net is built, so that a file of weights is enough to have the source again.

    Attributes:
        name: what its builder calls it: timm's name, torchvision's, a Darknet cfg's.
        builder: a name of `headstart.sources.catalog.BUILDERS`.
        options: handed to the builder, such as the padding of another framework.
        text: a net written out: a Darknet cfg, a config.json.
        size: side of the input that the net is set to once it is built; None where it need not know.
    """

    name: str
    builder: str = "timm"
    options: Mapping[str, bool | int | float | str] = Field(default_factory=dict)
    text: str = ""
    size: int | None = None


class Licence(_Part, frozen=True):
    """What may be done with the weights. Automatic selection takes only what is stated and permits commercial use."""

    name: str | None
    commercial: bool


NOT_STATED = Licence(name=None, commercial=False)


class TrainedOn(_Part, frozen=True):
    """What the weights were trained on, and how much of it."""

    name: str
    n: int
    kind: str


class Stage(_Part, frozen=True):
    """A named point between input and output where features may be taken, and the parameters that lead to it.

    Attributes:
        name: as in `Rule("stage:NAME")`.
        tap: the module whose output is pooled; "" is the output of the trunk.
        dim: features after pooling.
        parameters: names of the parameters since the previous stage; all stages together hold every parameter of the
            trunk exactly once.
        layout: which axes of the tapped maps are channels.
        grid: cells a side over which maps are averaged; 1 is everywhere.
    """

    name: str
    tap: str
    dim: int
    parameters: tuple[str, ...]
    layout: Layout = "NCHW"
    grid: int = Field(default=1, ge=1)


class Head(_Part, frozen=True):
    """The head that copies of a source come with.

    Attributes:
        outputs: classes of each output; empty leaves the number to the task.
        widths: of hidden layers; none is a linear head.
        keep: the first outputs are the source's own classes.
    """

    outputs: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()
    keep: bool = False


class Card(_Part, frozen=True):
    """A pre-trained net, described.

    Attributes:
        name: provider:name.
        architecture: how the empty net is built.
        sha256: of the weight file; None when nothing was loaded from a file (random) or before it was fetched.
        head: name of the module that is the source's own classifier, in `parameters` of no stage.
        new_head: the head that its copies come with.
        head_classes: the class names that the source's own head predicts, in order; empty when there are none.
        norms: names of the normalisation modules.
        pooling: how maps and tokens become features; None is the average over each stage's grid, and at the end the
            net's own way.
        changes: what surgery did to the net as it was trained, one sentence each; what was re-initialised is named.
        benchmark: published score of the source on its own task (ImageNet top-1), the static baseline.
    """

    name: str
    architecture: Architecture
    input: Input
    stages: tuple[Stage, ...] = Field(min_length=1)
    head: str
    new_head: Head = Head()
    head_classes: tuple[str, ...] = ()
    norms: tuple[str, ...] = ()
    pooling: Pooling | None = None
    changes: tuple[str, ...] = ()
    sha256: str | None = None
    licence: Licence
    trained_on: TrainedOn | None
    benchmark: float | None = None
    parameters: int

    def stage_names(self) -> tuple[str, ...]:
        """From input to output."""
        return tuple(stage.name for stage in self.stages)

    @property
    def features(self) -> int:
        """Dimension of the last stage: what a head gets."""
        return self.stages[-1].dim

    def facts(self) -> dict[str, str]:
        """In words, by what they are about."""
        trained = self.trained_on
        return {
            "name": self.name,
            "architecture": f"{self.architecture.name}, {self.parameters:,} parameters",
            "trained on": f"{trained.name}, {trained.n:,} examples" if trained else "nothing",
            "own task": f"top-1 {self.benchmark} % as published" if self.benchmark else "no published score",
            "own classes": f"{len(self.head_classes):,}" if self.head_classes else "none by name",
            "licence": self.licence.name or "not stated",
            "sha256": self.sha256 or "-",
            **self.input.said,
            "surgery": "; ".join(self.changes) or "none",
        }

    def shown(self) -> Shown:
        """Its facts and its stages."""
        stages = ", ".join(f"{stage.name} ({stage.dim})" for stage in self.stages)
        return Shown(self.name, (*list(self.facts().items())[1:], ("stages", stages)))

    def __str__(self) -> str:
        return str(self.shown())

    def _repr_html_(self) -> str:
        return self.shown().html()
