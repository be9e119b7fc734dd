"""`table:PATH@COLUMN`: a larger table of the same columns as a source; what is learned from it is learned once.

Three models of it stand in one net (`headstart.nets.table_net`): a linear one, boosted trees, and layers with an
embedding of every category. All that is fitted is fitted to the source table; the target's rows have no part in it.
"""

import hashlib
import json
import os
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from headstart.core.errors import UserError
from headstart.core.plan import Plan, Rule, Train
from headstart.core.predictions import Floats
from headstart.core.problem import Kind
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.labelled import Where
from headstart.data.store import Store
from headstart.features.extract import extract
from headstart.features.table import FeatureTable
from headstart.linear.boosting import Boosting
from headstart.linear.heads import Ridge
from headstart.metrics.kinds import KINDS
from headstart.modalities.table.baselines import Cells
from headstart.modalities.table.columns import number
from headstart.modalities.table.modality import TableModality
from headstart.modalities.table.read import read_at
from headstart.nets.table_net import TableNet
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.builders import TABLE_SIZES, table_net
from headstart.sources.card import Architecture, Card, Column, Licence, Stage, TableInput, TrainedOn
from headstart.sources.providers.random import table_stages
from headstart.sources.source import Brought, Source
from headstart.training.plan_learner import FittedNet, PlanLearner

CODE = "table-1"  # change it when the same table would teach another net
OWN = Licence(name="the user's own table", commercial=True)
QUANTILES = 21
MOST = 1000  # categories of a column that are listed
STEPS, LEAST, EPOCHS, BATCH = 2000, 3, 40, 128
BROUGHT = 2000  # rows, for what learns from both tables
FOLDER = "weights"  # of the cache


def load(rest: str, access: Access = NOTHING_SPECIAL) -> Source:  # noqa: ARG001 - nothing is fetched
    """A table, learned from the first time that it is named.

    Args:
        rest: PATH@COLUMN, the column being its target; PATH@COLUMN#KIND where the kind of task is not to be found.
        access: nothing special is needed.

    Raises:
        UserError: another form, or a table that cannot be learned from.
    """
    path, at, named = rest.rpartition("@")
    target, kind = _target_of(named)
    if not at or not path or not target:
        raise UserError("table:PATH@COLUMN", f"table:{rest}", "Name the table's target behind an @.")
    place = Path(path).expanduser()
    data = read_at(Where(place, target=target, kind=kind), Silent())
    data = replace(data, parts=None)
    taken = described(data)
    store = Store()
    digest = hashlib.sha256(f"{CODE} {data.fingerprint} {taken.model_dump_json()}".encode()).hexdigest()
    kept = store.root / FOLDER / f"table-{digest[:32]}.safetensors"
    model = _kept(kept) or _keep(learned(data, taken, store), kept)
    card = _card(f"table:{place.absolute()}@{named}", place.name, data, taken, model, digest)
    return Source(card, model, _brought(model, data, taken))


def _target_of(named: str) -> tuple[str, Kind | None]:
    """`income#regression` -> the column and the kind of task."""
    target, _, kind = named.rpartition("#")
    return (target, kind) if target and kind in KINDS else (named, None)  # type: ignore[return-value]


def _brought(model: TableNet, data: Dataset, taken: TableInput) -> Brought:
    """Some of the rows, evenly spaced, as the first stage has them."""
    some = np.linspace(0, len(data) - 1, min(len(data), BROUGHT)).astype(int)
    rows = torch.from_numpy(np.stack([data.modality.prepare(data.items[at], taken) for at in some]))
    assert model.row is not None, "a source table has one"
    with torch.inference_mode():
        features = model.row(rows[:, 0], rows[:, 1].round().long())
    keys = frozenset(data.keys)
    return Brought(features.numpy(), data.targets[some], data.task, keys, 1 - len(keys) / len(data))


def described(data: Dataset) -> TableInput:
    """Its columns with what their values are like."""
    assert isinstance(data.modality, TableModality), "read_at gives tables"
    rows = [json.loads(item.content) for item in data.items]

    def about(column: Column) -> Column:
        values = [row[column.name] for row in rows if row[column.name] is not None]
        if column.kind == "category":
            return column.model_copy(update={"categories": tuple(sorted(set(values)))[:MOST]})
        at = np.linspace(0, 1, QUANTILES)
        found = np.quantile(np.array(values, dtype=float), at) if values else np.empty(0)
        return column.model_copy(update={"quantiles": tuple(number(one) or 0.0 for one in found)})

    return TableInput(columns=tuple(about(one) for one in data.modality.columns))


def learned(data: Dataset, taken: TableInput, store: Store) -> TableNet:
    """The net with all three models of the table in it."""
    cells = Cells(taken.columns)
    features = extract([cells], data, store, Silent())
    numbers, what = (features.of(cells.name, stage, data) for stage in cells.widths)
    trees = Boosting.fit([numbers, what], data.targets, data.task.outputs, None, kind=data.task.kind)
    nodes = trees.forest.feature.shape
    sizes = (data.task.outputs, len(taken.columns), len(trees.indicators.column), *nodes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = table_net(_architecture(sizes))
    _put(model.trees, {name: torch.from_numpy(np.array(a)) for name, a in trees.forest.arrays().items()})
    _put_row(model, trees, numbers)
    assert model.row is not None, "a source table has one"
    with torch.inference_mode():
        given = torch.from_numpy(np.stack([numbers, what], axis=1))
        row = model.row(given[:, 0], given[:, 1].round().long()).numpy()
    ridge = Ridge.fit([row], data.targets, data.task.outputs, None, kind=data.task.kind)
    _put(model.linear, {"weight": _tensor(ridge.weight.T), "bias": _tensor(ridge.bias)})
    return _trained(model, data, taken, store)


def _trained(model: TableNet, data: Dataset, taken: TableInput, store: Store) -> TableNet:
    """The layers that learn by gradients, as the control `scratch` would; the classifier is kept."""
    steps = -(-len(data) // BATCH)
    epochs = int(np.clip(STEPS // steps, LEAST, EPOCHS))
    learn = Train(rules=(Rule("*", 1.0),), epochs=epochs, lr=3e-3, norm="train", batch=BATCH)
    start = Source(_card("table:source@target", "source", data, taken, model, None), model)
    plan = Plan("scratch", start="random", phases=(learn,))
    fitted = PlanLearner("scratch", "control", plan, {start.name: start}, store).fit(
        data, seed=0, features=FeatureTable({}, store)
    )
    assert isinstance(fitted, FittedNet), "its plan trains"
    found = table_net(model_architecture(model))
    trunk = {k.removeprefix("trunk."): v for k, v in fitted.net.state_dict().items() if k.startswith("trunk.")}
    head = {k: v for k, v in fitted.net.state_dict().items() if k.startswith("head.")}
    found.load_state_dict({**trunk, **head}, strict=True)
    found.eval()
    return found


def _put_row(model: TableNet, trees: Boosting, numbers: Floats) -> None:
    """Means and deviations of the source's numbers, and the categories that the trees look at."""
    there = np.isfinite(numbers)
    counts = np.maximum(there.sum(axis=0), 1)
    filled = np.where(there, numbers, 0.0).astype(np.float64)
    mean = filled.sum(axis=0) / counts
    deviation = np.sqrt((np.where(there, filled - mean, 0.0) ** 2).sum(axis=0) / counts)
    known = {"mean": _tensor(mean), "scale": _tensor(np.where(deviation > 0, deviation, 1.0))}
    own = {"column": trees.indicators.column, "category": trees.indicators.category}
    _put(model.row, {**known, **{name: torch.from_numpy(np.array(a)) for name, a in own.items()}})


def _put(module: torch.nn.Module | None, tensors: dict[str, torch.Tensor]) -> None:
    assert module is not None, "a source table has one"
    module.load_state_dict(tensors, strict=True)


def _tensor(values: Floats) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _architecture(sizes: tuple[int, ...]) -> Architecture:
    options: dict[str, bool | int | float | str] = dict(zip(TABLE_SIZES, sizes, strict=True))
    return Architecture(name="table-net", builder="table-net", options=options)


def model_architecture(model: TableNet) -> Architecture:
    """How the empty net of a source table is built."""
    assert model.row is not None, "a source table has one"
    assert model.trees is not None, "a source table has them"
    columns, indicators = len(model.row.mean), len(model.row.column)
    return _architecture((model.trees.outputs, columns, indicators, *model.trees.feature.shape))


def _card(name: str, called: str, data: Dataset, taken: TableInput, model: TableNet, digest: str | None) -> Card:
    architecture = model_architecture(model)
    width, classes = len(taken.columns) + int(architecture.options["indicators"]), data.task.outputs
    simple = tuple(
        Stage(name=stage, tap=stage, dim=dim, parameters=())
        for stage, dim in (("row", width), ("linear", classes), ("trees", classes))
    )
    return Card(
        name=name, architecture=architecture, input=taken, stages=(*simple, *table_stages(model)), head="head",
        head_classes=data.task.classes, norms=("columns.norm",), sha256=digest, licence=OWN,
        trained_on=TrainedOn(name=called, n=len(data), kind="table"),
        parameters=sum(p.numel() for p in model.parameters()),
    )  # fmt: skip


def _kept(path: Path) -> TableNet | None:
    """The net that was learned before, if it is there and whole."""
    try:
        with safe_open(path, framework="pt") as file:
            sizes: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        model = table_net(_architecture(tuple(int(sizes[name]) for name in TABLE_SIZES)))
        model.load_state_dict(tensors, strict=True)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError):
        return None
    os.utime(path)
    return model


def _keep(model: TableNet, path: Path) -> TableNet:
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes: dict[str, Any] = dict(model_architecture(model).options)
    aside = path.with_name(f".{uuid.uuid4().hex}")
    save_file(model.state_dict(), aside, metadata={name: str(value) for name, value in sizes.items()})
    aside.replace(path)
    return model
