"""`file:FOLDER`: a source that `headstart pretrain` has written: its card, and its weights."""

from pathlib import Path

import torch

from headstart.core.errors import UserError
from headstart.sources.card import Card
from headstart.sources.formats import safetensors
from headstart.sources.formats.checks import said, sha256, there
from headstart.sources.load import rebuild
from headstart.sources.source import Source
from headstart.sources.strict import fill

CARD, WEIGHTS, PRETRAINED = "card.json", "model.safetensors", "pretrain.json"
DO = "Name a folder that headstart pretrain has written, or copy it again."


def is_source(folder: Path) -> bool:
    """Whether a folder holds a source."""
    return (folder / PRETRAINED).is_file() and (folder / CARD).is_file()


def load(folder: Path) -> Source:
    """The source in a folder; its weights must be those that its card states.

    Raises:
        UserError: a card that cannot be read, or weights that are not its own.
    """
    try:
        card = Card.model_validate_json((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError("a source in a folder", f"{folder / CARD} ({said(error)})", DO) from None
    weights = there(folder / WEIGHTS)
    found = sha256(weights)
    if found != card.sha256:
        raise UserError(f"{weights} with sha256 {card.sha256}", found, DO)
    with torch.random.fork_rng(devices=[]):
        model = rebuild(card).model
    fill(model, safetensors.read(weights), net=card.name, file=str(weights), do=DO)
    return Source(card.model_copy(update={"name": f"file:{folder.absolute()}"}), model.eval())
