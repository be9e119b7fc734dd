"""`run:PATH`: what a former run delivered, as a source; `checkpoint:PATH`: its net after an epoch of training.

A run is read by the names of its files, see `DESIGN`: `record.json`, `model.json`, `model.safetensors`, `card.json` and
`checkpoints/`. What one run has learned, the next can start from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.core.problem import Kind
from headstart.core.protocols import State
from headstart.core.record import Record
from headstart.linear.heads import Ridge
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.anatomy import classifier_name
from headstart.sources.card import Card, Head, TrainedOn
from headstart.sources.formats import safetensors
from headstart.sources.formats.checks import few, said, sha256, there
from headstart.sources.load import again, rebuild
from headstart.sources.source import Source
from headstart.sources.strict import fill

RECORD, MODEL, WEIGHTS, CARD = "record.json", "model.json", "model.safetensors", "card.json"
EPOCHS = "epoch-*.safetensors"
TRUNK, HEAD = "trunk.", "head."
ADAPTER = ".parametrizations."  # in the names of low-rank adapters
PARTS, LAYER = ("old", "new"), ("weight", "bias")
LEVELS = 4  # folders between a run and one of its checkpoints
OTHER = "It belongs to another net; name a run with the checkpoints of its own training."


class Task(BaseModel):
    """What the run learned."""

    classes: tuple[str, ...]
    kind: Kind = "classification"

    @model_validator(mode="after")
    def _named(self) -> "Task":
        if not self.classes and self.kind != "regression":
            raise ValueError("a task without classes")
        return self


class Model(BaseModel):
    """`model.json`, as far as a source needs it.

    Attributes:
        kind: all weights of a net, or a closed form on the features of a frozen one.
        task: its label space, in the order of the outputs.
        estimator, stages, head: of a closed form.
        sha256: of the weights; runs of the first version do not state it.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["net", "solve"]
    task: Task
    estimator: str = ""
    stages: tuple[str, ...] = ()
    head: Mapping[str, Any] = Field(default_factory=dict)
    sha256: str | None = None


@dataclass(frozen=True)
class Run:
    """A finished run, as far as a source needs it.

    Attributes:
        folder: of the run.
        record: what it found out.
        model: what it delivered.
        card: of the source of the delivered model.
    """

    folder: Path
    record: Record
    model: Model
    card: Card


def load(name: str, access: Access = NOTHING_SPECIAL) -> Source:
    """The net that a run delivered, with its head as own classifier where that is linear on the last stage.

    Args:
        name: path of the run's folder.
        access: passed on to the source of a closed form, whose net is named in a run and not copied.

    Raises:
        UserError: no finished run, one whose delivered model has no net, or files that are not what they were.
    """
    folder = Path(name).expanduser()
    run = _opened(folder)
    weights = safetensors.read(run.folder / WEIGHTS)
    moved = run.model.kind == "net"
    tensors = weights if moved else {**_trunk(again(run.card, offline=access.offline)), **_linear(run, weights)}
    data = _data(run) if moved else run.card.trained_on  # a frozen net knows what it knew
    return _source(f"run:{folder.absolute()}", run, tensors, run.folder / WEIGHTS, data)


def load_checkpoint(name: str, access: Access = NOTHING_SPECIAL) -> Source:
    """The net of a run after an epoch of its training.

    Args:
        name: path of a file in the run's `checkpoints/`, or of a folder with one training there: its last epoch.
        access: as for `load`.

    Raises:
        UserError: no checkpoint, or one of another net than the run's.
    """
    place = Path(name).expanduser()
    file = _checkpoint(place)
    run = _opened(_run_of(file))
    moved = {k: t for k, t in safetensors.read(file).items() if k.startswith((TRUNK, HEAD))}
    if not moved:  # the state of an optimiser, the statistics of the input, or something else altogether
        raise UserError(f"a checkpoint of {run.card.name}", f"{file}: no weights of a net", OTHER)
    if any(ADAPTER in name for name in moved):  # beside weights that the run has not kept: the source's
        do = "Name the run itself, run:PATH: its weights have the adapters in them."
        raise UserError("a checkpoint of weights", f"{file}, of adapters beside them", do)
    whole = run.model.kind == "net"
    start = safetensors.read(run.folder / WEIGHTS) if whole else _trunk(again(run.card, offline=access.offline))
    return _source(f"checkpoint:{place.absolute()}", run, {**start, **moved}, file, _data(run))


# --- a run's files


def _opened(folder: Path) -> Run:
    try:
        record = Record.from_json((folder / RECORD).read_text(encoding="utf-8"))
        model = Model.model_validate_json((folder / MODEL).read_text(encoding="utf-8"))
        text = (folder / CARD).read_text(encoding="utf-8")
        several = text.startswith("[")
        card = None if several or text == "null" else Card.model_validate_json(text)
    except (OSError, ValueError) as error:
        do = "Name a run folder that fit has written."
        raise UserError("a finished run", f"{folder} ({said(error)})", do) from None
    if card is None:
        do = "Fit with --deliver transfer, and start from that run."
        what = "which reads several nets" if several else "which has none"
        raise UserError("a run that delivered a net", f"{folder}: {record.strategy}, {what}", do)
    found = sha256(there(folder / WEIGHTS))
    if found != (model.sha256 or found):
        do = "The weights are not those of the run; copy it again."
        raise UserError(f"{folder / WEIGHTS} with sha256 {model.sha256}", found, do)
    return Run(folder, record, model, card)


def _checkpoint(path: Path) -> Path:
    """The file that is meant: itself, or the last epoch of the one training in a folder."""
    if path.is_file():
        return path
    epochs = sorted(path.rglob(EPOCHS), key=lambda file: file.name)
    trainings = sorted({str(file.parent) for file in epochs})
    if len(trainings) != 1:
        do = f"Name one of them: {few(trainings)}." if trainings else "Name a file in the checkpoints of a run."
        raise UserError("a checkpoint of a run", f"{path}: {len(trainings) or 'no'} trainings", do)
    return epochs[-1]


def _run_of(file: Path) -> Path:
    run = next((folder for folder in file.resolve().parents[:LEVELS] if (folder / RECORD).is_file()), None)
    if run is None:
        do = "Name a file in the checkpoints of a run: the run says which net it is."
        raise UserError("a checkpoint inside a run", f"{file}, with no {RECORD} above it", do)
    return run


# --- a run's net, as tensors of a StagedNet: "trunk.*" and "head.*"


def _trunk(source: Source) -> dict[str, Tensor]:
    own = f"{source.card.head}." if source.card.head else None
    every = source.model.state_dict().items()
    return {f"{TRUNK}{name}": tensor for name, tensor in every if own is None or not name.startswith(own)}


def _linear(run: Run, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A ridge on the last stage alone, as a linear layer; nothing for any other closed form."""
    if run.model.stages != (run.card.stages[-1].name,) or run.model.estimator != "ridge":
        return {}
    arrays = {name: tensor.double().numpy() for name, tensor in weights.items()}
    try:
        weight, bias = Ridge.restore(State(arrays, run.model.head)).logits()
    except KeyError as error:
        raise UserError("the model of a finished run", f"{run.folder}, without {error}", "Copy it again.") from None
    layer = {"weight": np.ascontiguousarray(weight.T), "bias": bias}
    return {f"{HEAD}{name}": torch.from_numpy(values).float() for name, values in layer.items()}


# --- tensors -> a source


def _source(name: str, run: Run, tensors: Mapping[str, Tensor], file: Path, trained_on: TrainedOn | None) -> Source:
    trunk = {k.removeprefix(TRUNK): t for k, t in tensors.items() if k.startswith(TRUNK)}
    with torch.random.fork_rng(devices=[]):
        model = rebuild(run.card).model
        own = _with_classifier(model, run, _head(tensors))
    counted = {name for name, _ in model.named_buffers()} - model.state_dict().keys()  # made anew with every net
    trunk = {name: tensor for name, tensor in trunk.items() if name not in counted}
    fill(model, trunk, net=run.card.name, file=str(file), allowed=[f"{own}.*"] if own else [], do=OTHER)
    facts = {
        "name": name,
        "sha256": sha256(file),
        "head": own,
        "head_classes": run.model.task.classes if own else (),
        "new_head": Head(),
        "trained_on": trained_on,
        "benchmark": None,
        "changes": (*run.card.changes, f"from {run.card.name} by {run.record.strategy}", *_left_out(own)),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    return Source(run.card.model_copy(update=facts), model.eval())


def _head(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weight and bias of a linear head; old classes that were kept beside new ones come first in it."""
    head = {k.removeprefix(HEAD): t for k, t in tensors.items() if k.startswith(HEAD)}
    if set(head) != {f"{part}.{name}" for part in PARTS for name in LAYER}:
        return head
    return {name: torch.cat([head[f"{part}.{name}"] for part in PARTS]) for name in LAYER}


def _with_classifier(model: nn.Module, run: Run, head: Mapping[str, Tensor]) -> str:
    """Give a net the run's head as its classifier, where it has a place for a linear one; its name, or "" without."""
    if not run.card.head:  # it was cut
        return ""
    classes, reset = len(run.model.task.classes), cast(Any, model).reset_classifier
    shapes = {"weight": (classes, run.card.features), "bias": (classes,)}
    if run.model.task.kind == "classification" and {k: tuple(t.shape) for k, t in head.items()} == shapes:
        reset(classes)
        name = classifier_name(model)
        layer = model.get_submodule(name)
        if isinstance(layer, nn.Linear) and layer.weight.shape == head["weight"].shape:
            layer.load_state_dict(dict(head))
            return name
    reset(0)
    return ""


def _left_out(own: str) -> tuple[str, ...]:
    return () if own else ("the head is left out: it is not one linear layer from the last stage to classes",)


def _data(run: Run) -> TrainedOn:
    """What the run's training has seen."""
    data = run.record.data
    return TrainedOn(name=data.path, n=data.n_train, kind=data.modality)
